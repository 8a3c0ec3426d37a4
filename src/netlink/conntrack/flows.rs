//! The flows that somebody translated, counted while they are read.

use super::{ATTEMPTS, End, kernel, kind, tuple};
use nft_wire::nf_tables::{self, HEADER};
use nft_wire::{Listing, Message, Socket, Writer, attribute, attributes};
use rules::model::{EndpointAddr, Frontend, Protocol};
use rules::usage::{Flow, Ports, Seen, Tally, Traffic, Usage};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;

/// Both families.
const UNSPECIFIED: u8 = 0;

/// How many flows there are, translated or not, and how many there may be
/// (`net.netfilter.nf_conntrack_count`, `nf_conntrack_max`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Flows of any kind.
    pub entries: u32,
    /// No more than that; `None` where the kernel does not tell.
    pub limit: Option<u32>,
}

/// Lists the flows of the network namespace that it was opened in. Nothing is changed.
pub struct Flows {
    socket: Socket,
    /// The same for all lists, so that a flow has the same identity in each.
    hasher: RandomState,
}

impl Flows {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// There is none to be had.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            socket: Socket::open(nft_wire::Protocol::Netfilter)?,
            hasher: RandomState::new(),
        })
    }

    /// How full conntrack is.
    ///
    /// # Errors
    /// The kernel has no conntrack, or does not permit to ask (NET_ADMIN).
    pub fn room(&mut self) -> io::Result<Room> {
        let answer = self.socket.request(kind(kernel::CT_GET_STATS), 0, |out| {
            nf_tables::header(out, UNSPECIFIED);
        })?;
        let body = answer.get(HEADER..).unwrap_or_default();
        let number = |kind| {
            let bytes = attribute(body, kind)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?))
        };
        let entries = number(kernel::STATS_GLOBAL_ENTRIES).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Room {
            entries,
            limit: number(kernel::STATS_GLOBAL_MAX_ENTRIES),
        })
    }

    /// What the flows of each Service port add up to now. The list is read once, a datagram at a
    /// time, whatever it holds.
    ///
    /// # Errors
    /// The kernel does not permit it (NET_ADMIN), or the table changed its size each time that it
    /// was listed.
    pub fn usage<'a>(&mut self, ports: &'a Ports) -> io::Result<Usage<'a>> {
        for _ in 0..ATTEMPTS {
            let mut usage = Usage::new(ports);
            let listing = self.list(|flow| usage.add(&flow, Tally::of(&flow)))?;
            if listing == Listing::Whole {
                return Ok(usage);
            }
        }
        Err(restless())
    }

    /// The same, with what is new since the last call with the same memory.
    ///
    /// # Errors
    /// As [`usage`](Self::usage).
    pub fn look<'a>(&mut self, ports: &'a Ports, seen: &mut Seen) -> io::Result<Usage<'a>> {
        let mut usage = Usage::new(ports);
        seen.begin();
        for _ in 0..ATTEMPTS {
            // Those that a list with holes had were counted, and are not counted again.
            let listing = self.list(|flow| {
                if let Some(counts) = seen.note(&flow) {
                    usage.add(&flow, counts);
                }
            })?;
            if listing == Listing::Whole {
                seen.end();
                return Ok(usage);
            }
        }
        Err(restless())
    }

    /// How many connections are open, by where clients send and by who answers.
    ///
    /// # Errors
    /// As [`usage`](Self::usage).
    pub fn open_connections(&mut self) -> io::Result<HashMap<(Frontend, EndpointAddr), u64>> {
        for _ in 0..ATTEMPTS {
            let mut open = HashMap::new();
            let listing = self.list(|flow| {
                let frontend = Frontend {
                    address: Some(flow.destination.address),
                    protocol: flow.protocol,
                    port: flow.destination.port,
                };
                if !flow.ended {
                    *open.entry((frontend, flow.answers)).or_insert(0) += 1;
                }
            })?;
            if listing == Listing::Whole {
                return Ok(open);
            }
        }
        Err(restless())
    }

    /// How many translated flows go to each port of loopback addresses.
    ///
    /// # Errors
    /// As [`usage`](Self::usage).
    pub fn to_loopback(&mut self) -> io::Result<BTreeMap<(Protocol, u16), usize>> {
        for _ in 0..ATTEMPTS {
            let mut ports = BTreeMap::new();
            let listing = self.list(|flow| {
                if flow.destination.address.is_loopback() {
                    *ports
                        .entry((flow.protocol, flow.destination.port))
                        .or_insert(0) += 1;
                }
            })?;
            if listing == Listing::Whole {
                return Ok(ports);
            }
        }
        Err(restless())
    }

    fn list(&mut self, mut each: impl FnMut(Flow)) -> io::Result<Listing> {
        let Self { socket, hasher } = self;
        socket.list(kind(kernel::CT_GET), request, |message| {
            let flow = flow(message, hasher);
            if let Some(flow) = flow.filter(|flow| flow.destination != flow.answers) {
                each(flow);
            }
        })
    }
}

