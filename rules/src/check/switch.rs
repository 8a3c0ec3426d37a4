//! What a switch to mode nftables changes on this node, for these Services: KP305 and KP309.
//!
//! What each mode does: docs/reference.md, and for mode iptables upstream's `pkg/proxy/iptables`.

use super::facts::{Facts, Others};
use super::hook::Hook;
use super::owner::Owner;
use super::report::Report;
use crate::finding::{Code, Finding, Severity};
use crate::model::{Family, Protocol, Service};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;

/// So many Services are named; the others are counted.
const NAMED: usize = 5;

/// The mode that serves now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// kube-proxy in mode iptables.
    Iptables,
    /// kube-proxy in mode ipvs.
    Ipvs,
    /// kube-proxy in mode nftables.
    Nftables,
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iptables => "iptables",
            Self::Ipvs => "ipvs",
            Self::Nftables => "nftables",
        })
    }
}

/// The cluster, as far as a switch has to do with it.
#[derive(Clone, Debug, Default)]
pub struct Cluster<'a> {
    /// The Services.
    pub services: Vec<&'a Service>,
    /// Which of the node's addresses answer node ports in mode nftables, by family; `None` for all
    /// but loopback ones.
    pub node_port_addresses: Vec<(Family, Option<Vec<IpAddr>>)>,
    /// `ipvs.scheduler`, if it is set.
    pub ipvs_scheduler: String,
    /// `ipvs.excludeCIDRs` is set.
    pub ipvs_excludes: bool,
}

impl Cluster<'_> {
    /// The Services with something, named as far as there are not too many.
    fn named(&self, has: impl Fn(&Service) -> bool) -> (usize, String) {
        let mut names: Vec<String> = (self.services.iter())
            .filter(|service| has(service))
            .map(|service| service.name.to_string())
            .collect();
        names.sort_unstable();
        let count = names.len();
        names.truncate(NAMED);
        let more = match count - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (count, format!("{}{more}", names.join(", ")))
    }

    /// The Service that has a node port.
    fn of_node_port(&self, protocol: Protocol, port: u16) -> Option<&Service> {
        let mut services = self.services.iter();
        let has = |service: &&&Service| {
            let mut ports = service.ports.iter();
            ports.any(|one| one.protocol == protocol && one.node_port == Some(port))
        };
        services.find(has).copied()
    }
}

fn has_node_port(service: &Service) -> bool {
    service.ports.iter().any(|port| port.node_port.is_some())
}

fn change(severity: Severity, message: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding::new(Code::ModeSwitch, severity, message, remedy)
}

/// Whether somebody uses node ports on loopback addresses, which mode iptables alone serves.
pub(super) fn localhost(
    report: &mut Report,
    facts: &Facts,
    cluster: Option<&Cluster<'_>>,
    from: Option<From>,
) {
    report.group("node ports on localhost");
    let severity = match from {
        Some(From::Iptables) => Severity::Error,
        _ => Severity::Warning,
    };
    let finding = |message: String| {
        Finding::new(
            Code::LocalhostNodePortInUse,
            severity,
            message,
            "mode nftables serves no node port on 127.0.0.1: let that client use the node's own \
             address, the cluster IP, or a pod with hostPort on 127.0.0.1",
        )
    };
    match facts.counted.localhost_node_ports {
        None => report.skipped(
            "counted by kube-proxy",
            "no kube-proxy in mode iptables counts",
        ),
        Some(0) => report.check("counted by kube-proxy", "none since it started", None),
        Some(count) => {
            let found = finding(format!(
                "{count} connections came to node ports on 127.0.0.1 since kube-proxy started"
            ))
            .because(format!("localhost_nps_accepted_pkts = {count}"));
            report.check("counted by kube-proxy", count.to_string(), [found]);
        }
    }
    let flows = match &facts.localhost_flows {
        Ok(flows) => flows,
        Err(why) => return report.skipped("open connections", why),
    };
    let found = flows.iter().map(|flows| {
        let port = format!("{}/{}", flows.port, flows.protocol);
        let found = finding(format!(
            "{} connections are open to node port {port} on loopback addresses",
            flows.count
        ));
        match cluster.and_then(|cluster| cluster.of_node_port(flows.protocol, flows.port)) {
            Some(service) => found.about(format!("Service {}", service.name)),
            None => found,
        }
    });
    let found: Vec<Finding> = found.collect();
    let detail = match found.len() {
        0 => "none".to_owned(),
        count => format!("to {count} node ports"),
    };
    report.check("open connections", detail, found);
}

