//! The netlink socket: one `send` for a batch, then all that the kernel says.

use super::attributes::{attributes, messages, u32_at};
use super::subsystem;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname,
    getsockopt, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Room for the answers of a transaction; each takes some hundred bytes, and
/// only what failed is answered.
const RECEIVE_BUFFER: usize = 4 << 20;
const REPLY_BUFFER: usize = 64 << 10;
/// More than the kernel's book-keeping for a message.
const SPARE: usize = 64 << 10;
/// What `netlink_sendmsg` leaves of the buffer.
const HEADROOM: usize = 32;
const RECEIVE_PATIENCE: TimeVal = TimeVal::new(5, 0);

/// A message that the socket does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a message of {length} bytes, of which this socket takes {limit}; without the capability \
     NET_ADMIN in the first user namespace the sysctl net.core.wmem_max has to be at least {}",
    wanted(*length)
)]
pub(super) struct TooLarge {
    pub(super) length: usize,
    pub(super) limit: usize,
}

/// The value of `net.core.wmem_max` for messages of a length: the kernel doubles it.
fn wanted(length: usize) -> usize {
    (length + HEADROOM).div_ceil(2)
}

/// An acknowledgement.
#[derive(Debug)]
pub(super) struct Reply {
    /// Of the message that is answered.
    pub(super) sequence: u32,
    /// 0 for success.
    pub(super) errno: i32,
    /// What the kernel has to say, if anything.
    pub(super) message: Option<String>,
    /// Where in the message the attribute is that it refuses.
    pub(super) offset: Option<usize>,
}

/// A netlink socket of the netfilter subsystem.
pub(super) struct Socket {
    inner: OwnedFd,
    /// What the largest message may have, in bytes, as far as it was set.
    send_limit: usize,
    /// What the next request is numbered with.
    sequence: u32,
}

/// Requests are numbered on and on, so that an answer that comes late is nobody else's.
const LAST_FIRST_SEQUENCE: u32 = u32::MAX / 2;

/// What is sent again so often when a signal came between.
const ATTEMPTS: usize = 5;

/// What answers there were.
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// Those that came.
    pub(super) all: Vec<Reply>,
    /// There were more than the socket's buffer holds.
    pub(super) lost: bool,
}

impl Socket {
    pub(super) fn open() -> io::Result<Self> {
        let inner = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )?;
        bind(inner.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        let socket = Self {
            inner,
            send_limit: 0,
            sequence: 1,
        };
        // Answers without a copy of the message, with details instead.
        socket.enable(libc::NETLINK_CAP_ACK)?;
        socket.enable(libc::NETLINK_EXT_ACK)?;
        // Not allowed without NET_ADMIN, which the first request will tell.
        let _ = setsockopt(&socket.inner, sockopt::RcvBufForce, &RECEIVE_BUFFER);
        // What the kernel has to say is there before anybody reads it; this is
        // so that a mistake in that fails instead of waiting for ever.
        setsockopt(&socket.inner, sockopt::ReceiveTimeout, &RECEIVE_PATIENCE)?;
        Ok(socket)
    }

    /// The number for the first message of the next request.
    pub(super) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// The number that the next request begins with is this one or a later one.
    pub(super) fn number_on(&mut self, next: u32) {
        self.sequence = if next > LAST_FIRST_SEQUENCE { 1 } else { next };
    }

    /// This socket's address, which is in every message about what it did (`nlmsg_pid`).
    pub(super) fn port(&self) -> io::Result<u32> {
        Ok(getsockname::<NetlinkAddr>(self.inner.as_raw_fd())?.pid())
    }

