//! The interfaces' addresses over rtnetlink (`linux/rtnetlink.h`,
//! `linux/if_addr.h`): listed, and followed as they come and go.

use super::attributes::{attributes, message, messages, u32_at};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Larger than any datagram of a list, which are 32 KiB at most.
const BUFFER: usize = 64 << 10;
/// Listing is tried again so often if the addresses changed meanwhile.
const ATTEMPTS: usize = 5;

/// Attributes and flags of an address.
mod kernel {
    pub(super) const IFA_ADDRESS: u16 = 1;
    pub(super) const IFA_LOCAL: u16 = 2;
    pub(super) const IFA_FLAGS: u16 = 8;
    pub(super) const OPTIMISTIC: u32 = 0x04;
    pub(super) const DAD_FAILED: u32 = 0x08;
    pub(super) const TENTATIVE: u32 = 0x40;
    pub(super) const IFADDRMSG: usize = 8;
    pub(super) const GROUP_IPV4: u32 = 0x10;
    pub(super) const GROUP_IPV6: u32 = 0x100;
}

/// Lists addresses by a socket that is opened once: listing must not depend on whether there is a
/// descriptor to be had at that moment.
#[derive(Debug, Default)]
pub struct Interfaces {
    socket: Option<OwnedFd>,
    /// Of the last request: answers to earlier ones are not taken for its own.
    sequence: u32,
}

impl Interfaces {
    /// Every address of every interface that packets reach this node by, loopback included,
    /// sorted; in the network namespace that the first call was made in.
    ///
    /// Without IPv6 addresses that are still tentative or turned out to be a duplicate (RFC 4862,
    /// section 5.4): the kernel neither takes packets for them nor lets a server listen there. It
    /// tells when one becomes valid.
    ///
    /// # Errors
    /// The kernel refuses to list them.
    pub fn addresses(&mut self) -> io::Result<Vec<IpAddr>> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = open(SockFlag::SOCK_CLOEXEC, 0)?;
                setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(5, 0))?;
                socket
            }
        };
        let mut addresses = Vec::new();
        for _ in 0..ATTEMPTS {
            addresses.clear();
            self.sequence = self.sequence.wrapping_add(1);
            // After an error the socket is given up: half a list may be left in it, and the
            // kernel would not begin another.
            if list(&socket, self.sequence, &mut addresses)? {
                break;
            }
        }
        self.socket = Some(socket);
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }
}

/// [`Interfaces::addresses`], once.
///
/// # Errors
/// The kernel refuses to list them.
pub fn local() -> io::Result<Vec<IpAddr>> {
    Interfaces::default().addresses()
}

/// Lists once; false if addresses changed meanwhile.
fn list(socket: &OwnedFd, sequence: u32, addresses: &mut Vec<IpAddr>) -> io::Result<bool> {
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).unwrap_or(0);
    let mut request = Vec::new();
    message(&mut request, libc::RTM_GETADDR, flags, sequence, |out| {
        // Any family, any interface.
        out.extend_from_slice(&[0; kernel::IFADDRMSG]);
    });
    send(socket.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut buffer = vec![0; BUFFER];
    let mut whole = true;
    loop {
        let length = match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Err(Errno::EINTR) => continue,
            received => received?,
        };
        for message in messages(&buffer[..length]) {
            if message.sequence != sequence {
                continue;
            }
            whole &= i32::from(message.flags) & libc::NLM_F_DUMP_INTR == 0;
            match i32::from(message.kind) {
                libc::NLMSG_DONE => return Ok(whole),
                libc::NLMSG_ERROR => {
                    let code = u32_at(message.payload, 0).unwrap_or(0);
                    let errno = code.cast_signed().wrapping_neg();
                    return Err(io::Error::from_raw_os_error(errno));
                }
                _ if message.kind == libc::RTM_NEWADDR => {
                    addresses.extend(address(message.payload));
                }
                _ => {}
            }
        }
    }
}

