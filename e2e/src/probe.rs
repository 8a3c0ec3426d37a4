//! One connection or datagram, and exactly what became of it: unlike [`crate::client`], a probe
//! tells a TCP reset from an ICMP error, and which ICMP error it was and who sent it.

use std::fmt;
use std::io::{Error, ErrorKind, IoSliceMut, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, Socket, Type};

use crate::client::{Answer, fresh_udp_socket, parse};
use crate::sctp;

/// How a probe travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// A connection.
    Tcp,
    /// One datagram.
    Udp,
    /// One INIT, answered by an INIT ACK.
    Sctp,
}

impl Protocol {
    /// As Kubernetes writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// What became of a probe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reply {
    /// A pod answered.
    Answer(Answer),
    /// An ICMP error came back.
    Icmp {
        /// The ICMP or ICMPv6 type.
        kind: u8,
        /// The code within the type.
        code: u8,
        /// Who sent it.
        from: IpAddr,
    },
    /// TCP was reset.
    Reset,
    /// There was nothing in time.
    Nothing,
    /// Something else, in the system's words.
    Failed(String),
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => write!(f, "{} saw {}", answer.pod, answer.client),
            Self::Icmp { kind, code, from } => write!(f, "icmp {kind}/{code} from {from}"),
            Self::Reset => f.write_str("reset"),
            Self::Nothing => f.write_str("nothing"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}

impl From<Error> for Reply {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Sends one probe from the calling thread's namespace, at a source port of its own.
pub fn probe(protocol: Protocol, target: SocketAddr, patience: Duration) -> Reply {
    let result = match protocol {
        Protocol::Tcp => tcp(target, patience),
        Protocol::Udp => fresh_udp_socket(target).and_then(|socket| udp(&socket, target, patience)),
        Protocol::Sctp => sctp::init(target, patience),
    };
    result.unwrap_or_else(Reply::from)
}

/// Sends one datagram from this source port, so that conntrack takes it for more of the flow of
/// the one before.
pub fn probe_from_port(port: u16, target: SocketAddr, patience: Duration) -> Reply {
    let any = match target {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind((any, port))
        .and_then(|socket| udp(&socket, target, patience))
        .unwrap_or_else(Reply::from)
}

fn tcp(target: SocketAddr, patience: Duration) -> std::io::Result<Reply> {
    let deadline = Instant::now() + patience;
    let mut socket = Socket::new(
        Domain::for_address(target),
        Type::STREAM.nonblocking(),
        None,
    )?;
    queue_errors(&socket, target)?;
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
        Err(error) => return Ok(icmp(&socket, |_| true).unwrap_or_else(|| error.into())),
        Ok(()) => {}
    }
    // The queue holds an ICMP error even when it arrives while `connect` still owns the socket,
    // where TCP itself would wait for the next one.
    loop {
        if !ready(&socket, PollFlags::POLLOUT, deadline)? {
            return Ok(Reply::Nothing);
        }
        if let Some(reply) = icmp(&socket, |_| true) {
            return Ok(reply);
        }
        match socket.take_error()? {
            Some(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(Reply::Reset),
            Some(error) => return Ok(error.into()),
            None if socket.peer_addr().is_ok() => break,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(patience))?;
    let mut line = String::new();
    match socket.read_to_string(&mut line) {
        Ok(_) => Ok(answer(&line)),
        Err(error) => Ok(Reply::Failed(format!("once connected: {error}"))),
    }
}

fn udp(socket: &UdpSocket, target: SocketAddr, patience: Duration) -> std::io::Result<Reply> {
    let deadline = Instant::now() + patience;
    queue_errors(socket, target)?;
    socket.set_nonblocking(true)?;
    socket.connect(target)?;
    sent(socket.send(b"who?\n"))?;
    await_reply(
        socket,
        deadline,
        |_| true,
        || {
            let mut line = [0; 512];
            let length = socket.recv(&mut line)?;
            Ok(Some(answer(&String::from_utf8_lossy(&line[..length]))))
        },
    )
}

/// A send whose outcome only what follows tells: what the node's own output hook drops or
/// rejects fails at once, and an ICMP error waits in the queue.
pub(crate) fn sent(result: std::io::Result<usize>) -> std::io::Result<()> {
    match result {
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::ConnectionRefused
            ) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Waits for an ICMP error about a packet that `is_ours` knows, or what `read` makes of an answer;
/// it returns nothing for a packet that was meant for someone else.
pub(crate) fn await_reply(
    socket: &(impl AsFd + AsRawFd),
    deadline: Instant,
    is_ours: impl Fn(&[u8]) -> bool,
    mut read: impl FnMut() -> std::io::Result<Option<Reply>>,
) -> std::io::Result<Reply> {
    loop {
        if !ready(socket, PollFlags::POLLIN, deadline)? {
            return Ok(Reply::Nothing);
        }
        if let Some(reply) = icmp(socket, &is_ours) {
            return Ok(reply);
        }
        match read() {
            Ok(Some(reply)) => return Ok(reply),
            Ok(None) => {}
            Err(error) => match error.kind() {
                // The same error also waits in the queue, perhaps only in a moment.
                ErrorKind::WouldBlock | ErrorKind::ConnectionRefused => {}
                _ => return Ok(icmp(socket, &is_ours).unwrap_or_else(|| error.into())),
            },
        }
    }
}

/// What an answer's line says.
pub(crate) fn answer(line: &str) -> Reply {
    parse(line).map_or_else(
        || Reply::Failed(format!("answer was {line:?}")),
        Reply::Answer,
    )
}

/// Makes the kernel keep ICMP errors for the socket.
pub(crate) fn queue_errors(socket: &impl AsFd, target: SocketAddr) -> std::io::Result<()> {
    match target {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &true)?,
    }
    Ok(())
}

fn ready(socket: &impl AsFd, events: PollFlags, deadline: Instant) -> std::io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that the last wait isn't a busy one.
        let left = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
        let mut sockets = [PollFd::new(socket.as_fd(), events)];
        match poll(&mut sockets, PollTimeout::from(left)) {
            Ok(0) if Instant::now() >= deadline => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The first queued ICMP error about a packet that `is_ours` knows, which is shown what the error
/// quotes from the transport header on.
fn icmp(socket: &impl AsRawFd, is_ours: impl Fn(&[u8]) -> bool) -> Option<Reply> {
    loop {
        let mut quoted = [0; 512];
        let (length, error) = queued(socket.as_raw_fd(), &mut quoted)?;
        if error.is_some() && is_ours(&quoted[..length]) {
            return error;
        }
    }
}

fn queued(socket: RawFd, quoted: &mut [u8]) -> Option<(usize, Option<Reply>)> {
    /// `ee_origin` of ICMP and of ICMPv6 errors, from linux/errqueue.h.
    const ORIGINS: [u8; 2] = [2, 3];
    let mut control = [0; 512];
    let mut parts = [IoSliceMut::new(quoted)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket, &mut parts, Some(&mut control), flags).ok()?;
    let error = message.cmsgs().ok()?.find_map(|control| {
        let (error, from) = match control {
            ControlMessageOwned::Ipv4RecvErr(error, from) => {
                let ip = u32::from_be(from?.sin_addr.s_addr);
                (error, Ipv4Addr::from(ip).into())
            }
            ControlMessageOwned::Ipv6RecvErr(error, from) => {
                (error, IpAddr::from(Ipv6Addr::from(from?.sin6_addr.s6_addr)))
            }
            _ => return None,
        };
        ORIGINS.contains(&error.ee_origin).then_some(Reply::Icmp {
            kind: error.ee_type,
            code: error.ee_code,
            from,
        })
    });
    Some((message.bytes, error))
}
