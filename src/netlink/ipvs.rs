//! What kube-proxy in mode ipvs leaves: virtual servers, the interface with
//! their addresses, and ipsets.

use nft_wire::{Protocol, Socket, Writer, attribute, u16_at};
use std::io;

mod kernel {
    /// `struct ifinfomsg`.
    pub(super) const IFINFOMSG: usize = 16;
    pub(super) const IPSET_SUBSYSTEM: u16 = 6;
    pub(super) const IPSET_DESTROY: u16 = 3;
    pub(super) const IPSET_PROTOCOL: u16 = 1;
    pub(super) const IPSET_NAME: u16 = 2;
    /// Of all versions the one that every kernel in use takes.
    pub(super) const IPSET_VERSION: u8 = 6;
    pub(super) const CONTROL_FAMILY: u16 = 16;
    pub(super) const CONTROL_GET_FAMILY: u8 = 3;
    pub(super) const CONTROL_FAMILY_ID: u16 = 1;
    pub(super) const CONTROL_FAMILY_NAME: u16 = 2;
    pub(super) const IPVS_FLUSH: u8 = 17;
    pub(super) const IPVS_VERSION: u8 = 1;
    /// `struct genlmsghdr`.
    pub(super) const GENERIC_HEADER: usize = 4;
}

/// Removes an interface; false if there is none.
///
/// # Errors
/// The kernel refuses.
pub fn delete_interface(name: &str) -> io::Result<bool> {
    let answer = ask(Protocol::Route, libc::RTM_DELLINK, 0, |out| {
        out.raw(&[0; kernel::IFINFOMSG]);
        out.text(libc::IFLA_IFNAME, name);
    });
    unless_missing(answer, &[libc::ENODEV])
}

/// Removes an ipset; false if there is none.
///
/// # Errors
/// The kernel refuses, as while a rule uses it.
pub fn destroy_ipset(name: &str) -> io::Result<bool> {
    // Without the flag EXCL the kernel does not tell whether there was one.
    let kind = (kernel::IPSET_SUBSYSTEM << 8) | kernel::IPSET_DESTROY;
    let answer = ask(Protocol::Netfilter, kind, libc::NLM_F_EXCL, |out| {
        // `struct nfgenmsg` of AF_INET, which is what ipset itself says here.
        out.raw(&[2, 0, 0, 0]);
        out.attribute(kernel::IPSET_PROTOCOL, &[kernel::IPSET_VERSION]);
        out.text(kernel::IPSET_NAME, name);
    });
    // A kernel without ipsets knows no such messages.
    unless_missing(answer, &[libc::ENOENT, libc::EINVAL, libc::EOPNOTSUPP])
}

/// Removes every virtual server; false if the kernel has no IPVS.
///
/// # Errors
/// The kernel refuses.
pub fn flush_virtual_servers() -> io::Result<bool> {
    let generic = |out: &mut Writer, command: u8, version: u8| {
        out.raw(&[command, version, 0, 0]);
    };
    let family = ask(Protocol::Generic, kernel::CONTROL_FAMILY, 0, |out| {
        generic(out, kernel::CONTROL_GET_FAMILY, 1);
        out.text(kernel::CONTROL_FAMILY_NAME, "IPVS");
    });
    let answer = match family {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(false),
        answer => answer?,
    };
    let body = answer.get(kernel::GENERIC_HEADER..).unwrap_or_default();
    let id = attribute(body, kernel::CONTROL_FAMILY_ID)
        .and_then(|id| u16_at(id, 0))
        .ok_or_else(|| io::Error::other("the kernel does not tell the number of IPVS"))?;
    ask(Protocol::Generic, id, 0, |out| {
        generic(out, kernel::IPVS_FLUSH, kernel::IPVS_VERSION);
    })?;
    Ok(true)
}

fn unless_missing(answer: io::Result<Vec<u8>>, missing: &[i32]) -> io::Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error().is_some_and(|e| missing.contains(&e)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sends one request and waits for its acknowledgement; what was answered
/// before it comes back.
fn ask(
    protocol: Protocol,
    kind: u16,
    flags: libc::c_int,
    write: impl FnOnce(&mut Writer),
) -> io::Result<Vec<u8>> {
    Socket::open(protocol)?.request(kind, flags, write)
}
