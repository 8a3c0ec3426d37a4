//! Conntrack's flows in a namespace, put there without a packet.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use crate::Namespace;

/// IANA numbers of protocols with ports.
pub const TCP: u8 = 6;
/// See [`TCP`].
pub const UDP: u8 = 17;

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
    let socket = open(namespace)?;
    let mut flows = flows.into_iter();
    loop {
        let batch: Vec<Flow> = flows.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for flow in &batch {
            message(&mut bytes, flow, seconds);
        }
        send(socket.as_raw_fd(), &bytes, MsgFlags::empty()).context("send flows")?;
        // Only failures are answered.
        let mut answer = [0; 1024];
        match recv(socket.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EAGAIN) => {}
            Err(error) => return Err(error).context("read the kernel's answer"),
            Ok(_) => {
                let code = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
                bail!("a flow was refused: {}", Errno::from_raw(-code));
            }
        }
    }
}

/// Makes the namespace forget all flows, of both families.
///
/// # Errors
/// If the kernel refuses.
pub fn flush(namespace: &Namespace) -> Result<()> {
    // Request, answer; IPCTNL_MSG_CT_DELETE without a tuple.
    const FLAGS: u16 = 0x1 | 0x4;
    const KIND: u16 = (1 << 8) | 2;
    let mut bytes = 20u32.to_ne_bytes().to_vec();
    bytes.extend_from_slice(&KIND.to_ne_bytes());
    bytes.extend_from_slice(&FLAGS.to_ne_bytes());
    bytes.extend_from_slice(&[0; 12]);
    let socket = open(namespace)?;
    send(socket.as_raw_fd(), &bytes, MsgFlags::empty()).context("flush flows")?;
    let mut answer = [0; 1024];
    recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty()).context("read the answer")?;
    match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
        0 => Ok(()),
        code => bail!("flows were not flushed: {}", Errno::from_raw(-code)),
    }
}

fn open(namespace: &Namespace) -> Result<OwnedFd> {
    let socket = namespace.run(|| {
        socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )
    })??;
    Ok(socket)
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

fn message(out: &mut Vec<u8>, flow: &Flow, seconds: u32) {
    // Request, create, exclusively.
    const FLAGS: u16 = 0x1 | 0x400 | 0x200;
    // A message of conntrack's subsystem, IPCTNL_MSG_CT_NEW.
    const KIND: u16 = 1 << 8;
    // Seen in both directions, assured, confirmed.
    const STATUS: u32 = 2 | 4 | 8;
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&KIND.to_ne_bytes());
    out.extend_from_slice(&FLAGS.to_ne_bytes());
    out.extend_from_slice(&[0; 8]);
    let family = if flow.source.is_ipv4() { 2 } else { 10 };
    out.extend_from_slice(&[family, 0, 0, 0]);
    tuple(out, 1, flow.protocol, flow.source, flow.destination);
    tuple(out, 2, flow.protocol, flow.answers, flow.source);
    attribute(out, 3, |out| out.extend_from_slice(&STATUS.to_be_bytes()));
    if flow.protocol == TCP {
        // CTA_PROTOINFO_TCP_STATE: established.
        nested(out, 4, |out| {
            nested(out, 1, |out| attribute(out, 1, |out| out.push(3)));
        });
    }
    attribute(out, 7, |out| out.extend_from_slice(&seconds.to_be_bytes()));
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_ne_bytes());
}

fn tuple(out: &mut Vec<u8>, kind: u16, protocol: u8, from: SocketAddr, to: SocketAddr) {
    nested(out, kind, |out| {
        nested(out, 1, |out| {
            for (end, address) in [(1, from.ip()), (2, to.ip())] {
                match address {
                    IpAddr::V4(ip) => attribute(out, end, |out| out.extend(ip.octets())),
                    IpAddr::V6(ip) => attribute(out, end + 2, |out| out.extend(ip.octets())),
                }
            }
        });
        nested(out, 2, |out| {
            attribute(out, 1, |out| out.push(protocol));
            attribute(out, 2, |out| out.extend(from.port().to_be_bytes()));
            attribute(out, 3, |out| out.extend(to.port().to_be_bytes()));
        });
    });
}

fn nested(out: &mut Vec<u8>, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
    attribute(out, kind | 0x8000, write);
}

fn attribute(out: &mut Vec<u8>, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&kind.to_ne_bytes());
    write(out);
    let length = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    out[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    out.resize(out.len().next_multiple_of(4), 0);
}
