//! What only mode iptables does.

use super::{Cluster, change};
use crate::check::facts::{Facts, Others};
use crate::check::hook::Hook;
use crate::check::owner::Owner;
use crate::check::report::{Report, plural};
use crate::finding::{Finding, Severity};

/// kube-proxy's chains accept forwarded packets of Services and health checks, in the very chains
/// that drop the rest. An accept in a table of its own does not help there.
pub(super) fn accepts(report: &mut Report, facts: &Facts, cluster: &Cluster<'_>) {
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
                 {} in it go away",
                plural(health, "health check node port")
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
pub(super) fn invalid(report: &mut Report, facts: &Facts) {
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
