//! Listening sockets.

use std::net::{Ipv6Addr, SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;
/// What the kernel may hold for one connection in either direction, in bytes, before it doubles
/// them for its own book-keeping. Without limits these grow to megabytes for a peer that asks and
/// does not read.
const SEND_BUFFER: usize = 64 << 10;
const RECEIVE_BUFFER: usize = 32 << 10;

/// Binds a listening socket. An unspecified address takes both families, as
/// Go's network "tcp" does, unless it is to be one family only.
pub(crate) fn listen(address: SocketAddr, one_family: bool) -> std::io::Result<TcpListener> {
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), address.port());
    let dual = address.ip().is_unspecified() && !one_family;
    let bind = |address: SocketAddr| {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(!dual)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // Accepted connections have what their listener has.
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.bind(&address.into())?;
        TcpSocket::from_std_stream(socket.into()).listen(BACKLOG)
    };
    if !dual {
        return bind(address);
    }
    match bind(any) {
        // A kernel without IPv6.
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => bind(address),
        result => result,
    }
}
