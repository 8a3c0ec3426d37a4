//! What only mode ipvs does.

use super::{Cluster, change};
use crate::check::facts::Facts;
use crate::check::report::Report;
use crate::finding::Severity;

pub(super) fn schedulers(report: &mut Report, facts: &Facts, cluster: &Cluster<'_>) {
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

pub(super) fn virtual_servers(report: &mut Report, facts: &Facts, cluster: &Cluster<'_>) {
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

pub(super) fn strict_arp(report: &mut Report, facts: &Facts) {
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
