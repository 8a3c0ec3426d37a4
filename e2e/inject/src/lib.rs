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

use libc::{c_int, c_void, iovec, msghdr, size_t, sockaddr, socklen_t, ssize_t};

/// What a call returned, which fits wherever the call itself does.
fn size(result: libc::c_long) -> ssize_t {
    ssize_t::try_from(result).unwrap_or(-1)
}

/// `recvfrom(2)` without an address.
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
    unsafe {
        recvfrom(
            fd,
            bytes,
            length,
            flags,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    }
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
    address: *mut sockaddr,
    address_length: *mut socklen_t,
) -> ssize_t {
    // SAFETY: the caller's promise goes on to the kernel.
    let real = || unsafe {
        size(libc::syscall(
            libc::SYS_recvfrom,
            fd,
            bytes,
            length,
            flags,
            address,
            address_length,
        ))
    };
    if !socket::is_netfilter(fd) {
        return real();
    }
    // SAFETY: the caller's buffer has this length, and nobody else uses it meanwhile.
    let buffer = unsafe { std::slice::from_raw_parts_mut(bytes.cast::<u8>(), length) };
    state::receive(fd, buffer, real)
}

/// `recvmsg(2)`; only a message with one buffer can be changed, and netlink's are.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    // SAFETY: the caller's promise goes on to the kernel.
    let real = || unsafe { size(libc::syscall(libc::SYS_recvmsg, fd, message, flags)) };
    if !socket::is_netfilter(fd) {
        return real();
    }
    // SAFETY: a valid message has a valid buffer, which nobody else uses meanwhile.
    let buffer = unsafe {
        let first: *mut iovec = (*message).msg_iov;
        std::slice::from_raw_parts_mut((*first).iov_base.cast::<u8>(), (*first).iov_len)
    };
    state::receive(fd, buffer, real)
}

/// `sendto(2)` without an address.
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
    unsafe { sendto(fd, bytes, length, flags, std::ptr::null(), 0) }
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
    address: *const sockaddr,
    address_length: socklen_t,
) -> ssize_t {
    // SAFETY: the caller's promise goes on to the kernel.
    let real = || unsafe {
        size(libc::syscall(
            libc::SYS_sendto,
            fd,
            bytes,
            length,
            flags,
            address,
            address_length,
        ))
    };
    if !socket::is_netfilter(fd) {
        return real();
    }
    // SAFETY: the caller's buffer has this length.
    let buffer = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) };
    state::send(fd, buffer, real)
}

/// `sendmsg(2)`.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    // SAFETY: the caller's promise goes on to the kernel.
    let real = || unsafe { size(libc::syscall(libc::SYS_sendmsg, fd, message, flags)) };
    if !socket::is_netfilter(fd) {
        return real();
    }
    // SAFETY: a valid message has a valid buffer.
    let buffer = unsafe {
        let first: *const iovec = (*message).msg_iov;
        std::slice::from_raw_parts((*first).iov_base.cast::<u8>(), (*first).iov_len)
    };
    state::send(fd, buffer, real)
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
