//! Notifications: groups that a socket joins, and what it hears from then on.

use crate::socket::{Protocol, Received, receive};
use netlink_sys::{AsyncSocket, SocketAddr, TokioSocket};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{SockFilter, SockRef};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;

/// The kernel makes datagrams of a page, or of one message that is larger.
const BUFFER: usize = 128 << 10;

/// What a listener hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// A datagram with messages.
    Datagram(&'a [u8]),
    /// Something that did not fit the socket's buffer or ours, and is gone.
    Lost,
}

/// A socket that hears what groups are told.
pub struct Listener {
    socket: Arc<TokioSocket>,
    buffer: Vec<u8>,
}

/// A listener's place in a group, as others may hold it.
pub struct Membership {
    socket: Arc<TokioSocket>,
    group: u32,
    joined: bool,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("group", &self.group)
            .field("joined", &self.joined)
            .finish_non_exhaustive()
    }
}

impl Listener {
    /// Opens a socket in the calling thread's network namespace, inside a runtime. It hears
    /// nothing before it is in a group.
    ///
    /// # Errors
    /// There is none to be had.
    pub fn open(protocol: Protocol) -> io::Result<Self> {
        let mut socket = TokioSocket::new(protocol.number())?;
        socket.socket_mut().bind(&SocketAddr::new(0, 0))?;
        Ok(Self {
            socket: Arc::new(socket),
            buffer: vec![0; BUFFER],
        })
    }

    /// Makes room for what waits to be read, in bytes; without NET_ADMIN in the first user
    /// namespace no more than `net.core.rmem_max` says. Memory that is not used is not there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn make_room(&self, bytes: usize) -> io::Result<()> {
        let socket = self.socket.socket_ref();
        if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_err() {
            setsockopt(socket, sockopt::RcvBuf, &bytes)?;
        }
        Ok(())
    }

    /// Lets the kernel drop datagrams whose first message is about what the socket with this
    /// port did, before they take room.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn refuse_from(&self, port: u32) -> io::Result<()> {
        /// `nlmsg_pid` of the first message.
        const PORT: u32 = 12;
        let op =
            |code: u32, jt, jf, k| SockFilter::new(u16::try_from(code).unwrap_or(0), jt, jf, k);
        // A filter reads numbers as the network writes them.
        let port = u32::from_be_bytes(port.to_ne_bytes());
        let filter = [
            op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, PORT),
            op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, port),
            op(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
            op(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        ];
        SockRef::from(self.socket.socket_ref()).attach_filter(&filter)
    }

    /// A place in a group, which is not joined yet.
    pub fn membership(&self, group: u32) -> Membership {
        Membership {
            socket: self.socket.clone(),
            group,
            joined: false,
        }
    }

    /// Waits until there is something to hear, and passes on so many datagrams at the most; true
    /// if there was no more. May be dropped and called again without missing anything.
    ///
    /// # Errors
    /// The socket cannot be read.
    pub async fn hear(&mut self, most: usize, mut each: impl FnMut(Heard<'_>)) -> io::Result<bool> {
        let Self { socket, buffer } = self;
        match first(socket, buffer).await {
            // The crate does not tell a longer one, so one that fills the buffer may be it.
            Ok(length) if length < buffer.len() => each(Heard::Datagram(&buffer[..length])),
            Ok(_) => each(Heard::Lost),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => each(Heard::Lost),
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => return Ok(false),
            Err(error) => return Err(error),
        }
        for _ in 1..most {
            match receive(socket.socket_ref(), buffer, libc::MSG_DONTWAIT)? {
                Received::Datagram(length) => each(Heard::Datagram(&buffer[..length])),
                Received::Truncated | Received::Lost => each(Heard::Lost),
                Received::Nothing => return Ok(true),
            }
        }
        Ok(false)
    }
}

/// Waits for a datagram: its length, or the buffer's if that is shorter.
async fn first(socket: &TokioSocket, buffer: &mut [u8]) -> io::Result<usize> {
    let room = buffer.len();
    let mut rest = buffer;
    poll_fn(|context| socket.poll_recv(context, &mut rest)).await?;
    Ok(room - rest.len())
}

impl Membership {
    /// From here on the group's messages are heard.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn join(&mut self) -> io::Result<()> {
        if !self.joined {
            self.socket.socket_ref().add_membership(self.group)?;
            self.joined = true;
        }
        Ok(())
    }

    /// Nothing is heard until the next [`join`](Self::join); what was told stays to be read.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn leave(&mut self) -> io::Result<()> {
        if self.joined {
            self.socket.socket_ref().drop_membership(self.group)?;
            self.joined = false;
        }
        Ok(())
    }
}
