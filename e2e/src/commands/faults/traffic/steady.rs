//! The server of a pod that answers each line, of a connection or a datagram, with the pod's name
//! and the line.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use e2e::Namespace;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Stopped with the value.
pub(crate) struct Steady {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Steady {
    /// Listens on `port` of every address of both families.
    ///
    /// # Errors
    /// If the port is taken.
    pub(crate) fn start(namespace: &Namespace, name: &str, port: u16) -> Result<Self> {
        let (tcp, udp) = namespace.run(|| -> Result<_> {
            let tcp = TcpListener::bind(("::", port)).context("listen on TCP")?;
            let udp = UdpSocket::bind(("::", port)).context("listen on UDP")?;
            tcp.set_nonblocking(true)?;
            udp.set_nonblocking(true)?;
            Ok((tcp, udp))
        })??;
        let stop = Arc::new(AtomicBool::new(false));
        let (name, ended) = (name.to_owned(), Arc::clone(&stop));
        let thread = namespace.spawn(&format!("steady {name}"), move || {
            serve(&tcp, &udp, &name, &ended)
        })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Its sockets would keep the namespace alive.
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn serve(tcp: &TcpListener, udp: &UdpSocket, name: &str, stop: &AtomicBool) -> Result<()> {
    let mut streams: Vec<(TcpStream, Vec<u8>)> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let listening = [tcp.as_fd(), udp.as_fd()].into_iter();
        let fds = listening.chain(streams.iter().map(|(stream, _)| stream.as_fd()));
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, PollTimeout::from(100u8)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("poll"),
        }
        while let Ok((stream, _)) = tcp.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            streams.push((stream, Vec::new()));
        }
        let mut datagram = [0; 128];
        while let Ok((length, client)) = udp.recv_from(&mut datagram) {
            let line = [name.as_bytes(), b" ", &datagram[..length]].concat();
            // It may be on its way to a port that is no more.
            udp.send_to(&line, client).ok();
        }
        streams.retain_mut(|(stream, begun)| answer(stream, begun, name));
    }
    Ok(())
}

/// Answers the lines that are whole; false once the connection has ended.
fn answer(stream: &mut TcpStream, begun: &mut Vec<u8>, name: &str) -> bool {
    let mut bytes = [0; 512];
    match stream.read(&mut bytes) {
        Ok(0) => return false,
        Ok(length) => begun.extend_from_slice(&bytes[..length]),
        Err(error) => return error.kind() == ErrorKind::WouldBlock,
    }
    while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = begun.drain(..=end).collect();
        let answer = [name.as_bytes(), b" ", &line].concat();
        if stream.write_all(&answer).is_err() {
            return false;
        }
    }
    true
}
