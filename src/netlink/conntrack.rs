//! Flows over ctnetlink (`linux/netfilter/nfnetlink_conntrack.h`). Here those of UDP that nobody
//! serves any more: listed, judged while they are read, and deleted one by one. Why so, and how
//! long it takes: `docs/conntrack.md`. [`Flows`] lists those that are to be counted.

mod flows;
mod kernel;
mod tuple;

#[cfg(feature = "fuzzing")]
pub(super) use flows::shown;
pub use flows::{Flows, Room};

use super::subsystem::protocol_family;
use nft_wire::nf_tables::{self, HEADER};
use nft_wire::{Listing, Message, Reply, Socket, Writer, attributes, flags};
use rules::flows::{Deleted, Flow, FlowTable, Suspects};
use rules::model::{EndpointAddr, Family, Protocol};
use std::io;
use std::net::IpAddr;
use tuple::End;

/// Listing is tried again so often if the table was resized meanwhile.
const ATTEMPTS: usize = 5;
/// Deletions are sent when there are so many bytes of them: what a pass keeps
/// in memory at most. Some 600 flows, whose answers fit the socket's buffer.
const CHUNK: usize = 64 << 10;

/// The kernel's flows, in the network namespace that it was opened in.
pub struct Conntrack {
    list: Socket,
    /// Another one, as the list is still being read while flows are deleted.
    delete: Socket,
}

impl Conntrack {
    /// Opens sockets in the calling thread's network namespace.
    ///
    /// # Errors
    /// There are no netlink sockets to be had.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            list: Socket::open(nft_wire::Protocol::Netfilter)?,
            delete: Socket::open(nft_wire::Protocol::Netfilter)?,
        })
    }

    /// Asks for the number of flows, which makes the kernel load conntrack if it is a module that
    /// nobody has needed yet.
    ///
    /// # Errors
    /// The kernel has no conntrack, or does not answer.
    pub fn load(&mut self) -> io::Result<()> {
        let kind = kind(kernel::CT_GET_STATS);
        let v4 = protocol_family(Family::V4);
        self.list
            .request(kind, 0, |out| nf_tables::header(out, v4))
            .map(drop)
    }

    /// Lists and deletes once.
    fn pass(&mut self, suspects: &Suspects<'_>, tally: &mut Deleted) -> io::Result<Listing> {
        let Self { list, delete } = self;
        let family = suspects.family();
        let mut stale = Deletions::default();
        // Even if deleting fails the list is read to its end, so the first failure is kept.
        let mut deleting = Ok(());
        let listing = list.list(
            kind(kernel::CT_GET),
            |out| dump_request(out, suspects),
            |message| {
                tally.listed += 1;
                let entry = entry(message, family);
                if let Some(entry) = entry.filter(|entry| suspects.is_stale(&entry.flow)) {
                    stale.add(family, &entry);
                }
                if stale.out.len() >= CHUNK {
                    stale.flush(delete, tally, &mut deleting);
                }
            },
        )?;
        stale.flush(delete, tally, &mut deleting);
        deleting.map(|()| listing)
    }
}

impl FlowTable for Conntrack {
    fn delete_stale(&mut self, suspects: &Suspects<'_>, tally: &mut Deleted) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            if self.pass(suspects, tally)? == Listing::Whole {
                return Ok(());
            }
        }
        Err(io::Error::other(
            "the table of flows changed its size each time that it was listed",
        ))
    }
}

/// Messages that delete flows, numbered from 1.
#[derive(Default)]
struct Deletions {
    out: Writer,
    count: u32,
    last: usize,
}

impl Deletions {
    /// The tuple finds the flow, the id makes sure that it is that very one
    /// and not one that began since.
    fn add(&mut self, family: Family, entry: &Entry<'_>) {
        self.count += 1;
        self.last = self.out.len();
        let request = flags(libc::NLM_F_REQUEST);
        let kind = kind(kernel::CT_DELETE);
        self.out.message(kind, request, self.count, |out| {
            nf_tables::header(out, protocol_family(family));
            out.nested(kernel::TUPLE_ORIG, |out| out.raw(entry.tuple));
            if let Some(id) = entry.id {
                out.attribute(kernel::ID, id);
            }
        });
    }

    /// Failures are answered anyway; this makes sure that silence is no success.
    fn acknowledge_last(&mut self) {
        self.out.acknowledge(self.last);
    }

