//! Preloaded into a daemon under test (`LD_PRELOAD`), makes calls on sockets of
//! `NETLINK_NETFILTER` go wrong, and the wall clock.
//!
//! `INJECT_CONTROL` names a file with one line, a [`plan::Plan`], which may change at any time;
//! what was done is appended to the file of that name with `.done`. `INJECT_CLOCK` names a file with
//! the seconds that the wall clock is wrong by. Without them nothing is changed.
#![allow(
    unsafe_code,
    reason = "it stands in for functions of the C library, and no daemon links it"
)]

mod clock;
mod datagram;
mod plan;
mod socket;
mod state;

use std::ptr::{null, null_mut};
use std::slice::{from_raw_parts, from_raw_parts_mut};

use libc::{
    SYS_recvfrom, SYS_recvmsg, SYS_sendmsg, SYS_sendto, c_int, c_long, c_void, iovec, msghdr,
    size_t, sockaddr, socklen_t, ssize_t, syscall,
};

/// What a call returned, which fits wherever the call itself does.
fn size(result: c_long) -> ssize_t {
    ssize_t::try_from(result).unwrap_or(-1)
}

/// Receives by `real`: as planned into `buffer`, if the socket is netfilter's.
fn receive<'a>(
    fd: c_int,
    buffer: impl FnOnce() -> &'a mut [u8],
    real: impl Fn() -> c_long,
) -> ssize_t {
    match socket::is_netfilter(fd) {
        true => state::receive(fd, buffer(), || size(real())),
        false => size(real()),
    }
}

/// Sends by `real`: as planned for `buffer`, if the socket is netfilter's.
fn transmit<'a>(
    fd: c_int,
    buffer: impl FnOnce() -> &'a [u8],
    real: impl Fn() -> c_long,
) -> ssize_t {
    match socket::is_netfilter(fd) {
        true => state::send(fd, buffer(), || size(real())),
        false => size(real()),
    }
}

/// `recv(2)`: `recvfrom` without an address.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn recv(
    fd: c_int,
    bytes: *mut c_void,
    length: size_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: the caller's promise, and no address is asked for.
    unsafe { recvfrom(fd, bytes, length, flags, null_mut(), null_mut()) }
}

/// `recvfrom(2)`.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn recvfrom(
    fd: c_int,
    bytes: *mut c_void,
    length: size_t,
    flags: c_int,
    from: *mut sockaddr,
    from_length: *mut socklen_t,
) -> ssize_t {
    // SAFETY: the caller's buffer has this length, and nobody else uses it meanwhile.
    let buffer = || unsafe { from_raw_parts_mut(bytes.cast::<u8>(), length) };
    // SAFETY: the caller's promise goes on to the kernel.
    receive(fd, buffer, || unsafe {
        syscall(SYS_recvfrom, fd, bytes, length, flags, from, from_length)
    })
}

/// `recvmsg(2)`; only a message with one buffer can be changed, and netlink's are.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    // SAFETY: a valid message has a valid buffer, which nobody else uses meanwhile.
    let buffer = || unsafe {
        let first: *mut iovec = (*message).msg_iov;
        from_raw_parts_mut((*first).iov_base.cast::<u8>(), (*first).iov_len)
    };
    // SAFETY: the caller's promise goes on to the kernel.
    receive(fd, buffer, || unsafe {
        syscall(SYS_recvmsg, fd, message, flags)
    })
}

/// `send(2)`: `sendto` without an address.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn send(
    fd: c_int,
    bytes: *const c_void,
    length: size_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: the caller's promise, and no address is given.
    unsafe { sendto(fd, bytes, length, flags, null(), 0) }
}

/// `sendto(2)`.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sendto(
    fd: c_int,
    bytes: *const c_void,
    length: size_t,
    flags: c_int,
    to: *const sockaddr,
    to_length: socklen_t,
) -> ssize_t {
    // SAFETY: the caller's buffer has this length.
    let buffer = || unsafe { from_raw_parts(bytes.cast::<u8>(), length) };
    // SAFETY: the caller's promise goes on to the kernel.
    transmit(fd, buffer, || unsafe {
        syscall(SYS_sendto, fd, bytes, length, flags, to, to_length)
    })
}

/// `sendmsg(2)`.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    // SAFETY: a valid message has a valid buffer.
    let buffer = || unsafe {
        let first: *const iovec = (*message).msg_iov;
        from_raw_parts((*first).iov_base.cast::<u8>(), (*first).iov_len)
    };
    // SAFETY: the caller's promise goes on to the kernel.
    transmit(fd, buffer, || unsafe {
        syscall(SYS_sendmsg, fd, message, flags)
    })
}

/// `clock_gettime(2)`.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    // SAFETY: the caller's promise goes on to the kernel.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    if result == 0 && matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE) {
        // SAFETY: the kernel has just written there.
        unsafe { (*time).tv_sec += clock::offset() };
    }
    c_int::from(result == 0) - 1
}
