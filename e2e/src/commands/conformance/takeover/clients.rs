//! Clients that go on while one proxy takes over from another.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use e2e::Stream;
use e2e::probe::{Protocol, Reply, probe};

use super::{Services, row};
use crate::conformance::case::Source;
use crate::conformance::live::{Held, ask, hold};
use crate::conformance::rig::Side;
use crate::conformance::run::Row;
use crate::conformance::spec::{Family, Frontend};

/// Connections before and after the change, so that it happens amid them.
const MARGIN: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_millis(1500);
/// Enough that another endpoint would be chosen at least once.
const AGAIN: usize = 8;

/// New connections in a steady stream, some that stay, and clients that have affinity.
pub(super) struct Clients {
    streams: Vec<(String, Stream)>,
    held: Vec<Held>,
    sticky: Vec<Sticky>,
}

/// What clients with affinity find after a change.
#[derive(Clone, Copy)]
pub(super) enum Affinity {
    /// The pod that each had.
    Stays,
    /// One pod, any: upstream has sets of its own, and mode iptables has lists that nothing else
    /// reads.
    OneAgain,
}

/// A client with affinity, and the pod that it has.
struct Sticky {
    name: String,
    source: Source,
    target: SocketAddr,
    pod: String,
}

impl Clients {
    pub(super) fn start(side: &Side, services: &Services) -> Result<Self> {
        let held = hold(side, &services.long, 1)?;
        let mut sticky = Vec::new();
        let mut streams = Vec::new();
        for family in Family::BOTH {
            for source in Source::ALL {
                let port = &services.sticky.ports[0];
                let target = services.sticky.target(Frontend::ClusterIp, family, port);
                if let Some(target) = target {
                    sticky.push(Sticky {
                        name: format!("{}/{}", source.name(), family.name().to_lowercase()),
                        source,
                        target,
                        pod: pods(side, source, target, 1)?.into_keys().collect(),
                    });
                }
            }
            for (frontend, source) in [
                (Frontend::ClusterIp, Source::Pod),
                (Frontend::NodePort, Source::Outside),
                (Frontend::Balancer, Source::Outside),
                (Frontend::ClusterIp, Source::Node),
            ] {
                let port = &services.short.ports[0];
                if let Some(target) = services.short.target(frontend, family, port) {
                    let place = format!("{}/{}", frontend.name(), source.name());
                    let stream = Stream::start(side.namespace(source), target)?;
                    streams.push((format!("{place}/{}", family.name().to_lowercase()), stream));
                }
            }
        }
        std::thread::sleep(MARGIN);
        Ok(Self {
            streams,
            held,
            sticky,
        })
    }

    /// Ends the streams and tells what became of all clients.
    pub(super) fn finish(
        mut self,
        side: &Side,
        name: &str,
        affinity: Affinity,
    ) -> Result<Vec<Row>> {
        std::thread::sleep(MARGIN);
        let mut rows = Vec::new();
        let mut total = 0;
        for (stream, running) in self.streams {
            let tally = running.stop()?;
            total += tally.answered();
            let failed = match tally.failures.is_empty() {
                true => "none failed".to_owned(),
                false => format!(
                    "{} of {} failed: {:?}",
                    tally.failures.values().sum::<u32>(),
                    tally.answered() + tally.failures.values().sum::<u32>(),
                    tally.failures
                ),
            };
            rows.push(row(
                name,
                &format!("stream/{stream}"),
                "none failed",
                failed,
            ));
        }
        println!("       takeover {name}: {total} new connections amid the change");
        let answers = ask(&mut self.held);
        for (held, answer) in self.held.iter().zip(answers) {
            rows.push(row(name, &format!("held/{}", held.name), "goes on", answer));
        }
        for client in &self.sticky {
            let now = pods(side, client.source, client.target, AGAIN)?;
            let now: Vec<_> = now.into_keys().collect();
            let what = format!("affinity/{}", client.name);
            rows.push(match affinity {
                Affinity::Stays => {
                    let expected = format!("{:?}", [&client.pod]);
                    row(name, &what, &expected, format!("{now:?}"))
                }
                Affinity::OneAgain => row(
                    name,
                    &what,
                    "1 of the pods",
                    format!("{} of the pods", now.len()),
                ),
            });
        }
        Ok(rows)
    }
}

/// Which pods answer, and how often.
fn pods(
    side: &Side,
    source: Source,
    target: SocketAddr,
    tries: usize,
) -> Result<BTreeMap<String, u32>> {
    let mut pods = BTreeMap::new();
    for _ in 0..tries {
        let reply = side
            .namespace(source)
            .run(|| probe(Protocol::Tcp, target, PATIENCE))?;
        let pod = match reply {
            Reply::Answer(answer) => answer.pod,
            other => other.to_string(),
        };
        *pods.entry(pod).or_default() += 1;
    }
    Ok(pods)
}
