//! Connections that last, to see whether a change breaks one.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Namespace;
use crate::client::{Outcome, outcome};

/// A TCP server that answers whatever comes with the line `name client-address`, as often as
/// something comes; stopped with the value.
#[derive(Debug)]
pub struct Chat {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Chat {
    /// Listens on `port` of every address of both families.
    ///
    /// # Errors
    /// If the port is taken.
    pub fn start(namespace: &Namespace, name: &str, port: u16) -> Result<Self> {
        let listener = namespace.run(|| TcpListener::bind(("::", port)))?;
        let listener = listener.context("listen on TCP")?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (name, ended) = (name.to_owned(), Arc::clone(&stop));
        let thread = namespace.spawn(&format!("chat {name}"), move || {
            serve(&listener, &name, &ended)
        })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Its sockets would keep the namespace alive.
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn serve(listener: &TcpListener, name: &str, stop: &AtomicBool) -> Result<()> {
    let mut streams: Vec<TcpStream> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let fds = std::iter::once(listener.as_fd()).chain(streams.iter().map(AsFd::as_fd));
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, PollTimeout::from(50u8)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("poll"),
        }
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            streams.push(stream);
        }
        streams.retain_mut(|stream| answer(stream, name));
    }
    Ok(())
}

/// Answers what has come; false once the connection has ended.
fn answer(stream: &mut TcpStream, name: &str) -> bool {
    let mut bytes = [0; 512];
    match stream.read(&mut bytes) {
        Ok(0) => false,
        Ok(_) => {
            let client = stream.peer_addr().map(|peer| peer.ip().to_canonical());
            client.is_ok_and(|client| writeln!(stream, "{name} {client}").is_ok())
        }
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// A connection to a [`Chat`] that stays open.
#[derive(Debug)]
pub struct Conversation(BufReader<TcpStream>);

impl Conversation {
    /// Connects from the calling thread's namespace.
    ///
    /// # Errors
    /// If the connection is refused or takes longer than `patience`.
    pub fn open(target: SocketAddr, patience: Duration) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&target, patience)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Says something and returns what becomes of it.
    pub fn ask(&mut self, patience: Duration) -> Outcome {
        let mut attempt = || -> std::io::Result<String> {
            self.0.get_ref().set_read_timeout(Some(patience))?;
            self.0.get_mut().write_all(b"who?\n")?;
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            Ok(line)
        };
        outcome(attempt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_goes_on_until_its_server_ends() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        listener.set_nonblocking(true).expect("nonblocking");
        let address = listener.local_addr().expect("bound");
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let server = std::thread::spawn(move || serve(&listener, "pod", &ended));
        let patience = Duration::from_secs(2);
        let mut talk = Conversation::open(address, patience).expect("listens");
        for _ in 0..3 {
            assert_eq!(
                talk.ask(patience).to_string(),
                "pod answered, saw 127.0.0.1"
            );
        }
        stop.store(true, Ordering::Relaxed);
        server.join().expect("no panic").expect("no error");
        assert!(!matches!(talk.ask(patience), Outcome::Answered(_)));
    }
}
