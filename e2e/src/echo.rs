//! The server inside a pod: it tells who it is and whom it saw.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Namespace;

/// A TCP and UDP server that answers every connection and every datagram with the line
/// `name client-address`; stopped with the value.
#[derive(Debug)]
pub struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Echo {
    /// Listens on `port` of every address of both families.
    ///
    /// # Errors
    /// If the port is taken.
    pub fn start(namespace: &Namespace, name: &str, port: u16) -> Result<Self> {
        // Without IPV6_V6ONLY one socket serves both families.
        let (tcp, udp) = namespace.run(|| -> Result<_> {
            let tcp = TcpListener::bind(("::", port)).context("listen on TCP")?;
            let udp = UdpSocket::bind(("::", port)).context("listen on UDP")?;
            tcp.set_nonblocking(true)?;
            udp.set_nonblocking(true)?;
            Ok((tcp, udp))
        })??;
        let stop = Arc::new(AtomicBool::new(false));
        let server = Server {
            name: name.to_owned(),
            tcp,
            udp,
            stop: Arc::clone(&stop),
        };
        let thread = namespace.spawn(&format!("echo {name}"), move || server.serve())?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Its sockets would keep the namespace alive.
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

struct Server {
    name: String,
    tcp: TcpListener,
    udp: UdpSocket,
    stop: Arc<AtomicBool>,
}

impl Server {
    fn serve(&self) -> Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            let mut sockets = [
                PollFd::new(self.tcp.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.udp.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut sockets, PollTimeout::from(50u8)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("poll"),
            }
            while let Ok((stream, client)) = self.tcp.accept() {
                self.answer(stream, client).ok();
            }
            let mut datagram = [0; 2048];
            while let Ok((_, client)) = self.udp.recv_from(&mut datagram) {
                self.udp.send_to(self.line(client).as_bytes(), client).ok();
            }
        }
        Ok(())
    }

    fn answer(&self, mut stream: TcpStream, client: SocketAddr) -> Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(self.line(client).as_bytes())?;
        Ok(())
    }

    fn line(&self, client: SocketAddr) -> String {
        format!("{} {}\n", self.name, client.ip().to_canonical())
    }
}
