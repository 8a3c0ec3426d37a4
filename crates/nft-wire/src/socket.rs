//! The netlink socket: requests and all that the kernel answers, received in one place.

use crate::framing::{Message, messages};
use crate::reply::{Replies, parse_replies};
use crate::writer::{TooLong, Writer, flags};
use netlink_sys::{SocketAddr, protocols};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use nix::sys::time::TimeVal;
use std::io;
use std::ops::ControlFlow;

/// Room for the answers of a transaction; each takes some hundred bytes, and
/// only what failed is answered.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Larger than the datagrams of a list, which are 32 KiB at most, and than those of answers.
const BUFFER: usize = 64 << 10;
/// More than the kernel's book-keeping for a message.
const SPARE: usize = 64 << 10;
/// What `netlink_sendmsg` leaves of the buffer.
const HEADROOM: usize = 32;
const RECEIVE_PATIENCE: TimeVal = TimeVal::new(5, 0);
/// Requests are numbered on and on, so that an answer that comes late is nobody else's.
const LAST_FIRST_SEQUENCE: u32 = u32::MAX / 2;
/// What is sent again so often when a signal came between, or listed when it changed meanwhile.
const ATTEMPTS: usize = 5;

/// A message that the socket does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a message of {length} bytes, of which this socket takes {limit}; without the capability \
     NET_ADMIN in the first user namespace the sysctl net.core.wmem_max has to be at least {}",
    wanted(*length)
)]
pub struct TooLarge {
    /// Of the message, in bytes.
    pub length: usize,
    /// What the socket takes, in bytes.
    pub limit: usize,
}

/// The value of `net.core.wmem_max` for messages of a length: the kernel doubles it.
fn wanted(length: usize) -> usize {
    (length + HEADROOM).div_ceil(2)
}

/// Whom in the kernel a socket talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `NETLINK_NETFILTER`: nf_tables, conntrack, ipset.
    Netfilter,
    /// `NETLINK_ROUTE`: interfaces and their addresses.
    Route,
    /// `NETLINK_GENERIC`: families by name, as IPVS.
    Generic,
}

impl Protocol {
    pub(crate) fn number(self) -> isize {
        match self {
            Self::Netfilter => protocols::NETLINK_NETFILTER,
            Self::Route => protocols::NETLINK_ROUTE,
            Self::Generic => protocols::NETLINK_GENERIC,
        }
    }
}

/// How a list came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// It is what there was at one moment.
    Whole,
    /// Something changed while it was read (`NLM_F_DUMP_INTR`, EINTR), so that it may have holes.
    Changed,
}

/// What [`receive`] found.
pub(crate) enum Received {
    /// A datagram of so many bytes.
    Datagram(usize),
    /// A datagram that does not fit the buffer.
    Truncated,
    /// More than the socket's buffer holds was to be read, and is gone (ENOBUFS).
    Lost,
    /// There is nothing to be read.
    Nothing,
}

/// Receives a datagram, with `MSG_DONTWAIT` only one that is there.
pub(crate) fn receive(
    socket: &netlink_sys::Socket,
    mut buffer: &mut [u8],
    wait: libc::c_int,
) -> io::Result<Received> {
    let room = buffer.len();
    loop {
        // With this flag the length is the datagram's, not what was read.
        let error = match socket.recv(&mut buffer, libc::MSG_TRUNC | wait) {
            Ok(length) if length > room => return Ok(Received::Truncated),
            Ok(length) => return Ok(Received::Datagram(length)),
            Err(error) => error,
        };
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::ENOBUFS) => return Ok(Received::Lost),
            Some(libc::EAGAIN) if wait != 0 => return Ok(Received::Nothing),
            _ => return Err(error),
        }
    }
}

/// A socket that asks and is answered.
#[derive(Debug)]
pub struct Socket {
    inner: netlink_sys::Socket,
    protocol: Protocol,
    /// What the largest message may have, in bytes, as far as it was set.
    send_limit: usize,
    /// What the next request is numbered with.
    sequence: u32,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// There is none to be had.
    pub fn open(protocol: Protocol) -> io::Result<Self> {
        let mut inner = netlink_sys::Socket::new(protocol.number())?;
        inner.bind(&SocketAddr::new(0, 0))?;
        // Answers without a copy of the message, with details instead.
        inner.set_cap_ack(true)?;
        inner.set_ext_ack(true)?;
        // Not allowed without NET_ADMIN, which the first request will tell.
        let _ = setsockopt(&inner, sockopt::RcvBufForce, &RECEIVE_BUFFER);
        // What the kernel has to say is there before anybody reads it; this is
        // so that a mistake in that fails instead of waiting for ever.
        setsockopt(&inner, sockopt::ReceiveTimeout, &RECEIVE_PATIENCE)?;
        Ok(Self {
            inner,
            protocol,
            send_limit: 0,
            sequence: 1,
        })
    }

