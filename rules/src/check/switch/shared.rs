//! What modes iptables and ipvs have in common.

use super::{Cluster, NAMED, change, has_node_port};
use crate::check::facts::Facts;
use crate::check::report::{Report, plural};
use crate::finding::Severity;
use crate::model::Family;
use std::net::IpAddr;

/// In modes iptables and ipvs every address answers node ports unless `nodePortAddresses` says
/// otherwise; in mode nftables the Node's own ones.
pub(super) fn node_ports(report: &mut Report, facts: &Facts, cluster: &Cluster<'_>) {
    let name = "addresses of node ports";
    let (count, named) = cluster.named(has_node_port);
    if count == 0 {
        return report.check(name, "no Service has node ports", None);
    }
    let addresses = match &facts.addresses {
        Ok(addresses) => addresses,
        Err(why) => return report.skipped(name, why),
    };
    // Mode ipvs gives the node the Services' addresses.
    let is_a_services = |address: &IpAddr| {
        let mut services = cluster.services.iter();
        services.any(|service| {
            let mut own = (service.cluster_ips.iter())
                .chain(&service.external_ips)
                .chain(&service.load_balancer_ips);
            own.any(|own| own == address)
        })
    };
    let answers = |address: &IpAddr| {
        let mut families = cluster.node_port_addresses.iter();
        let listed = families.find(|(family, _)| *family == Family::of(*address));
        listed.is_none_or(|(_, listed)| {
            (listed.as_ref()).is_none_or(|listed| listed.contains(address))
        })
    };
    let mut closed: Vec<String> = (addresses.iter())
        .filter(|address| is_reachable(**address) && !is_a_services(address) && !answers(address))
        .map(ToString::to_string)
        .collect();
    if closed.is_empty() {
        return report.check(name, "the same ones answer", None);
    }
    let total = closed.len();
    closed.truncate(NAMED);
    let more = match total - closed.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let closed = format!("{}{more}", closed.join(", "));
    let found = change(
        Severity::Warning,
        format!(
            "Node ports of {} answer no longer on {closed}",
            plural(count, "Service")
        ),
        "`nodePortAddresses: [\"0.0.0.0/0\", \"::/0\"]` keeps all addresses; or let clients use \
         the Node's own",
    )
    .because(format!("Services with node ports: {named}"));
    report.check(name, format!("no longer {closed}"), [found]);
}

/// Whether somebody could come to it from elsewhere.
fn is_reachable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    }
}

pub(super) fn cluster_ips(report: &mut Report, cluster: &Cluster<'_>) {
    if cluster.services.is_empty() {
        return report.check("cluster IPs", "no Service has one", None);
    }
    let found = change(
        Severity::Info,
        "Other ports of cluster IPs, and cluster IPs of no Service, answer otherwise",
        "nothing, unless something waits for the old answer: a connection to a port that no \
         Service has is refused, packets to unallocated addresses of a ServiceCIDR are dropped",
    );
    let detail = plural(cluster.services.len(), "Service");
    report.check("cluster IPs", detail, [found]);
}

pub(super) fn affinity(report: &mut Report, cluster: &Cluster<'_>, why: &str) {
    let (count, named) = cluster.named(|service| service.session_affinity.is_some());
    let found = (count > 0).then(|| {
        change(
            Severity::Info,
            format!(
                "Clients of {} with session affinity may change their endpoint",
                plural(count, "Service")
            ),
            "switch node by node, while sessions may be begun anew",
        )
        .because(format!("{named}; {why}"))
    });
    report.check("session affinity", plural(count, "Service"), found);
}

pub(super) fn metrics(report: &mut Report, which: &str) {
    let found = change(
        Severity::Info,
        format!("Metrics of the other mode go away: {which}"),
        "let dashboards and alerts use those of mode nftables: docs/chart.md has some",
    );
    report.check("metrics", "some are of the other mode alone", [found]);
}