fn restless() -> io::Error {
    io::Error::other("the table of flows changed its size each time that it was listed")
}

/// Asks for the flows of both families whose destination was translated. A kernel before 5.17
/// knows no filter by status, and lists the others as well.
fn request(out: &mut Writer) {
    nf_tables::header(out, UNSPECIFIED);
    out.number(kernel::STATUS, kernel::STATUS_DST_NAT);
    out.number(kernel::STATUS_MASK, kernel::STATUS_DST_NAT);
}

/// Reads a flow of a protocol that Services have, in the default zone.
fn flow(message: Message<'_>, hasher: &RandomState) -> Option<Flow> {
    if message.kind != kind(kernel::CT_NEW) {
        return None;
    }
    let (mut original, mut reply, mut state) = (None, None, None);
    let mut traffic = None;
    let mut identity = hasher.build_hasher();
    for (kind, value) in attributes(message.payload.get(HEADER..)?) {
        match kind {
            kernel::TUPLE_ORIG => {
                original = Some(value);
                identity.write(value);
            }
            kernel::TUPLE_REPLY => reply = Some(value),
            kernel::ID => identity.write(value),
            kernel::PROTOINFO => state = ended(value),
            kernel::COUNTERS_ORIG | kernel::COUNTERS_REPLY => {
                let sum: &mut Traffic = traffic.get_or_insert_default();
                add(sum, value);
            }
            kernel::ZONE if value.iter().any(|byte| *byte != 0) => return None,
            _ => {}
        }
    }
    let (protocol, destination) = tuple::end(original?, End::Destination)?;
    let (_, answers) = tuple::end(reply?, End::Source)?;
    Some(Flow {
        identity: identity.finish(),
        protocol: [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
            .into_iter()
            .find(|own| own.number() == protocol)?,
        destination,
        answers,
        ended: state.unwrap_or(false),
        traffic,
    })
}

/// Whether a connection has ended, by its state.
fn ended(info: &[u8]) -> Option<bool> {
    let (kind, state) = attributes(info).next()?;
    let state = attribute(state, kernel::PROTOINFO_STATE)?;
    let state = state.first()?;
    Some(match kind {
        kernel::PROTOINFO_TCP => kernel::TCP_ENDED.contains(state),
        kernel::PROTOINFO_SCTP => *state == kernel::SCTP_CLOSED,
        _ => false,
    })
}

/// Adds what one direction has.
fn add(sum: &mut Traffic, counters: &[u8]) {
    for (kind, value) in attributes(counters) {
        let Ok(value) = value.try_into().map(u64::from_be_bytes) else {
            continue;
        };
        match kind {
            kernel::COUNTERS_PACKETS => sum.packets = sum.packets.saturating_add(value),
            kernel::COUNTERS_BYTES => sum.bytes = sum.bytes.saturating_add(value),
            _ => {}
        }
    }
}

/// A flow of a datagram, shown.
#[cfg(feature = "fuzzing")]
pub(in crate::netlink) fn shown(message: Message<'_>) -> Option<String> {
    flow(message, &RandomState::new()).map(|flow| {
        let Flow {
            protocol,
            destination,
            answers,
            ..
        } = flow;
        format!("{protocol} {destination:?} {answers:?}")
    })
}
