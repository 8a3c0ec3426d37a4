//! The server inside a pod: it tells who it is and whom it saw, or what it heard.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Namespace;
use crate::worker::Worker;

/// What a [`Server`] says. A datagram is always answered by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// The line `name client-address` to each connection, which it then ends.
    Once,
    /// The line `name client-address` to each line of a connection.
    Client,
    /// The line `name line` to each line of a connection.
    Line,
}

/// A TCP and UDP server; stopped with the value.
#[derive(Debug)]
pub struct Server {
    _worker: Worker,
}

impl Server {
    /// Listens on `port` of every address of both families.
    ///
    /// # Errors
    /// If the port is taken.
    pub fn start(namespace: &Namespace, name: &str, port: u16, answers: Answers) -> Result<Self> {
        let sockets = namespace.run(|| Sockets::bind("::", port))??;
        let server = Speaker {
            name: name.to_owned(),
            answers,
        };
        let label = format!("server {name}");
        let work = move |stop: &AtomicBool| sockets.serve(&server, stop);
        Ok(Self {
            _worker: namespace.start_worker(&label, work)?,
        })
    }
}

pub(crate) struct Sockets {
    tcp: TcpListener,
    udp: UdpSocket,
}

/// Who answers, and how.
pub(crate) struct Speaker {
    pub(crate) name: String,
    pub(crate) answers: Answers,
}

/// An open connection, and the line that has come in part.
struct Connection {
    stream: TcpStream,
    client: SocketAddr,
    begun: Vec<u8>,
}

impl Sockets {
    /// On `::`, without IPV6_V6ONLY, one socket serves both families.
    pub(crate) fn bind(address: &str, port: u16) -> Result<Self> {
        let tcp = TcpListener::bind((address, port)).context("listen on TCP")?;
        let udp = UdpSocket::bind((address, port)).context("listen on UDP")?;
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        Ok(Self { tcp, udp })
    }

    pub(crate) fn serve(&self, speaker: &Speaker, stop: &AtomicBool) -> Result<()> {
        let mut connections: Vec<Connection> = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let listening = [self.tcp.as_fd(), self.udp.as_fd()].into_iter();
            let open = connections.iter().map(|open| open.stream.as_fd());
            let fds = listening.chain(open);
            let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            match poll(&mut fds, PollTimeout::from(50u8)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("poll"),
            }
            while let Ok((mut stream, client)) = self.tcp.accept() {
                if speaker.answers == Answers::Once {
                    // It fits any buffer; whoever it is for may be gone.
                    stream.write_all(&speaker.line(client, b"")).ok();
                    continue;
                }
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                connections.push(Connection {
                    stream,
                    client,
                    begun: Vec::new(),
                });
            }
            let mut datagram = [0; 2048];
            while let Ok((length, client)) = self.udp.recv_from(&mut datagram) {
                let line = speaker.line(client, &datagram[..length]);
                // It may be on its way to a port that is no more.
                self.udp.send_to(&line, client).ok();
            }
            connections.retain_mut(|connection| connection.answer(speaker));
        }
        Ok(())
    }
}

impl Connection {
    /// Answers the lines that are whole; false once the connection has ended.
    fn answer(&mut self, speaker: &Speaker) -> bool {
        let mut bytes = [0; 512];
        match self.stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(length) => self.begun.extend_from_slice(&bytes[..length]),
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let heard: Vec<u8> = self.begun.drain(..=end).collect();
            let line = speaker.line(self.client, &heard);
            if self.stream.write_all(&line).is_err() {
                return false;
            }
        }
        true
    }
}

impl Speaker {
    fn line(&self, client: SocketAddr, heard: &[u8]) -> Vec<u8> {
        match self.answers {
            Answers::Line => [self.name.as_bytes(), b" ", heard].concat(),
            Answers::Once | Answers::Client => {
                format!("{} {}\n", self.name, client.ip().to_canonical()).into_bytes()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::Conversation;
    use crate::client::Outcome;

    const PATIENCE: Duration = Duration::from_secs(2);

    /// Runs `client` against a server at a port that it is told.
    fn with_server(answers: Answers, client: impl FnOnce(SocketAddr, &dyn Fn())) {
        // The same number is free for UDP too, but for bad luck.
        let sockets = (0..10).find_map(|_| {
            let free = TcpListener::bind(("127.0.0.1", 0))
                .ok()?
                .local_addr()
                .ok()?;
            Sockets::bind("127.0.0.1", free.port()).ok()
        });
        let sockets = sockets.expect("a port");
        let address = sockets.tcp.local_addr().expect("bound");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let speaker = Speaker {
            name: "pod".to_owned(),
            answers,
        };
        let server = std::thread::spawn(move || sockets.serve(&speaker, &stopped));
        let server = std::cell::Cell::new(Some(server));
        let end = || {
            stop.store(true, Ordering::Relaxed);
            if let Some(server) = server.take() {
                server.join().expect("no panic").expect("no error");
            }
        };
        client(address, &end);
        end();
    }

    #[test]
    fn a_conversation_goes_on_until_its_server_ends() {
        with_server(Answers::Client, |address, end| {
            let mut talk = Conversation::open(address, PATIENCE).expect("listens");
            for _ in 0..3 {
                let answer = talk.ask(PATIENCE).to_string();
                assert_eq!(answer, "pod answered, saw 127.0.0.1");
            }
            end();
            assert!(!matches!(talk.ask(PATIENCE), Outcome::Answered(_)));
        });
    }

    #[test]
    fn each_line_comes_back_though_it_was_sent_in_pieces() {
        with_server(Answers::Line, |address, _| {
            let stream = TcpStream::connect(address).expect("listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            stream.get_mut().write_all(b"1\n2").expect("sent");
            stream.read_line(&mut line).expect("an answer");
            stream.get_mut().write_all(b"3\n").expect("sent");
            stream.read_line(&mut line).expect("an answer");
            assert_eq!(line, "pod 1\npod 23\n");
        });
    }

    #[test]
    fn once_is_the_end_of_a_connection() {
        with_server(Answers::Once, |address, _| {
            let outcome = crate::client::dial(address, PATIENCE).to_string();
            assert_eq!(outcome, "pod answered, saw 127.0.0.1");
            let outcome = crate::client::dial_udp(address, PATIENCE).to_string();
            assert_eq!(outcome, "pod answered, saw 127.0.0.1");
        });
    }
}
