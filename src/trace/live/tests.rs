//! From events, as the kernel tells them, to what is shown.

use super::assemble::Assembler;
use super::*;
use crate::netlink::nftrace::{Event, Headers, Kind};
use rules::model::Protocol;

const MARKER: &str = "kube-proxy-trace-7";

fn headers(port: u16, to: &str) -> Headers {
    Headers {
        source: "203.0.113.9".parse().expect("an address"),
        destination: to.parse().expect("an address"),
        protocol: Protocol::Tcp,
        source_port: 40_000,
        port,
    }
}

fn event(id: u32, table: &str, chain: &str, handle: u64, verdict: libc::c_int) -> Event {
    Event {
        id,
        family: 2,
        table: table.to_owned(),
        chain: chain.to_owned(),
        kind: Kind::Rule { handle },
        verdict: Some((verdict, None)),
        headers: None,
        input: Some("eth0".to_owned()),
        output: None,
        mark: 0,
    }
}

fn marked(id: u32, chain: &str) -> Event {
    Event {
        headers: Some(headers(80, "198.51.100.7")),
        ..event(id, MARKER, chain, 1, libc::NFT_CONTINUE)
    }
}

fn taken(events: impl IntoIterator<Item = Event>) -> Assembler {
    let mut assembler = Assembler::new(MARKER);
    let now = Instant::now();
    for event in events {
        assembler.take(Some(event), now);
    }
    assembler.finish(Some(now));
    assembler
}

#[test]
fn packets_end_as_their_last_event_says() {
    let translated = Event {
        headers: Some(headers(8080, "10.244.1.5")),
        ..event(1, "kube-proxy", "nat-postrouting", 9, libc::NF_ACCEPT)
    };
    let dropped = event(2, "fw", "forward", 3, libc::NF_DROP);
    let to_the_node = event(3, "kube-proxy", "filter-input", 4, libc::NF_ACCEPT);
    let assembler = taken([
        marked(1, "prerouting"),
        marked(2, "prerouting"),
        translated,
        dropped,
        marked(3, "prerouting"),
        to_the_node,
        marked(4, "prerouting"),
    ]);
    let mut ends: Vec<Ending> = assembler.seen.iter().map(|seen| seen.end()).collect();
    ends.sort_by_key(|end| format!("{end:?}"));
    let expected = [
        Ending::Delivered,
        Ending::Dropped,
        Ending::Local,
        Ending::Routed,
    ];
    assert_eq!(ends, expected);
    assert!(!assembler.lost && assembler.count == 4);
}

#[test]
fn the_same_number_again_is_another_packet_unless_the_node_sent_it_to_itself() {
    let again = taken([marked(1, "prerouting"), marked(1, "prerouting")]);
    assert_eq!(again.count, 2);
    let to_itself = taken([marked(1, "output"), marked(1, "prerouting")]);
    assert_eq!(to_itself.count, 1);
    assert_eq!(to_itself.seen[0].input, None, "it came from the node");
    let third = taken([
        marked(1, "output"),
        marked(1, "prerouting"),
        marked(1, "output"),
    ]);
    assert_eq!(third.count, 2);
}

#[test]
fn traces_that_others_asked_for_are_theirs() {
    let assembler = taken([event(5, "kube-proxy", "services", 1, libc::NFT_GOTO)]);
    assert_eq!(assembler.count, 0);
}

#[test]
fn what_was_lost_is_remembered() {
    let mut assembler = Assembler::new(MARKER);
    assembler.take(None, Instant::now());
    assert!(assembler.lost);
}

#[test]
fn so_many_packets_are_kept_and_the_others_counted() {
    let assembler = taken((0..3000).map(|id| marked(id % 900, "prerouting")));
    assert_eq!(assembler.count, 3000);
    assert_eq!(assembler.seen.len(), 2000);
}
