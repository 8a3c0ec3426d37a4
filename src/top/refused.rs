//! What the rules refuse, by the reasons that they count, and whose packets those can be.

use super::sample::{Drops, Reason, Row, per_second};
use crate::netlink::dump::Reader;
use rules::model::{Family, Protocol};
use rules::nft::ruleset::Counter;
use rules::nft::totals::Totals;
use rules::usage::Refusals;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// The counters of both families' tables.
pub(super) struct Refused {
    families: Vec<(Reader, Totals)>,
}

/// Packets since the last look, by reason.
pub(super) type Counts = BTreeMap<Counter, u64>;

impl Refused {
    /// Opens sockets in the calling thread's network namespace.
    ///
    /// # Errors
    /// There are none to be had.
    pub(super) fn open() -> io::Result<Self> {
        let open = |family| Ok((Reader::open(family)?, Totals::default()));
        let families = Family::ALL.into_iter().map(open);
        Ok(Self {
            families: families.collect::<io::Result<_>>()?,
        })
    }

    /// What was refused since the last look; `None` if no table counts.
    ///
    /// # Errors
    /// The kernel does not permit to look.
    pub(super) fn look(&mut self) -> io::Result<Option<Counts>> {
        let mut counts: Option<Counts> = None;
        for (reader, totals) in &mut self.families {
            let Some(reading) = reader.counters()? else {
                continue;
            };
            if reading.counters.is_empty() {
                continue;
            }
            let sums = counts.get_or_insert_default();
            // The first reading is where counting begins.
            for (counter, packets) in totals.take(&reading).counters {
                *sums.entry(counter).or_default() += packets;
            }
        }
        Ok(counts)
    }
}

/// The node's rates, those of every reason.
pub(super) fn reasons(counts: &Counts, time: Duration) -> Vec<Reason> {
    let reasons = Counter::ALL.into_iter().filter_map(|counter| {
        let packets = match counter {
            // Those that the table's settings have no use for are not in it.
            Counter::Invalid | Counter::LocalhostNodeport(_) => *counts.get(&counter)?,
            _ => counts.get(&counter).copied().unwrap_or(0),
        };
        Some(Reason {
            reason: words(counter)?,
            per_second: per_second(packets, time),
        })
    });
    reasons.collect()
}

/// Tells each row why its packets are refused. The rules count by reason alone, so that a rate is
/// known where one Service port on the node, and no other, refuses for that reason.
pub(super) fn attribute(
    rows: &mut [Row],
    everybody: impl Iterator<Item = Refusals>,
    counts: &Counts,
    time: Duration,
) {
    let mut ports: BTreeMap<Counter, usize> = BTreeMap::new();
    for refusals in everybody {
        for counter in counters(refusals) {
            *ports.entry(counter).or_default() += 1;
        }
    }
    for row in rows {
        let found = counters(row.refusals).filter_map(|counter| {
            let only = ports.get(&counter) == Some(&1);
            let packets = counts.get(&counter).copied().unwrap_or(0);
            let rate = only.then(|| per_second(packets, time));
            // Who lets some sources in refuses nothing as long as no other comes.
            let refuses = counter != Counter::SourceRange || rate > Some(0.0);
            let reason = words(counter).filter(|_| refuses)?;
            Some(Drops {
                reason,
                per_second: rate,
            })
        });
        // The first of equals: the worse one.
        row.drops = found.reduce(|most, next| match next.per_second > most.per_second {
            true => next,
            false => most,
        });
    }
}

/// The counters that a Service port's packets may count at, the worst first.
fn counters(refusals: Refusals) -> impl Iterator<Item = Counter> {
    let all = [
        (refusals.no_endpoint, Counter::NoEndpoint),
        (refusals.no_local_endpoint, Counter::NoLocalEndpoint),
        (refusals.source_range, Counter::SourceRange),
    ];
    all.into_iter()
        .filter_map(|(refuses, counter)| refuses.then_some(counter))
}

/// A reason in a few words.
fn words(counter: Counter) -> Option<&'static str> {
    Some(match counter {
        Counter::Connections => return None,
        Counter::NoEndpoint => "no endpoint",
        Counter::NoLocalEndpoint => "none on this node",
        Counter::SourceRange => "source range",
        Counter::UnallocatedClusterIp => "unallocated cluster IP",
        Counter::WrongPort => "wrong port",
        Counter::Invalid => "invalid",
        Counter::LocalhostNodeport(Protocol::Tcp) => "TCP node port on localhost",
        Counter::LocalhostNodeport(Protocol::Udp) => "UDP node port on localhost",
        Counter::LocalhostNodeport(Protocol::Sctp) => "SCTP node port on localhost",
    })
}
