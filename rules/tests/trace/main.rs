//! What packets meet, as tables: source, destination, and what becomes of it.
//! Each table names the section of docs/reference.md that it comes from, and holds in
//! both families, for the table of nftables and for the chains of iptables. Where upstream's
//! modes differ, a table says so, with the reason. How to read the words: see `names`.

mod cluster;
mod names;

mod affinity;
mod chains;
mod frontends;
mod masquerade;
mod nodeports;
mod policy;
mod selection;
mod services;
mod sources;
mod steps;
mod ways;

use cluster::Cluster;
use oracle::Mode;
use rules::model::Family;
use std::collections::BTreeMap;

/// Source, destination, what becomes of it.
type Row = (&'static str, &'static str, &'static str);

/// Checks a table in both families and modes. Sources and destinations may be several,
/// with spaces between.
fn table(rule: &str, build: impl Fn(Cluster) -> Cluster, rows: &[Row]) {
    differing(rule, build, rows, "", &[]);
}

/// The same for modes that differ: `in_iptables` has what becomes of packets in mode iptables, where
/// that is something else, for the reason that is given.
fn differing(
    rule: &str,
    build: impl Fn(Cluster) -> Cluster,
    rows: &[Row],
    reason: &str,
    in_iptables: &[Row],
) {
    let pairs = |rows: &[Row]| -> BTreeMap<(&str, &str), &str> {
        let pairs = rows.iter().flat_map(|(sources, destinations, wanted)| {
            let sources = sources.split(' ');
            sources.flat_map(move |source| {
                let destinations = destinations.split(' ');
                destinations.map(move |destination| ((source, destination), *wanted))
            })
        });
        pairs.collect()
    };
    let (common, other) = (pairs(rows), pairs(in_iptables));
    for (pair, wanted) in &other {
        let known = common.get(pair);
        assert!(
            known.is_some_and(|known| known != wanted),
            "{rule}: {pair:?} is no difference"
        );
    }
    let mut wrong = Vec::new();
    for (family, mode) in Family::ALL
        .iter()
        .flat_map(|own| Mode::ALL.map(|mode| (*own, mode)))
    {
        let cluster = build(Cluster::new(family));
        let programmed = cluster.programmed(mode);
        for (pair, wanted) in &common {
            let wanted = match mode {
                Mode::Nftables => wanted,
                Mode::Iptables => other.get(pair).unwrap_or(wanted),
            };
            let (source, destination) = *pair;
            let (found, trace) = cluster.ends(&programmed, source, destination);
            if found != *wanted {
                wrong.push(format!(
                    "{family} {mode:?}: {source} to {destination}: {found}, not {wanted}\n{trace}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{rule} {reason}\n{}", wrong.join("\n"));
}

const ALL_SOURCES: &str = "pod node loopback other-node far-pod outside";
const OUTSIDE: &str = "external balancer nodeport";
