//! As much of SCTP as conntrack and NAT look at, over raw sockets: kernels without an SCTP stack
//! forward and translate it all the same.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{SockaddrStorage, recvfrom};
use socket2::{Domain, Protocol, Socket, Type};

use crate::Namespace;
use crate::probe::{Reply, answer, await_reply, queue_errors, sent};
use crate::worker::Worker;

const SCTP: i32 = 132;
/// Source and destination port, verification tag, checksum.
const HEADER: usize = 12;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
/// A parameter that receivers are to skip if they don't know it; ours holds the answer's line.
const LINE: u16 = 0xc0de;
/// Where the parameters of an INIT or INIT ACK begin: chunk header and five fixed fields.
const PARAMETERS: usize = HEADER + 20;

/// Sends one INIT from the calling thread's namespace and waits for the INIT ACK.
pub(crate) fn init(target: SocketAddr, patience: Duration) -> std::io::Result<Reply> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let port = 10_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 20_000;
    let deadline = Instant::now() + patience;
    let socket = raw(Domain::for_address(target))?;
    queue_errors(&socket, target)?;
    socket.connect(&SocketAddr::new(target.ip(), 0).into())?;
    let tag = u32::from(port) + 1;
    let packet = packet([port, target.port()], 0, &chunk(INIT, tag, ""));
    sent(socket.send(&packet))?;
    // Every raw socket gets every packet.
    let is_ours = |quoted: &[u8]| word(quoted, 0) == Some(port);
    let mut buffer = [0; 2048];
    await_reply(&socket, deadline, is_ours, || {
        let length = (&socket).read(&mut buffer)?;
        let packet = payload(&buffer[..length], target.is_ipv4());
        let ours = word(packet, 0) == Some(target.port()) && word(packet, 2) == Some(port);
        if !ours || packet.get(HEADER) != Some(&INIT_ACK) {
            return Ok(None);
        }
        Ok(Some(answer(&line(packet).unwrap_or_default())))
    })
}

/// A server that answers every INIT to its port with an INIT ACK that holds the same line as
/// a [`Server`](crate::Server)'s answers; stopped with the value.
#[derive(Debug)]
pub struct SctpEcho {
    _worker: Worker,
}

impl SctpEcho {
    /// Listens on `port` of every address of both families.
    ///
    /// # Errors
    /// If no raw socket can be made.
    pub fn start(namespace: &Namespace, name: &str, port: u16) -> Result<Self> {
        let sockets = namespace.run(|| -> Result<_> {
            let [v4, v6] = [Domain::IPV4, Domain::IPV6].map(raw);
            Ok([v4.context("raw socket")?, v6.context("raw IPv6 socket")?])
        })??;
        let (label, name) = (format!("sctp {name}"), name.to_owned());
        let work = move |stop: &AtomicBool| serve(&sockets, &name, port, stop);
        Ok(Self {
            _worker: namespace.start_worker(&label, work)?,
        })
    }
}

fn serve(sockets: &[Socket; 2], name: &str, port: u16, stop: &AtomicBool) -> Result<()> {
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let mut waiting = sockets
            .each_ref()
            .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
        // Interrupted or not: what is there is read below.
        poll(&mut waiting, PollTimeout::from(50u8)).ok();
        for (socket, is_ipv4) in sockets.iter().zip([true, false]) {
            while let Ok((length, from)) =
                recvfrom::<SockaddrStorage>(socket.as_raw_fd(), &mut buffer)
            {
                let client = from.as_ref().and_then(address);
                let packet = payload(&buffer[..length], is_ipv4);
                if let Some(client) = client
                    && let Some(ack) = acknowledge(packet, port, &format!("{name} {client}\n"))
                {
                    socket
                        .send_to(&ack, &SocketAddr::new(client, 0).into())
                        .ok();
                }
            }
        }
    }
    Ok(())
}

/// The INIT ACK for `packet`, if that is an INIT to `port`.
fn acknowledge(packet: &[u8], port: u16, line: &str) -> Option<Vec<u8>> {
    let is_init = packet.get(HEADER) == Some(&INIT) && word(packet, 2) == Some(port);
    let peer = word(packet, 0).filter(|_| is_init)?;
    let tag = packet.get(HEADER + 4..HEADER + 8)?.try_into().ok()?;
    let ack = chunk(INIT_ACK, 1, line);
    Some(self::packet([port, peer], u32::from_be_bytes(tag), &ack))
}

fn raw(domain: Domain) -> std::io::Result<Socket> {
    Socket::new(domain, Type::RAW.nonblocking(), Some(Protocol::from(SCTP)))
}

fn address(from: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = from.as_sockaddr_in().map(|from| from.ip().into());
    v4.or_else(|| from.as_sockaddr_in6().map(|from| from.ip().into()))
}

/// Raw IPv4 sockets give the IP header too, raw IPv6 sockets don't.
fn payload(received: &[u8], is_ipv4: bool) -> &[u8] {
    let header = match received.first() {
        Some(first) if is_ipv4 => usize::from(first & 0xf) * 4,
        _ => 0,
    };
    received.get(header..).unwrap_or_default()
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// An INIT or INIT ACK with this initiate tag; a line that isn't empty goes with it.
fn chunk(kind: u8, tag: u32, line: &str) -> Vec<u8> {
    let mut chunk = vec![kind, 0, 0, 0];
    chunk.extend(tag.to_be_bytes());
    // Receive window, streams out and in, first sequence number.
    chunk.extend(65_536u32.to_be_bytes());
    chunk.extend([0, 1, 0, 1]);
    chunk.extend(tag.to_be_bytes());
    if !line.is_empty() {
        chunk.extend(LINE.to_be_bytes());
        chunk.extend(length(4 + line.len()));
        chunk.extend(line.as_bytes());
    }
    let total = length(chunk.len());
    chunk[2..4].copy_from_slice(&total);
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    chunk
}

fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

fn line(packet: &[u8]) -> Option<String> {
    let end = PARAMETERS + usize::from(word(packet, PARAMETERS + 2)?);
    let is_ours = word(packet, PARAMETERS) == Some(LINE);
    let text = packet.get(PARAMETERS + 4..end).filter(|_| is_ours)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn packet(ports: [u16; 2], tag: u32, chunk: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER + chunk.len());
    packet.extend(ports[0].to_be_bytes());
    packet.extend(ports[1].to_be_bytes());
    packet.extend(tag.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(chunk);
    // Little-endian, unlike all else.
    let sum = crc32c(&packet).to_le_bytes();
    packet[8..HEADER].copy_from_slice(&sum);
    packet
}

/// Conntrack drops packets whose checksum is wrong.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum: u32, _| {
            (sum >> 1) ^ (0x82f6_3b78 & 0u32.wrapping_sub(sum & 1))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_the_one_that_rfc_3720_shows() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn an_init_is_acknowledged_with_its_tag_and_the_line() {
        let init = packet([4000, 80], 0, &chunk(INIT, 7, ""));
        assert_eq!(acknowledge(&init, 81, "pod 10.0.0.1\n"), None);
        let ack = acknowledge(&init, 80, "pod 10.0.0.1\n").expect("an INIT to this port");
        assert_eq!((word(&ack, 0), word(&ack, 2)), (Some(80), Some(4000)));
        assert_eq!(ack[4..8], 7u32.to_be_bytes());
        assert_eq!(ack[HEADER], INIT_ACK);
        assert_eq!(line(&ack).as_deref(), Some("pod 10.0.0.1\n"));
    }
}