    /// Sends a request, which has to fit the socket's buffer as a whole. Whatever was still
    /// there to be read, as after a failure, is dropped: it answers something else.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.drain()?;
        self.make_room(bytes.len())?;
        for attempt in 1.. {
            // Without an address it goes to the kernel.
            match send(self.inner.as_raw_fd(), bytes, MsgFlags::empty()) {
                Ok(_) => break,
                Err(Errno::EINTR) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
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

    /// The number of the ruleset's present generation.
    pub(super) fn generation(&mut self) -> io::Result<u32> {
        const HEADER: usize = 4;
        const GENERATION: u16 = 1;
        let sequence = self.sequence;
        self.number_on(sequence + 1);
        let mut request = Vec::new();
        subsystem::ask_generation(&mut request, sequence);
        self.send(&request)?;
        let mut buffer = vec![0; 4096];
        let length = self.receive(&mut buffer)?;
        let answer = messages(&buffer[..length]).find(|own| own.sequence == sequence);
        let body = answer.and_then(|own| own.payload.get(HEADER..));
        let number = body.and_then(|body| {
            let mut all = attributes(body);
            all.find(|(kind, _)| *kind == GENERATION)
                .and_then(|(_, value)| u32_at(value, 0))
        });
        let missing = || io::Error::other("the kernel did not tell the ruleset's generation");
        number.map(u32::from_be).ok_or_else(missing)
    }

    /// All answers. The kernel has worked through the batch when `send`
    /// returns, so what it has to say is there.
    pub(super) fn replies(&self) -> io::Result<Vec<Reply>> {
        Ok(self.all_replies()?.all)
    }

    /// The same, and whether some are missing.
    pub(super) fn all_replies(&self) -> io::Result<Replies> {
        let mut buffer = vec![0; REPLY_BUFFER];
        let mut replies = Replies::default();
        loop {
            match recv(self.inner.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => parse(&buffer[..length], &mut replies.all),
                Err(Errno::EAGAIN) => return Ok(replies),
                Err(Errno::EINTR) => {}
                // Told once; what did fit comes after it.
                Err(Errno::ENOBUFS) if !replies.lost => replies.lost = true,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Drops whatever there is to be read.
    fn drain(&self) -> io::Result<()> {
        let mut start = [0; 64];
        let mut lost = false;
        loop {
            match recv(self.inner.as_raw_fd(), &mut start, MsgFlags::MSG_DONTWAIT) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::ENOBUFS) if !lost => lost = true,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next datagram of a list, which the kernel makes while it is read.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // With this flag the length is the datagram's, not what was read.
            match recv(self.inner.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC) {
                Ok(length) if length > buffer.len() => return Err(Errno::EMSGSIZE.into()),
                Ok(length) => return Ok(length),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn enable(&self, option: libc::c_int) -> io::Result<()> {
        set_option(&self.inner, option, 1)
    }
}

/// Sets an option of netlink itself.
pub(super) fn set_option(
    socket: &OwnedFd,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "it is 4")]
    const LENGTH: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is a live c_int and its size is the one given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            std::ptr::from_ref(&value).cast(),
            LENGTH,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Reads acknowledgements: `struct nlmsgerr`, which is an error number and the
/// header of the message that is answered, with attributes behind.
pub(super) fn parse(bytes: &[u8], replies: &mut Vec<Reply>) {
    const ANSWERED_SEQUENCE: usize = 12;
    const DETAILS: usize = 20;
    const ACK_TLVS: u16 = 0x200;
    let errors = messages(bytes).filter(|own| i32::from(own.kind) == libc::NLMSG_ERROR);
    for message in errors {
        let payload = message.payload;
        let (Some(code), Some(sequence)) = (u32_at(payload, 0), u32_at(payload, ANSWERED_SEQUENCE))
        else {
            continue;
        };
        let mut reply = Reply {
            sequence,
            errno: code.cast_signed().wrapping_neg(),
            message: None,
            offset: None,
        };
        if message.flags & ACK_TLVS != 0 {
            details(payload.get(DETAILS..).unwrap_or_default(), &mut reply);
        }
        replies.push(reply);
    }
}

/// Attributes of an acknowledgement: 1 is the text, 2 the offset.
fn details(bytes: &[u8], reply: &mut Reply) {
    for (kind, value) in attributes(bytes) {
        match kind {
            1 => {
                let text = value.strip_suffix(&[0]).unwrap_or(value);
                reply.message = Some(String::from_utf8_lossy(text).into_owned());
            }
            2 => reply.offset = u32_at(value, 0).map(|offset| offset as usize),
            _ => {}
        }
    }
}
