//! Counters of iptables' match `nfacct` (`linux/netfilter/nfnetlink_acct.h`): kube-proxy in mode
//! iptables counts by two of them.

use nft_wire::nf_tables::HEADER;
use nft_wire::{Protocol, Socket, attribute, text_of};
use std::collections::BTreeMap;
use std::io;

mod kernel {
    /// `NFNL_SUBSYS_ACCT` and `NFNL_MSG_ACCT_NEW`.
    pub(super) const NEW: u16 = 7 << 8;
    /// `NFNL_SUBSYS_ACCT` and `NFNL_MSG_ACCT_GET`.
    pub(super) const GET: u16 = 7 << 8 | 1;
    pub(super) const NAME: u16 = 1;
    pub(super) const PACKETS: u16 = 2;
}

/// The counters with these names, in packets, in the calling thread's network namespace. A kernel
/// without such counters has none.
///
/// # Errors
/// The kernel does not permit to ask.
pub fn packets(names: &[&'static str]) -> io::Result<BTreeMap<&'static str, u64>> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    let mut counters = BTreeMap::new();
    let listed = socket.list(
        kernel::GET,
        |out| out.raw(&[0; HEADER]),
        |message| {
            let body = message.body(HEADER);
            let found = text_of(body, kernel::NAME);
            let name = names.iter().find(|name| found.as_deref() == Some(**name));
            let packets = attribute(body, kernel::PACKETS).and_then(|bytes| bytes.try_into().ok());
            if let (Some(name), Some(packets)) = (name, packets) {
                counters.insert(*name, u64::from_be_bytes(packets));
            }
        },
    );
    match listed {
        Ok(_) => Ok(counters),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) => {
            Ok(BTreeMap::new())
        }
        Err(error) => Err(error),
    }
}

/// Makes these counters, or leaves those that are there as they are, in the calling thread's network
/// namespace.
///
/// # Errors
/// The kernel has no such counters, or does not permit it.
pub fn ensure(names: &[&str]) -> io::Result<()> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    names.iter().try_for_each(|name| make(&mut socket, name))
}

/// Makes a counter, or leaves it as it is if it is there, in the socket's network namespace.
///
/// # Errors
/// The kernel has no such counters, or does not permit it.
pub(super) fn make(socket: &mut Socket, name: &str) -> io::Result<()> {
    let made = socket.request(kernel::NEW, libc::NLM_F_CREATE | libc::NLM_F_EXCL, |out| {
        out.raw(&[0; HEADER]);
        out.text(kernel::NAME, name);
    });
    match made {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EEXIST | libc::EBUSY)) => Ok(()),
        made => made.map(|_| ()),
    }
}
