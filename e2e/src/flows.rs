//! Conntrack's flows in a namespace, put there without a packet.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, anyhow, ensure};
use nft_wire::{Protocol, Socket, Writer, flags, nf_tables};
use nix::libc::{self, AF_INET, AF_INET6, AF_UNSPEC};

use crate::Namespace;

/// IANA numbers of protocols with ports.
pub const TCP: u8 = 6;
/// See [`TCP`].
pub const UDP: u8 = 17;

// Of linux/netfilter/nfnetlink_conntrack.h; libc has the subsystem alone.
const CT_NEW: u16 = SUBSYSTEM;
const CT_DELETE: u16 = SUBSYSTEM | 2;
const SUBSYSTEM: u16 = 1 << 8;
const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS_ATTRIBUTE: u16 = 3;
const PROTOINFO: u16 = 4;
const TIMEOUT_ATTRIBUTE: u16 = 7;
const NAT_DST: u16 = 13;
const NAT_PROTO: u16 = 3;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const PROTOINFO_TCP: u16 = 1;
const PROTOINFO_TCP_STATE: u16 = 1;

/// How long they stay, seconds.
const TIMEOUT: u32 = 3600;
/// Flows per message that is sent.
const BATCH: usize = 200;

/// A flow; addresses are all of one family.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// IANA protocol number.
    pub protocol: u8,
    /// The client.
    pub source: SocketAddr,
    /// Where it sends to.
    pub destination: SocketAddr,
    /// Who answers: another one than the destination if that was translated.
    pub answers: SocketAddr,
}

/// Adds flows to the namespace's table (`IPCTNL_MSG_CT_NEW`,
/// `linux/netfilter/nfnetlink_conntrack.h`), for an hour.
///
/// # Errors
/// If the kernel refuses one, for example as it is there already.
pub fn insert(namespace: &Namespace, flows: impl IntoIterator<Item = Flow>) -> Result<()> {
    insert_for(namespace, flows, TIMEOUT)
}

/// [`insert`] for so many seconds.
///
/// # Errors
/// As [`insert`].
pub fn insert_for(
    namespace: &Namespace,
    flows: impl IntoIterator<Item = Flow>,
    seconds: u32,
) -> Result<()> {
    let mut socket = open(namespace)?;
    let mut flows = flows.into_iter().peekable();
    while flows.peek().is_some() {
        let mut out = Writer::new();
        for flow in flows.by_ref().take(BATCH) {
            message(&mut out, &flow, seconds);
        }
        socket.send(&out.finish()?).context("send flows")?;
        // Only failures are answered.
        let replies = socket.replies().context("read the kernel's answer")?;
        if let Some(refused) = replies.all.first() {
            let error = std::io::Error::from_raw_os_error(refused.errno);
            return Err(anyhow!(error).context("a flow was refused"));
        }
        ensure!(!replies.lost, "answers about flows were lost");
    }
    Ok(())
}

/// Makes the namespace forget all flows, of both families.
///
/// # Errors
/// If the kernel refuses.
pub fn flush(namespace: &Namespace) -> Result<()> {
    // Without a tuple it means all of them.
    open(namespace)?
        .request(CT_DELETE, 0, |out| {
            nf_tables::header(out, family(AF_UNSPEC));
        })
        .context("flush flows")?;
    Ok(())
}

fn open(namespace: &Namespace) -> Result<Socket> {
    let socket = namespace.run(|| Socket::open(Protocol::Netfilter))?;
    socket.context("open a netlink socket")
}

/// How many flows the namespace has, of any protocol.
///
/// # Errors
/// If its conntrack is not in use.
pub fn count(namespace: &Namespace) -> Result<u64> {
    let path = "/proc/sys/net/netfilter/nf_conntrack_count";
    let text = namespace.run(|| std::fs::read_to_string(path))?;
    let text = text.with_context(|| format!("read {path}"))?;
    text.trim().parse().context("a number of flows")
}

fn message(out: &mut Writer, flow: &Flow, seconds: u32) {
    // Seen in both directions, assured, confirmed (`enum ip_conntrack_status`).
    const STATUS: u32 = 2 | 4 | 8;
    /// `TCP_CONNTRACK_ESTABLISHED`.
    const ESTABLISHED: u8 = 3;
    let is_new = libc::NLM_F_REQUEST | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let ip = if flow.source.is_ipv4() {
        AF_INET
    } else {
        AF_INET6
    };
    out.message(CT_NEW, flags(is_new), 0, |out| {
        nf_tables::header(out, family(ip));
        tuple(
            out,
            TUPLE_ORIG,
            flow.protocol,
            flow.source,
            flow.destination,
        );
        tuple(
            out,
            TUPLE_REPLY,
            flow.protocol,
            flow.destination,
            flow.source,
        );
        if flow.answers != flow.destination {
            // The kernel makes the reply's tuple of it, and notes that it was translated.
            out.nested(NAT_DST, |out| translation(out, flow.answers));
        }
        out.number(STATUS_ATTRIBUTE, STATUS);
        if flow.protocol == TCP {
            out.nested(PROTOINFO, |out| {
                out.nested(PROTOINFO_TCP, |out| {
                    out.attribute(PROTOINFO_TCP_STATE, &[ESTABLISHED]);
                });
            });
        }
        out.number(TIMEOUT_ATTRIBUTE, seconds);
    });
}

/// A range of one address and one port (`enum ctattr_nat`).
fn translation(out: &mut Writer, to: SocketAddr) {
    // CTA_NAT_V4_MINIP, CTA_NAT_V4_MAXIP; IPv6's are three further.
    for end in [1, 2] {
        match to.ip() {
            IpAddr::V4(ip) => out.attribute(end, &ip.octets()),
            IpAddr::V6(ip) => out.attribute(end + 3, &ip.octets()),
        }
    }
    out.nested(NAT_PROTO, |out| {
        for end in [1, 2] {
            out.attribute(end, &to.port().to_be_bytes());
        }
    });
}

fn tuple(out: &mut Writer, kind: u16, protocol: u8, from: SocketAddr, to: SocketAddr) {
    out.nested(kind, |out| {
        out.nested(TUPLE_IP, |out| {
            // CTA_IP_V4_SRC, CTA_IP_V4_DST; IPv6's are two further.
            for (end, address) in [(1, from.ip()), (2, to.ip())] {
                match address {
                    IpAddr::V4(ip) => out.attribute(end, &ip.octets()),
                    IpAddr::V6(ip) => out.attribute(end + 2, &ip.octets()),
                }
            }
        });
        out.nested(TUPLE_PROTO, |out| {
            // CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT.
            out.attribute(1, &[protocol]);
            out.attribute(2, &from.port().to_be_bytes());
            out.attribute(3, &to.port().to_be_bytes());
        });
    });
}

fn family(number: libc::c_int) -> u8 {
    // Address families have small numbers.
    u8::try_from(number).unwrap_or_default()
}
