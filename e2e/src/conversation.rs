//! Connections that last, to see whether a change breaks one.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::client::{Outcome, outcome};

/// A connection that stays open to a [`Server`](crate::Server) of
/// [`Answers::Client`](crate::Answers::Client).
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
