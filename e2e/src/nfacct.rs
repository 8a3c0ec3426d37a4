//! The kernel's named counters, which rules of iptables may count in.

use anyhow::{Context, Result};
use nft_wire::{Protocol, Socket, nf_tables};
use nix::libc::{AF_UNSPEC, NFNL_SUBSYS_ACCT, NLM_F_CREATE};

use crate::Namespace;

/// `NFACCT_NAME` of linux/netfilter/nfnetlink_acct.h.
const NAME: u16 = 1;

/// Makes a counter (`NFNL_MSG_ACCT_NEW`, `linux/netfilter/nfnetlink_acct.h`).
///
/// # Errors
/// If the kernel has no such counters, or this one already.
pub fn add(namespace: &Namespace, name: &str) -> Result<()> {
    let socket = namespace.run(|| Socket::open(Protocol::Netfilter))?;
    let mut socket = socket.context("open a netlink socket")?;
    let kind = u16::try_from(NFNL_SUBSYS_ACCT << 8).context("a subsystem's number")?;
    socket
        .request(kind, NLM_F_CREATE, |out| {
            nf_tables::header(out, u8::try_from(AF_UNSPEC).unwrap_or_default());
            out.text(NAME, name);
        })
        .with_context(|| format!("add the counter {name}"))?;
    Ok(())
}