    /// The number for the first message of the next request.
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// The number that the next request begins with is this one or a later one.
    pub fn number_on(&mut self, next: u32) {
        self.sequence = if next > LAST_FIRST_SEQUENCE { 1 } else { next };
    }

    /// This socket's address, which is in every message about what it did (`nlmsg_pid`).
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn port(&self) -> io::Result<u32> {
        let mut address = SocketAddr::new(0, 0);
        self.inner.get_address(&mut address)?;
        Ok(address.port_number())
    }

    /// Sends messages, which have to fit the socket's buffer as a whole. Whatever was still
    /// there to be read, as after a failure, is dropped: it answers something else.
    ///
    /// # Errors
    /// They do not fit ([`TooLarge`]), or the kernel takes no message at all.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.drain()?;
        self.make_room(bytes.len())?;
        for attempt in 1.. {
            // Without an address it goes to the kernel.
            match self.inner.send(bytes, 0) {
                Ok(_) => break,
                Err(error) if error.raw_os_error() == Some(libc::EINTR) && attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes the buffer large enough for a message, which needs a right in the first user
    /// namespace where it is more than `net.core.wmem_max` says.
    fn make_room(&mut self, length: usize) -> io::Result<()> {
        // The kernel counts its own book-keeping against the buffer too.
        let needed = length + SPARE;
        if needed <= self.send_limit {
            return Ok(());
        }
        if setsockopt(&self.inner, sockopt::SndBufForce, &needed).is_ok() {
            self.send_limit = needed;
            return Ok(());
        }
        setsockopt(&self.inner, sockopt::SndBuf, &needed)?;
        // The kernel doubles what it is told and takes messages up to that (`netlink_sendmsg`).
        let limit = getsockopt(&self.inner, sockopt::SndBuf)?.saturating_sub(HEADROOM);
        self.send_limit = limit;
        if length <= limit {
            return Ok(());
        }
        Err(io::Error::other(TooLarge { length, limit }))
    }

    /// All acknowledgements that there are, and whether some are missing. The kernel has worked
    /// through a batch when [`send`](Self::send) returns, so what it has to say is there.
    ///
    /// # Errors
    /// The socket cannot be read.
    pub fn replies(&self) -> io::Result<Replies> {
        let mut buffer = vec![0; BUFFER];
        let mut replies = Replies::default();
        loop {
            match receive(&self.inner, &mut buffer, libc::MSG_DONTWAIT)? {
                Received::Datagram(length) => parse_replies(&buffer[..length], &mut replies.all),
                Received::Nothing => return Ok(replies),
                // Told once; what did fit comes after it.
                Received::Lost if !replies.lost => replies.lost = true,
                Received::Lost => return Err(io::Error::from_raw_os_error(libc::ENOBUFS)),
                Received::Truncated => return Err(io::Error::from_raw_os_error(libc::EMSGSIZE)),
            }
        }
    }

    /// Drops whatever there is to be read.
    fn drain(&self) -> io::Result<()> {
        let mut start = [0; 64];
        let mut lost = false;
        loop {
            match receive(&self.inner, &mut start, libc::MSG_DONTWAIT)? {
                Received::Datagram(_) | Received::Truncated => {}
                Received::Nothing => return Ok(()),
                Received::Lost if !lost => lost = true,
                Received::Lost => return Err(io::Error::from_raw_os_error(libc::ENOBUFS)),
            }
        }
    }

    /// Sends one request, and waits until it is acknowledged: the answer's payload, empty if
    /// there is none.
    ///
    /// # Errors
    /// The kernel refuses, or says nothing.
    pub fn request(
        &mut self,
        kind: u16,
        more_flags: libc::c_int,
        write: impl FnOnce(&mut Writer),
    ) -> io::Result<Vec<u8>> {
        let mut answer = Vec::new();
        let more_flags = more_flags | libc::NLM_F_ACK;
        self.ask(kind, more_flags, write, |message| {
            message.payload.clone_into(&mut answer);
        })?;
        Ok(answer)
    }

    /// Lists what a request asks for, once. The kernel makes the list while it is read, and no
    /// more than a datagram of it is held.
    ///
    /// # Errors
    /// The kernel refuses, or stops in the middle. What is left of the list is dropped with the
    /// next request.
    pub fn list(
        &mut self,
        kind: u16,
        write: impl FnOnce(&mut Writer),
        each: impl FnMut(Message<'_>),
    ) -> io::Result<Listing> {
        self.ask(kind, libc::NLM_F_DUMP, write, each)
    }

    /// Lists until nothing changed meanwhile, some times at the most: what `read` makes of the
    /// messages.
    ///
    /// # Errors
    /// The kernel refuses, or it changed each time (EINTR).
    pub fn list_whole<T>(
        &mut self,
        kind: u16,
        write: impl Fn(&mut Writer),
        mut read: impl FnMut(Message<'_>, &mut Vec<T>),
    ) -> io::Result<Vec<T>> {
        for _ in 0..ATTEMPTS {
            let mut found = Vec::new();
            let listing = self.list(kind, &write, |message| read(message, &mut found))?;
            if listing == Listing::Whole {
                return Ok(found);
            }
        }
        Err(io::Error::from_raw_os_error(libc::EINTR))
    }

    /// Lists like [`list`](Self::list) for as long as `each` wants more. The rest is never made:
    /// the kernel gives the list up with the socket, which is opened anew.
    ///
    /// # Errors
    /// As `list`; or there is no new socket to be had.
    pub fn list_while(
        &mut self,
        kind: u16,
        write: impl FnOnce(&mut Writer),
        each: impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> io::Result<Listing> {
        let listed = self.ask_while(kind, libc::NLM_F_DUMP, write, each)?;
        if listed.is_none() {
            let sequence = self.sequence;
            *self = Self::open(self.protocol)?;
            self.number_on(sequence);
        }
        Ok(listed.unwrap_or(Listing::Whole))
    }

    /// Sends one request and reads what comes until the kernel says that it is all.
    fn ask(
        &mut self,
        kind: u16,
        more_flags: libc::c_int,
        write: impl FnOnce(&mut Writer),
        mut each: impl FnMut(Message<'_>),
    ) -> io::Result<Listing> {
        let listed = self.ask_while(kind, more_flags, write, |message| {
            each(message);
            ControlFlow::Continue(())
        })?;
        Ok(listed.unwrap_or(Listing::Whole))
    }

    /// [`ask`](Self::ask) until `each` has enough: then `None`, and more may be there to be read.
    fn ask_while(
        &mut self,
        kind: u16,
        more_flags: libc::c_int,
        write: impl FnOnce(&mut Writer),
        mut each: impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> io::Result<Option<Listing>> {
        let sequence = self.sequence;
        self.number_on(sequence + 1);
        let mut out = Writer::new();
        let request = flags(libc::NLM_F_REQUEST | more_flags);
        out.message(kind, request, sequence, write);
        let out = out.finish().map_err(invalid)?;
        self.send(&out)?;
        let mut buffer = vec![0; BUFFER];
        let mut listing = Listing::Whole;
        loop {
            let length = match receive(&self.inner, &mut buffer, 0)? {
                Received::Datagram(length) => length,
                Received::Truncated => return Err(io::Error::from_raw_os_error(libc::EMSGSIZE)),
                Received::Lost => return Err(io::Error::from_raw_os_error(libc::ENOBUFS)),
                Received::Nothing => continue,
            };
            let answers = messages(&buffer[..length]).filter(|answer| answer.sequence == sequence);
            for message in answers {
                if i32::from(message.flags) & libc::NLM_F_DUMP_INTR != 0 {
                    listing = Listing::Changed;
                }
                match message.outcome() {
                    None if each(message).is_break() => return Ok(None),
                    None => {}
                    Some(0) => return Ok(Some(listing)),
                    Some(libc::EINTR) => return Ok(Some(Listing::Changed)),
                    Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
                }
            }
        }
    }
}

/// What could not be written is no request.
fn invalid(error: TooLong) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
