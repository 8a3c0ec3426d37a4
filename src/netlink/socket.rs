//! The netlink socket: one `send` for a batch, then all that the kernel says.

use super::attributes::{attributes, messages, u32_at};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Room for the answers of a transaction; each takes some hundred bytes, and
/// only what failed is answered.
const RECEIVE_BUFFER: usize = 4 << 20;
const REPLY_BUFFER: usize = 64 << 10;
const RECEIVE_PATIENCE: TimeVal = TimeVal::new(5, 0);

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
    send_buffer: usize,
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
            send_buffer: 0,
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

    /// Sends a batch, which has to fit the socket's buffer as a whole.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        // The kernel counts its own book-keeping against the buffer too.
        let needed = bytes.len() + (64 << 10);
        if needed > self.send_buffer {
            setsockopt(&self.inner, sockopt::SndBufForce, &needed)?;
            self.send_buffer = needed;
        }
        // Without an address it goes to the kernel.
        send(self.inner.as_raw_fd(), bytes, MsgFlags::empty())?;
        Ok(())
    }

    /// All answers. The kernel has worked through the batch when `send`
    /// returns, so what it has to say is there.
    pub(super) fn replies(&self) -> io::Result<Vec<Reply>> {
        let mut buffer = vec![0; REPLY_BUFFER];
        let mut replies = Vec::new();
        loop {
            match recv(self.inner.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => parse(&buffer[..length], &mut replies),
                Err(Errno::EAGAIN) => return Ok(replies),
                Err(Errno::EINTR) => {}
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
        #[expect(clippy::cast_possible_truncation, reason = "it is 4")]
        const LENGTH: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;
        let on: libc::c_int = 1;
        // SAFETY: the value is a live c_int and its size is the one given.
        let result = unsafe {
            libc::setsockopt(
                self.inner.as_raw_fd(),
                libc::SOL_NETLINK,
                option,
                std::ptr::from_ref(&on).cast(),
                LENGTH,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// Reads acknowledgements: `struct nlmsgerr`, which is an error number and the
/// header of the message that is answered, with attributes behind.
fn parse(bytes: &[u8], replies: &mut Vec<Reply>) {
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