/// What changes for a node that another mode serves.
pub(super) fn switch(report: &mut Report, facts: &Facts, cluster: &Cluster<'_>, from: From) {
    report.group(&format!("switch from {from}"));
    match from {
        From::Iptables => {
            node_ports(report, facts, cluster);
            accepts(report, facts, cluster);
            invalid(report, facts);
            cluster_ips(report, cluster);
            affinity(
                report,
                cluster,
                "the lists of iptables' match recent are not read",
            );
            report.check(
                "open connections",
                "stay where they are: connection tracking has their translation",
                None,
            );
            metrics(report, "sync_proxy_rules_iptables_ and iptables_");
        }
        From::Ipvs => {
            node_ports(report, facts, cluster);
            schedulers(report, facts, cluster);
            virtual_servers(report, facts, cluster);
            strict_arp(report, facts);
            cluster_ips(report, cluster);
            affinity(report, cluster, "ipvs' persistence templates are not read");
            metrics(report, "sync_proxy_rules_iptables_");
        }
        From::Nftables => {
            report.check(
                "rules",
                "upstream's table is replaced in one transaction, without a gap",
                None,
            );
            let (count, _) = cluster.named(|service| service.session_affinity.is_some());
            let detail = format!("clients of {count} Services with affinity are carried over");
            report.check("session affinity", detail, None);
            report.check("open connections", "stay where they are", None);
            metrics(
                report,
                "sync_proxy_rules_nftables_cleanup_failures_total and other",
            );
        }
    }
}

