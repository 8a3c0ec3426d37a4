//! What kube-proxy in mode ipvs leaves: virtual servers, the interface with
//! their addresses, and ipsets.

use super::attributes::{attribute, attributes, message, messages, text, u16_at, u32_at};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

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
    let answer = ask(SockProtocol::NetlinkRoute, libc::RTM_DELLINK, 0, |out| {
        out.extend_from_slice(&[0; kernel::IFINFOMSG]);
        text(out, libc::IFLA_IFNAME, name);
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
    let answer = ask(
        SockProtocol::NetlinkNetFilter,
        kind,
        libc::NLM_F_EXCL,
        |out| {
            // `struct nfgenmsg` of AF_INET, which is what ipset itself says here.
            out.extend_from_slice(&[2, 0, 0, 0]);
            attribute(out, kernel::IPSET_PROTOCOL, &[kernel::IPSET_VERSION]);
            text(out, kernel::IPSET_NAME, name);
        },
    );
    // A kernel without ipsets knows no such messages.
    unless_missing(answer, &[libc::ENOENT, libc::EINVAL, libc::EOPNOTSUPP])
}

/// Removes every virtual server; false if the kernel has no IPVS.
///
/// # Errors
/// The kernel refuses.
pub fn flush_virtual_servers() -> io::Result<bool> {
    let generic = |out: &mut Vec<u8>, command: u8, version: u8| {
        out.extend_from_slice(&[command, version, 0, 0]);
    };
    let family = ask(
        SockProtocol::NetlinkGeneric,
        kernel::CONTROL_FAMILY,
        0,
        |out| {
            generic(out, kernel::CONTROL_GET_FAMILY, 1);
            text(out, kernel::CONTROL_FAMILY_NAME, "IPVS");
        },
    );
    let answer = match family {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(false),
        answer => answer?,
    };
    let id = attributes(answer.get(kernel::GENERIC_HEADER..).unwrap_or_default())
        .find(|(kind, _)| *kind == kernel::CONTROL_FAMILY_ID)
        .and_then(|(_, id)| u16_at(id, 0))
        .ok_or_else(|| io::Error::other("the kernel does not tell the number of IPVS"))?;
    ask(SockProtocol::NetlinkGeneric, id, 0, |out| {
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
    protocol: SockProtocol,
    kind: u16,
    flags: libc::c_int,
    write: impl FnOnce(&mut Vec<u8>),
) -> io::Result<Vec<u8>> {
    let socket: OwnedFd = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        protocol,
    )?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(5, 0))?;
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags).unwrap_or(0);
    let mut request = Vec::new();
    message(&mut request, kind, flags, 1, write);
    send(socket.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut buffer = vec![0; 32 << 10];
    let mut answer = Vec::new();
    loop {
        let length = match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Err(Errno::EINTR) => continue,
            received => received?,
        };
        for message in messages(&buffer[..length]) {
            if i32::from(message.kind) != libc::NLMSG_ERROR {
                message.payload.clone_into(&mut answer);
                continue;
            }
            let code = u32_at(message.payload, 0).unwrap_or(0);
            return match code.cast_signed().wrapping_neg() {
                0 => Ok(answer),
                errno => Err(io::Error::from_raw_os_error(errno)),
            };
        }
    }
}