    /// Deletes what was collected, and begins anew.
    fn flush(&mut self, socket: &mut Socket, tally: &mut Deleted, outcome: &mut io::Result<()>) {
        if self.count == 0 {
            return;
        }
        let mut all = std::mem::take(self);
        all.acknowledge_last();
        match all.send(socket) {
            Ok(deleted) => tally.deleted += u64::from(deleted),
            Err(error) if outcome.is_ok() => *outcome = Err(error),
            Err(_) => {}
        }
    }

    /// How many of them are gone by our doing.
    fn send(self, socket: &mut Socket) -> io::Result<u32> {
        let bytes = self.out.finish().map_err(io::Error::other)?;
        socket.send(&bytes)?;
        let replies = socket.replies()?.all;
        let failed = |reply: &&Reply| reply.errno != 0 && reply.errno != libc::ENOENT;
        if let Some(reply) = replies.iter().find(failed) {
            return Err(io::Error::from_raw_os_error(reply.errno));
        }
        if !replies.iter().any(|reply| reply.sequence == self.count) {
            return Err(io::Error::other("the kernel did not acknowledge"));
        }
        // Those that ended by themselves meanwhile.
        let missing = replies.iter().filter(|reply| reply.errno != 0).count();
        Ok(self.count - u32::try_from(missing).unwrap_or(self.count))
    }
}

/// The message that deletes the flow of a message of the list.
#[cfg(feature = "fuzzing")]
pub(super) fn deletion(listed: Message<'_>, family: Family) -> Option<Vec<u8>> {
    let mut deletions = Deletions::default();
    deletions.add(family, &entry(listed, family)?);
    deletions.acknowledge_last();
    deletions.out.finish().ok()
}

/// A flow as it was listed.
struct Entry<'a> {
    flow: Flow,
    /// The contents of the original direction's tuple.
    tuple: &'a [u8],
    id: Option<&'a [u8]>,
}

/// Reads a UDP flow; none of another protocol, family or zone.
fn entry(message: Message<'_>, family: Family) -> Option<Entry<'_>> {
    if message.kind != kind(kernel::CT_NEW) {
        return None;
    }
    let (mut original, mut reply, mut id) = (None, None, None);
    for (kind, value) in attributes(message.payload.get(HEADER..)?) {
        match kind {
            kernel::TUPLE_ORIG => original = Some(value),
            kernel::TUPLE_REPLY => reply = Some(value),
            kernel::ID => id = Some(value),
            kernel::ZONE if value.iter().any(|byte| *byte != 0) => return None,
            _ => {}
        }
    }
    let flow = Flow {
        destination: udp(original?, family, End::Destination)?,
        answers: udp(reply?, family, End::Source)?,
    };
    Some(Entry {
        flow,
        tuple: original?,
        id,
    })
}

/// One end of a UDP flow of the family.
fn udp(tuple: &[u8], family: Family, end: End) -> Option<EndpointAddr> {
    let (protocol, end) = tuple::end(tuple, end)?;
    let wanted = protocol == Protocol::Udp.number() && Family::of(end.address) == family;
    wanted.then_some(end)
}

/// Asks for the family's UDP flows, and only for those to the one port and the
/// one address if there are such. A kernel before 5.8 lists the whole family.
///
/// Not by an IPv6 address: up to 6.18 at least, the kernel has that comparison
/// the wrong way round and leaves out the very flows that were asked for.
fn dump_request(out: &mut Writer, suspects: &Suspects<'_>) {
    let port = suspects.port();
    let address = match suspects.address() {
        Some(IpAddr::V4(ip)) => Some(ip),
        Some(IpAddr::V6(_)) | None => None,
    };
    let mut compare = kernel::COMPARE_PROTO_NUM;
    if port.is_some() {
        compare |= kernel::COMPARE_PROTO_DST_PORT;
    }
    if address.is_some() {
        compare |= kernel::COMPARE_IP_DST;
    }
    nf_tables::header(out, protocol_family(suspects.family()));
    out.nested(kernel::TUPLE_ORIG, |out| {
        if let Some(ip) = address {
            out.nested(kernel::TUPLE_IP, |out| {
                out.attribute(kernel::IP_V4_DST, &ip.octets());
            });
        }
        out.nested(kernel::TUPLE_PROTO, |out| {
            out.attribute(kernel::PROTO_NUM, &[Protocol::Udp.number()]);
            if let Some(port) = port {
                out.attribute(kernel::PROTO_DST_PORT, &port.to_be_bytes());
            }
        });
    });
    out.nested(kernel::FILTER, |out| {
        out.attribute(kernel::FILTER_ORIG_FLAGS, &compare.to_ne_bytes());
    });
}

const fn kind(message: u16) -> u16 {
    flags(libc::NFNL_SUBSYS_CTNETLINK) << 8 | message
}
