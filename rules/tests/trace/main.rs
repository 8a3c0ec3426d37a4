//! What packets meet, as tables: source, destination, and what becomes of it.
//! Each table names the section of docs/reference.md that it comes from, and holds in
//! both families. How to read the words: see `names`.

mod cluster;
mod names;

mod affinity;
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
use rules::model::Family;

/// Source, destination, what becomes of it.
type Row = (&'static str, &'static str, &'static str);

/// Checks a table in both families. Sources and destinations may be several,
/// with spaces between.
fn table(rule: &str, build: impl Fn(Cluster) -> Cluster, rows: &[Row]) {
    for family in Family::ALL {
        let cluster = build(Cluster::new(family));
        let programmed = cluster.table();
        for (sources, destinations, wanted) in rows {
            for source in sources.split(' ') {
                for destination in destinations.split(' ') {
                    let found = cluster.ends(&programmed, source, destination);
                    assert_eq!(
                        found,
                        *wanted,
                        "{rule}\n{family}: {source} to {destination}\n{}",
                        cluster.trace(source, destination)
                    );
                }
            }
        }
    }
}

const ALL_SOURCES: &str = "pod node loopback other-node far-pod outside";
const OUTSIDE: &str = "external balancer nodeport";
