//! What the kernel has of iptables' extensions (`linux/netfilter/nf_tables_compat.h`).

use super::xt;
use crate::netlink::subsystem::protocol_family;
use nft_wire::{Socket, nf_tables};
use rules::Counters;
use rules::model::Family;
use std::io;

mod kernel {
    /// `NFNL_SUBSYS_NFT_COMPAT` and `NFNL_MSG_COMPAT_GET`.
    pub(super) const GET: u16 = 11 << 8;
    pub(super) const NAME: u16 = 1;
    pub(super) const REVISION: u16 = 2;
    /// 0 for a match, 1 for a target.
    pub(super) const TYPE: u16 = 3;
}

/// What a kernel has of what kube-proxy uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    /// The matches and targets that it has not, by name, `nfacct` apart: without one of them the rules
    /// cannot be written.
    pub missing: Vec<&'static str>,
    /// What can be counted: all or nothing.
    pub counters: Counters,
}

/// Asks for each of them.
pub(super) fn ask(socket: &mut Socket, family: Family) -> io::Result<Support> {
    let mut missing = Vec::new();
    for (name, revision, is_match) in xt::ALL {
        if !has(socket, family, name, revision, is_match)? {
            missing.push(name);
        }
    }
    let counts = !missing.contains(&xt::COUNT);
    missing.retain(|name| *name != xt::COUNT);
    Ok(Support {
        missing,
        counters: Counters {
            invalid_dropped: counts,
            localhost_nodeports: counts,
        },
    })
}

fn has(
    socket: &mut Socket,
    family: Family,
    name: &str,
    revision: u32,
    is_match: bool,
) -> io::Result<bool> {
    let answer = socket.request(kernel::GET, 0, |out| {
        nf_tables::header(out, protocol_family(family));
        out.text(kernel::NAME, name);
        out.number(kernel::REVISION, revision);
        out.number(kernel::TYPE, u32::from(!is_match));
    });
    match answer {
        Ok(_) => Ok(true),
        Err(error) => match error.raw_os_error() {
            // No such extension; not in this revision; or no `nft_compat` at all.
            Some(libc::ENOENT | libc::EPROTONOSUPPORT | libc::EINVAL | libc::EOPNOTSUPP) => {
                Ok(false)
            }
            _ => Err(error),
        },
    }
}
