//! What real packets of a pair do: they are marked, and the kernel tells each rule that they match.

mod assemble;
mod foreign;
mod show;

use super::ending::{ClientAddress, Ending};
use crate::netlink::dump::Reader;
use crate::netlink::nftrace::{self, Follower, Marking, Pair};
use anyhow::Context;
use assemble::{Assembler, Seen};
use foreign::ForeignRule;
use rules::model::Family;
use rules::trace::Packet;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Packets that come to an end are told so long after the last that was heard of them.
const QUIET: Duration = Duration::from_millis(300);

/// What was seen.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Followed {
    /// For how long packets were followed.
    pub seconds: f64,
    /// How many there were.
    pub packets: usize,
    /// The kernel told more than was read, so that some are missing.
    pub incomplete: bool,
    /// Their ways, the most frequent first; those of packets that went the same way are one.
    pub ways: Vec<LiveWay>,
}

/// The way of some packets.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveWay {
    /// How many went it.
    pub packets: usize,
    /// How it ended.
    pub outcome: Ending,
    /// The chain that dropped or rejected them; `null` if none did.
    pub ended_by: Option<String>,
    /// Whether the client's address was kept; `null` if they came nowhere.
    pub client_address: Option<ClientAddress>,
    /// The interface that they came in by; `null` if the node itself sent them.
    pub interface: Option<String>,
    /// Where they came.
    pub endpoints: Vec<Reached>,
    /// Every rule that decided something, in order.
    pub steps: Vec<LiveStep>,
}

/// An endpoint that packets were sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reached {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// How many packets.
    pub packets: usize,
}

/// A rule that real packets matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveStep {
    /// The hook; `null` where it is not known.
    pub hook: Option<String>,
    /// Family and name of the table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule's place in the chain, from 1; `null` for a chain's policy, and for others' rules.
    pub position: Option<usize>,
    /// What it did, in words; of others' rules in those of `nft --debug=netlink`.
    pub words: String,
}

/// Follows a packet's likes until the time is over or somebody asks to stop. `tell` hears of each
/// as it ends.
///
/// # Errors
/// The kernel does not permit it, or knows no traces.
pub async fn follow(
    packet: &Packet,
    hooks: BTreeMap<String, String>,
    limit: Duration,
    mut tell: impl FnMut(&str),
) -> anyhow::Result<Followed> {
    let family = Family::of(packet.destination);
    for family in Family::ALL {
        nftrace::remove_leftovers(family).context("removing what an earlier --live left")?;
    }
    let pair = Pair {
        protocol: packet.protocol,
        source: packet.source,
        destination: packet.destination,
        port: packet.port,
    };
    let mut follower = Follower::open().context("listening to nftrace")?;
    let mut reader = Reader::open(family).context("reading nftables")?;
    let marking = Marking::set(pair).context("setting meta nftrace for this pair")?;
    let by = match marking.is_owned() {
        true => "the kernel removes it with this process",
        false => "it is removed at the end",
    };
    tell(&format!(
        "following packets of this pair by table {} {}, {by}; stop with Ctrl-C",
        family.nft(),
        marking.table()
    ));
    let mut assembler = Assembler::new(marking.table());
    let begun = Instant::now();
    let deadline = tokio::time::Instant::now() + limit;
    let mut stop = std::pin::pin!(stop_signal());
    loop {
        let events = tokio::select! {
            biased;
            () = &mut stop => break,
            () = tokio::time::sleep_until(deadline) => break,
            events = follower.next() => events.context("listening to nftrace")?,
            () = tokio::time::sleep(QUIET), if assembler.is_busy() => Vec::new(),
        };
        let now = Instant::now();
        for event in events {
            assembler.take(event, now);
        }
        for seen in assembler.finish(now.checked_sub(QUIET)) {
            tell(&told(&seen));
        }
    }
    drop(marking);
    for seen in assembler.finish(Some(Instant::now())) {
        tell(&told(&seen));
    }
    let rules = reader.rules_by_handle().context("reading nftables")?;
    let mut foreign: BTreeMap<(u8, String), BTreeMap<u64, ForeignRule>> = BTreeMap::new();
    for (family, table, chain) in assembler.foreign_chains() {
        let rules = foreign::rules(family, &table, &chain).unwrap_or_default();
        foreign.entry((family, table)).or_default().extend(rules);
    }
    let known = show::Known {
        packet,
        rules,
        foreign,
        hooks,
    };
    let ways = show::ways(&assembler.seen, &known);
    Ok(Followed {
        seconds: begun.elapsed().as_secs_f64(),
        packets: assembler.count,
        incomplete: assembler.lost || assembler.count > assembler.seen.len(),
        ways,
    })
}

/// One packet, in a line.
fn told(seen: &Seen) -> String {
    let packet = match &seen.first {
        Some(first) => {
            let source = std::net::SocketAddr::new(first.source, first.source_port);
            let to = std::net::SocketAddr::new(first.destination, first.port);
            format!("{} {source} → {to}", first.protocol)
        }
        None => "a packet".to_owned(),
    };
    let end = match seen.end() {
        Ending::Delivered => match &seen.last {
            Some(last) => {
                let to = std::net::SocketAddr::new(last.destination, last.port);
                format!("sent on to {to}")
            }
            None => "sent on".to_owned(),
        },
        Ending::Dropped | Ending::Rejected => match seen.events.last() {
            Some(event) => format!("dropped by chain {} of table {}", event.chain, event.table),
            None => "dropped".to_owned(),
        },
        Ending::Local | Ending::Routed => "let through untranslated".to_owned(),
    };
    format!("{packet}: {end}")
}

/// Ctrl-C, or SIGTERM; never if the process cannot be told.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(test)]
mod tests;
