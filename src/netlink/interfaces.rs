//! The interfaces' addresses over rtnetlink (`linux/rtnetlink.h`,
//! `linux/if_addr.h`): listed, and followed as they come and go.

use nft_wire::{Listener, Listing, Membership, Protocol, Socket, attributes, ip, u32_at};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// Listing is tried again so often if the addresses changed meanwhile.
const ATTEMPTS: usize = 5;
/// So many notifications are taken in a row.
const BUNCH: usize = 1000;

/// Attributes and flags of an address.
mod kernel {
    pub(super) const IFA_ADDRESS: u16 = 1;
    pub(super) const IFA_LOCAL: u16 = 2;
    pub(super) const IFA_FLAGS: u16 = 8;
    pub(super) const OPTIMISTIC: u32 = 0x04;
    pub(super) const DAD_FAILED: u32 = 0x08;
    pub(super) const TENTATIVE: u32 = 0x40;
    pub(super) const IFADDRMSG: usize = 8;
    /// `RTNLGRP_IPV4_IFADDR`.
    pub(super) const GROUP_IPV4: u32 = 5;
    /// `RTNLGRP_IPV6_IFADDR`.
    pub(super) const GROUP_IPV6: u32 = 9;
}

/// Lists addresses by a socket that is opened once: listing must not depend on whether there is a
/// descriptor to be had at that moment.
#[derive(Debug, Default)]
pub struct Interfaces {
    socket: Option<Socket>,
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
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => Socket::open(Protocol::Route)?,
        };
        let mut addresses = Vec::new();
        for _ in 0..ATTEMPTS {
            addresses.clear();
            // After an error the socket is given up: half a list may be left in it, and the
            // kernel would not begin another.
            if list(&mut socket, &mut addresses)? == Listing::Whole {
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

/// Lists once.
fn list(socket: &mut Socket, addresses: &mut Vec<IpAddr>) -> io::Result<Listing> {
    // Any family, any interface.
    let any = |out: &mut nft_wire::Writer| out.raw(&[0; kernel::IFADDRMSG]);
    socket.list(libc::RTM_GETADDR, any, |message| {
        if message.kind == libc::RTM_NEWADDR {
            addresses.extend(address(message.payload));
        }
    })
}

/// The interface's own address in `struct ifaddrmsg` and its attributes; none
/// if it is not usable.
pub(super) fn address(payload: &[u8]) -> Option<IpAddr> {
    let mut flags = u32::from(*payload.get(2)?);
    let (mut local, mut given) = (None, None);
    for (kind, value) in attributes(payload.get(kernel::IFADDRMSG..)?) {
        match kind {
            // With a peer, that one is the address and this one is ours.
            kernel::IFA_LOCAL => local = ip(value),
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
    local.or(given)
}

/// Tells when addresses come, go or become valid. What exactly happened it
/// does not say: [`local`] does, and misses nothing.
#[derive(Debug)]
pub struct Watch {
    listener: Listener,
    _memberships: [Membership; 2],
}

impl Watch {
    /// Watches the network namespace of the calling thread; inside a runtime.
    ///
    /// # Errors
    /// There is no netlink socket to be had.
    pub fn open() -> io::Result<Self> {
        let listener = Listener::open(Protocol::Route)?;
        let mut memberships =
            [kernel::GROUP_IPV4, kernel::GROUP_IPV6].map(|group| listener.membership(group));
        for membership in &mut memberships {
            membership.join()?;
        }
        Ok(Self {
            listener,
            _memberships: memberships,
        })
    }

    /// Waits until something happened. May be dropped and called again at any
    /// time without missing anything.
    pub async fn changed(&mut self) {
        let mut said = String::new();
        while let Err(error) = self.listener.hear(BUNCH, |_| {}).await {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use nft_wire::Writer;

    fn ifaddrmsg(flags: u8, attributes: &[(u16, &[u8])]) -> Option<IpAddr> {
        let mut payload = Writer::new();
        payload.raw(&[0, 64, flags, 0, 2, 0, 0, 0]);
        for (kind, value) in attributes {
            payload.attribute(*kind, value);
        }
        address(payload.bytes())
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
