//! What kind of socket a descriptor is.

use libc::{c_int, c_void, socklen_t};

/// From linux/netlink.h; not in the C library's headers.
const NETLINK_LIST_MEMBERSHIPS: c_int = 9;

fn option(fd: c_int, level: c_int, name: c_int) -> Option<u32> {
    let mut value = 0u32;
    let mut length: socklen_t = 4;
    // SAFETY: both point to live variables, and the length is the value's.
    let result = unsafe {
        libc::getsockopt(
            fd,
            level,
            name,
            std::ptr::from_mut(&mut value).cast::<c_void>(),
            std::ptr::from_mut(&mut length),
        )
    };
    (result == 0).then_some(value)
}

/// A netlink socket of the netfilter subsystem.
pub(crate) fn is_netfilter(fd: c_int) -> bool {
    let is = |name, wanted: c_int| {
        option(fd, libc::SOL_SOCKET, name)
            .is_some_and(|found| i64::from(found) == i64::from(wanted))
    };
    is(libc::SO_DOMAIN, libc::AF_NETLINK) && is(libc::SO_PROTOCOL, libc::NETLINK_NETFILTER)
}

/// It has joined a multicast group.
pub(crate) fn listens(fd: c_int) -> bool {
    option(fd, libc::SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS).is_some_and(|groups| groups != 0)
}