/// The interface's own address in `struct ifaddrmsg` and its attributes; none
/// if it is not usable.
pub(super) fn address(payload: &[u8]) -> Option<IpAddr> {
    let mut flags = u32::from(*payload.get(2)?);
    let (mut own, mut given) = (None, None);
    for (kind, value) in attributes(payload.get(kernel::IFADDRMSG..)?) {
        match kind {
            // With a peer, that one is the address and this one is ours.
            kernel::IFA_LOCAL => own = ip(value),
            kernel::IFA_ADDRESS => given = ip(value),
            // All flags, of which the header has room for eight.
            kernel::IFA_FLAGS => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    // An optimistic one is used while it is being checked (RFC 4429).
    let checking = flags & kernel::TENTATIVE != 0 && flags & kernel::OPTIMISTIC == 0;
    if checking || flags & kernel::DAD_FAILED != 0 {
        return None;
    }
    own.or(given)
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn open(flags: SockFlag, groups: u32) -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        flags,
        SockProtocol::NetlinkRoute,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

/// Tells when addresses come, go or become valid. What exactly happened it
/// does not say: [`local`] does, and misses nothing.
#[derive(Debug)]
pub struct Watch {
    socket: AsyncFd<OwnedFd>,
}

impl Watch {
    /// Watches the network namespace of the calling thread; inside a runtime.
    ///
    /// # Errors
    /// There is no netlink socket to be had.
    pub fn open() -> io::Result<Self> {
        let groups = kernel::GROUP_IPV4 | kernel::GROUP_IPV6;
        let socket = open(SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, groups)?;
        // SAFETY: an OwnedFd stays the same open descriptor until it is dropped,
        // and AsyncFd, which owns it from here on, unregisters it before that.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? };
        Ok(Self { socket })
    }

    /// Waits until something happened. May be dropped and called again at any
    /// time without missing anything.
    pub async fn changed(&mut self) {
        let mut said = String::new();
        while let Err(error) = self.news().await {
            let error = error.to_string();
            if said != error {
                tracing::warn!("following the interfaces' addresses: {error}; starting anew");
                said = error;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Ok(fresh) = Self::open() {
                *self = fresh;
                // Whatever happened meanwhile.
                return;
            }
        }
    }

    async fn news(&self) -> io::Result<()> {
        loop {
            let mut ready = self.socket.readable().await?;
            if drain(self.socket.get_ref())? {
                return Ok(());
            }
            ready.clear_ready();
        }
    }
}

/// Takes all that there is to read; true if there was anything.
fn drain(socket: &OwnedFd) -> io::Result<bool> {
    // Only that there is a message matters, so its end may be lost.
    let mut start = [0; 64];
    let mut any = false;
    loop {
        match recv(socket.as_raw_fd(), &mut start, MsgFlags::MSG_DONTWAIT) {
            // Too many at once: some are lost, which is news as well.
            Ok(_) | Err(Errno::ENOBUFS) => any = true,
            Err(Errno::EAGAIN) => return Ok(any),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::attributes::attribute;

    fn ifaddrmsg(flags: u8, attributes: &[(u16, &[u8])]) -> Option<IpAddr> {
        let mut payload = vec![0, 64, flags, 0, 2, 0, 0, 0];
        for (kind, value) in attributes {
            attribute(&mut payload, *kind, value);
        }
        address(&payload)
    }

    #[test]
    fn the_own_end_of_a_link_counts() {
        let (own, peer) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let address = ifaddrmsg(0, &[(1, &peer), (2, &own)]);
        assert_eq!(address, Some(IpAddr::from(own)));
        assert_eq!(ifaddrmsg(0, &[(1, &own)]), Some(IpAddr::from(own)));
        assert_eq!(ifaddrmsg(0, &[]), None);
    }

    #[test]
    fn addresses_that_are_not_valid_yet_are_left_out() {
        let six = [0xfd; 16];
        let with = |flags: u32| ifaddrmsg(0, &[(1, &six), (8, &flags.to_ne_bytes())]).is_some();
        assert!(with(0x80), "permanent");
        assert!(
            with(0x20),
            "deprecated: no new connections from it, but to it"
        );
        assert!(!with(0xc0), "tentative");
        assert!(with(0x44), "optimistic");
        assert!(!with(0x88), "a duplicate");
        assert!(
            ifaddrmsg(0x40, &[(1, &six)]).is_none(),
            "flags in the header"
        );
    }
}
