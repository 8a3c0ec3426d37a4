//! Following what others do to the ruleset, on a socket of its own.
//!
//! While anybody listens, the kernel makes a message of each change of every transaction, one
//! page of memory each, until the transaction ends: for our own large ones that would be
//! hundreds of megabytes and half of their time. So the socket leaves the group for those, and
//! the generation tells whether others changed anything meanwhile.

use super::notifications::Decoder;
use super::socket;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt,
    socket, sockopt,
};
use rules::nft::drift::Notice;
use socket2::{SockFilter, SockRef};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `NFNLGRP_NFTABLES`.
const GROUP: libc::c_int = 7;
/// Room for what others' transactions tell, some hundred thousand elements. Memory that is not
/// used is not there.
const RECEIVE_BUFFER: usize = 16 << 20;
/// The kernel makes datagrams of a page, or of one message that is larger.
const BUFFER: usize = 128 << 10;
/// After what does not concern us: others' changes are read in bunches, which costs little
/// however many there are.
const PAUSE: Duration = Duration::from_millis(20);
/// So many datagrams are read in a row.
const BUNCH: usize = 1000;

/// The socket as the sender of transactions sees it.
#[derive(Debug)]
pub(super) struct Membership {
    socket: Arc<OwnedFd>,
    joined: bool,
}

/// The socket as the reader sees it.
#[derive(Debug)]
pub struct Follower {
    socket: AsyncFd<Arc<OwnedFd>>,
    decoder: Decoder,
    buffer: Vec<u8>,
}

/// Opens both ends; nothing is told before [`Membership::join`]. `own_port` is the address of
/// the socket whose transactions are not told.
pub(super) fn open(own_port: u32) -> io::Result<(Membership, Follower)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        flags,
        SockProtocol::NetlinkNetFilter,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        // No more than net.core.rmem_max.
        setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
    }
    refuse_own(&socket, own_port)?;
    let socket = Arc::new(socket);
    // SAFETY: an OwnedFd stays the same open descriptor until it is dropped, and AsyncFd, which
    // keeps it alive, unregisters it before that.
    let registered =
        unsafe { AsyncFd::register_with_interest(socket.clone(), Interest::READABLE)? };
    let follower = Follower {
        socket: registered,
        decoder: Decoder::new(own_port),
        buffer: vec![0; BUFFER],
    };
    let membership = Membership {
        socket,
        joined: false,
    };
    Ok((membership, follower))
}

/// Lets the kernel drop datagrams about our own transactions, before they take room: all
/// messages of a datagram are of one transaction.
fn refuse_own(socket: &OwnedFd, own_port: u32) -> io::Result<()> {
    /// `nlmsg_pid` of the first message.
    const PORT: u32 = 12;
    let op = |code: u32, jt, jf, k| SockFilter::new(u16::try_from(code).unwrap_or(0), jt, jf, k);
    // A filter reads numbers as the network writes them.
    let port = u32::from_be_bytes(own_port.to_ne_bytes());
    let filter = [
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, PORT),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, port),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    ];
    SockRef::from(socket).attach_filter(&filter)
}

impl Membership {
    /// From here on others' transactions are told.
    pub(super) fn join(&mut self) -> io::Result<()> {
        if !self.joined {
            socket::set_option(&self.socket, libc::NETLINK_ADD_MEMBERSHIP, GROUP)?;
            self.joined = true;
        }
        Ok(())
    }

    /// Nothing is told until the next [`join`](Self::join); what was told stays to be read.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        if self.joined {
            socket::set_option(&self.socket, libc::NETLINK_DROP_MEMBERSHIP, GROUP)?;
            self.joined = false;
        }
        Ok(())
    }
}

impl Follower {
    /// Waits for what others do to our table. What they do to theirs wakes nobody more often
    /// than 50 times a second.
    pub async fn next(&mut self) -> Vec<Notice> {
        loop {
            let mut more = false;
            match self.socket.readable().await {
                Ok(mut ready) => {
                    match read(self.socket.get_ref(), &mut self.buffer, &mut self.decoder) {
                        Ok(all) => {
                            more = !all;
                            if all {
                                ready.clear_ready();
                            }
                        }
                        Err(error) => {
                            tracing::warn!("following changes of the ruleset: {error}");
                            self.decoder.lost();
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!("following changes of the ruleset: {error}");
                    self.decoder.lost();
                }
            }
            let notices = self.decoder.take_notices();
            if !notices.is_empty() {
                return notices;
            }
            if !more {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Reads what there is, or a bunch of it; true if it is all.
fn read(socket: &OwnedFd, buffer: &mut [u8], decoder: &mut Decoder) -> io::Result<bool> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
    for _ in 0..BUNCH {
        match recv(socket.as_raw_fd(), buffer, flags) {
            // With this flag the length is the datagram's, not what was read.
            Ok(length) => match buffer.get(..length) {
                Some(datagram) => decoder.read(datagram),
                None => decoder.lost(),
            },
            Err(Errno::ENOBUFS) => decoder.lost(),
            Err(Errno::EAGAIN) => return Ok(true),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}
