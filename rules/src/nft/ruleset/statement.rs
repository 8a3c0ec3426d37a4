//! What rules are made of: only the matches and actions the product needs.

use super::{AffinitySet, Counter, SetId, SourceSet, Verdict};
use crate::model::{EndpointAddr, Protocol};
use ipnet::IpNet;
use std::sync::Arc;

/// One end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `saddr`.
    Source,
    /// `daddr`.
    Destination,
}

/// A packet field that is concatenated into a lookup key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// `ip saddr` or `ip daddr` (`ip6` in the other family).
    Address(Side),
    /// `meta l4proto`.
    Protocol,
    /// `th dport`.
    Port,
}

/// How one of some endpoints is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// `numgen random mod N`.
    Random,
    /// `jhash ip saddr mod N seed 0x1`: for a source always the same one, as long
    /// as the list is the same, and on every node.
    Source,
}

impl Pick {
    /// The hash's seed: any number, the same one everywhere. Without one the
    /// kernel makes one up for each rule.
    pub const SEED: u32 = 1;
}

/// A match or an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `ct state new`.
    CtStateNew,
    /// `ct state invalid`: a packet that conntrack cannot place in any connection.
    CtStateInvalid,
    /// `ct status dnat`: the connection was translated.
    CtStatusDnat,
    /// `fib saddr type local` or `fib daddr type local`.
    FibLocal(Side),
    /// `ip saddr 10.0.0.0/8`, with `!=` if `negated`. The prefix is of the
    /// table's family; a /32 or /128 prints and compares as a plain address.
    Address {
        /// Which address.
        side: Side,
        /// The range.
        prefix: IpNet,
        /// Match what is outside.
        negated: bool,
    },
    /// `iifname "cni0"`, or `iifname "cali*"` if `wildcard`; `!=` if `negated`.
    InputInterface {
        /// The name or its beginning, at most 15 bytes.
        name: Arc<str>,
        /// `name` is a beginning, then of at most 14 bytes.
        wildcard: bool,
        /// Match the others.
        negated: bool,
    },
    /// `ip daddr . meta l4proto @set`, with `!=` if `negated`.
    InSet {
        /// The key's fields.
        key: &'static [Header],
        /// The set.
        set: SetId,
        /// Match what is not in it.
        negated: bool,
    },
    /// `ip saddr != @set`: the client is none of these.
    NotFrom(SourceSet),
    /// `ip saddr @set`: the client was sent to this endpoint not long ago.
    InAffinity(AffinitySet),
    /// `update @set { ip saddr timeout 3h }`: remember the client from now on.
    UpdateAffinity {
        /// The endpoint's clients.
        set: AffinitySet,
        /// For how long, in seconds.
        seconds: u32,
    },
    /// `counter name "connections"`.
    Count(Counter),
    /// `add @set { ip daddr . meta l4proto . th dport }`: counts the packet in a set with counters.
    /// If it is full, the rule ends here.
    CountIn {
        /// The key's fields.
        key: &'static [Header],
        /// The set.
        set: SetId,
    },
    /// `numgen random mod N 0`: matches one packet in N, at random.
    OneIn(u32),
    /// `ip daddr . meta l4proto . th dport vmap @map`.
    VerdictMap {
        /// The key's fields.
        key: &'static [Header],
        /// The map.
        map: SetId,
    },
    /// `meta mark & BIT != 0x00000000`.
    MarkHas(u32),
    /// `meta mark set meta mark | BIT`.
    MarkOr(u32),
    /// `meta mark set meta mark ^ BIT`.
    MarkXor(u32),
    /// `masquerade fully-random`.
    Masquerade,
    /// `reject`: ICMP port unreachable, for TCP too, as upstream does.
    Reject,
    /// `dnat ip to KEY . numgen random mod MODULUS map @map`.
    Dnat {
        /// The key's fields before the random index.
        key: &'static [Header],
        /// How many endpoints the frontend has.
        modulus: u32,
        /// The map from key and index to address and port.
        map: SetId,
    },
    /// `meta l4proto tcp dnat to ADDRESS:PORT`.
    DnatTo {
        /// The endpoint's protocol.
        protocol: Protocol,
        /// The endpoint.
        backend: EndpointAddr,
    },
    /// `meta l4proto tcp dnat ip to PICK offset FIRST map @port-endpoints`: one
    /// of the `count` endpoints of a port that are listed from `first` on.
    DnatListed {
        /// The port's protocol.
        protocol: Protocol,
        /// Which one.
        pick: Pick,
        /// How many there are, at least 1.
        count: u32,
        /// Where the first one is, at least 1.
        first: u32,
    },
    /// A verdict: `drop`, `goto CHAIN` or `jump CHAIN`.
    Verdict(Verdict),
}