/// In modes iptables and ipvs every address answers node ports unless `nodePortAddresses` says
/// otherwise; in mode nftables the Node's own ones.
fn node_ports(report: &mut Report, facts: &Facts, cluster: &Cluster<'_>) {
    let name = "addresses of node ports";
    let (count, named) = cluster.named(has_node_port);
    if count == 0 {
        return report.check(name, "no Service has node ports", None);
    }
    let addresses = match &facts.addresses {
        Ok(addresses) => addresses,
        Err(why) => return report.skipped(name, why),
    };
    let answers = |address: &IpAddr| {
        let mut families = cluster.node_port_addresses.iter();
        let listed = families.find(|(family, _)| *family == Family::of(*address));
        listed.is_none_or(|(_, listed)| {
            (listed.as_ref()).is_none_or(|listed| listed.contains(address))
        })
    };
    let mut closed: Vec<String> = (addresses.iter())
        .filter(|address| is_reachable(**address) && !answers(address))
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
        format!("Node ports of {count} Services answer no longer on {closed}"),
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

/// kube-proxy's chains accept forwarded packets of Services and health checks, in the very chains
/// that drop the rest. An accept in a table of its own does not help there.
fn accepts(report: &mut Report, facts: &Facts, cluster: &Cluster<'_>) {
    let Others { chains, census } = match &facts.others {
        Ok(others) => others,
        Err(why) => return report.skipped("accepting rules", why),
    };
    let shared = chains.iter().filter(|chain| {
        chain.fate.drops_rest
            && census.iter().any(|census| {
                census.owner == Owner::KubeProxy
                    && (census.family, &census.table) == (chain.family, &chain.table)
            })
    });
    let (health, named) = cluster.named(|service| service.health_check_node_port.is_some());
    let found = shared.filter_map(|chain| {
        match chain.hook {
        Hook::Forward => Some(change(
            Severity::Error,
            format!(
                "Chain {chain} drops what it does not accept, and kube-proxy's rules that accept \
                 packets of Services in it go away"
            ),
            format!(
                "before the switch, accept them by a rule of your own: `nft insert rule {chain} ct \
                 status dnat accept`, or `iptables -I FORWARD -m conntrack --ctstate DNAT -j \
                 ACCEPT`; or make its policy accept"
            ),
        )
        .because("KUBE-FORWARD accepts marked and established packets")),
        Hook::Input if health > 0 => Some(change(
            Severity::Error,
            format!(
                "Chain {chain} drops what it does not accept, and kube-proxy's rules that accept \
                 {health} health check node ports in it go away"
            ),
            "before the switch, accept these ports by rules of your own",
        )
        .because(format!("Services with a health check node port: {named}"))),
        _ => None,
    }
    });
    let found: Vec<Finding> = found.collect();
    let detail = match found.len() {
        0 => "none that anything depends on",
        _ => "some go away that packets depend on",
    };
    report.check("accepting rules", detail, found);
}

/// Mode iptables drops forwarded packets that connection tracking calls INVALID.
fn invalid(report: &mut Report, facts: &Facts) {
    let liberal = facts
        .sysctls
        .get("net/netfilter/nf_conntrack_tcp_be_liberal");
    if liberal.is_some_and(|value| value.trim() != "0") {
        return report.check("INVALID packets", "were not dropped before either", None);
    }
    let dropped = facts.counted.invalid.unwrap_or(0);
    let severity = match dropped {
        0 => Severity::Info,
        _ => Severity::Warning,
    };
    let found = change(
        severity,
        "Packets that connection tracking calls INVALID are no longer dropped on their way through \
         this node",
        "where long transfers are reset after the switch: `conntrack: {tcpBeLiberal: true}` in the \
         configuration makes them part of their connections",
    );
    let found = match facts.counted.invalid {
        Some(count) => found.because(format!("ct_state_invalid_dropped_pkts = {count}")),
        None => found,
    };
    report.check(
        "INVALID packets",
        format!("{dropped} dropped so far, as counted"),
        [found],
    );
}

fn cluster_ips(report: &mut Report, cluster: &Cluster<'_>) {
    if cluster.services.is_empty() {
        return report.check("cluster IPs", "no Service has one", None);
    }
    let found = change(
        Severity::Info,
        "Other ports of cluster IPs, and cluster IPs of no Service, answer otherwise",
        "nothing, unless something waits for the old answer: a connection to a port that no \
         Service has is refused, packets to unallocated addresses of a ServiceCIDR are dropped",
    );
    let detail = format!("{} Services", cluster.services.len());
    report.check("cluster IPs", detail, [found]);
}

fn affinity(report: &mut Report, cluster: &Cluster<'_>, why: &str) {
    let (count, named) = cluster.named(|service| service.session_affinity.is_some());
    let found = (count > 0).then(|| {
        change(
            Severity::Info,
            format!("Clients of {count} Services with session affinity may change their endpoint"),
            "switch node by node, while sessions may be begun anew",
        )
        .because(format!("{named}; {why}"))
    });
    report.check("session affinity", format!("{count} Services"), found);
}

fn metrics(report: &mut Report, which: &str) {
    let found = change(
        Severity::Info,
        format!("Metrics of the other mode go away: kubeproxy_{which}"),
        "let dashboards and alerts use those of mode nftables: docs/chart.md has some",
    );
    report.check("metrics", "some are of the other mode alone", [found]);
}

fn schedulers(report: &mut Report, facts: &Facts, cluster: &Cluster<'_>) {
    let mut used: Vec<&str> = facts.ipvs.schedulers.iter().map(String::as_str).collect();
    used.push(&cluster.ipvs_scheduler);
    used.retain(|scheduler| !matches!(*scheduler, "" | "rr"));
    used.sort_unstable();
    used.dedup();
    let found = (!used.is_empty()).then(|| {
        change(
            Severity::Warning,
            format!(
                "Endpoints are chosen at random, no longer by scheduler {}",
                used.join(", ")
            ),
            "where clients have to come back to their endpoint (sh, mh): `sessionAffinity: \
             ClientIP`; for few long connections (lc, wlc): more endpoints",
        )
    });
    report.check(
        "schedulers",
        if used.is_empty() {
            "rr"
        } else {
            "others than rr"
        },
        found,
    );
}

fn virtual_servers(report: &mut Report, facts: &Facts, cluster: &Cluster<'_>) {
    let broken = change(
        Severity::Warning,
        "Connections that are open at the switch break: ipvs has their translation, and forgets it",
        "drain the node first, or switch while clients may connect anew",
    );
    let local = facts.ipvs.addresses.map(|addresses| {
        change(
            Severity::Info,
            format!("{addresses} addresses of Services are no longer this node's own"),
            "nothing answers ping there any more, and no server of the node that listens on all \
             addresses",
        )
    });
    let excluded = cluster.ipvs_excludes.then(|| {
        change(
            Severity::Warning,
            "ipvs.excludeCIDRs means nothing here: all virtual servers are removed at the first \
             start",
            "keep other people's virtual servers on other nodes, or let them be added anew after \
             the switch",
        )
    });
    let detail = match facts.ipvs.servers {
        Some(servers) => format!("{servers}"),
        None => "unknown".to_owned(),
    };
    let found = [Some(broken), local, excluded].into_iter().flatten();
    report.check("virtual servers", detail, found);
}

fn strict_arp(report: &mut Report, facts: &Facts) {
    let is = |name: &str, value: &str| {
        let found = facts.sysctls.get(name);
        found.is_some_and(|found| found.trim() == value)
    };
    let strict =
        is("net/ipv4/conf/all/arp_ignore", "1") && is("net/ipv4/conf/all/arp_announce", "2");
    let found = strict.then(|| {
        change(
            Severity::Info,
            "arp_ignore and arp_announce stay as ipvs.strictARP has set them",
            "nftables needs neither: `sysctl -w net.ipv4.conf.all.arp_ignore=0 \
             net.ipv4.conf.all.arp_announce=0`, unless something else (MetalLB, kube-vip) does",
        )
    });
    report.check("strictARP", if strict { "set" } else { "not set" }, found);
}
