//! PROXY protocol, versions 1 and 2
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>), before the first request.

use super::answer::ProxyClaim;
use proxy_header::{Error, ParseConfig, ProxyHeader};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What becomes of a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is taken for a request, and a bad one.
    Off,
    /// It may come, and is shown.
    Accept,
    /// Connections without one are closed.
    Require,
}

const V1: &[u8] = b"PROXY ";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest header that is read. Version 1 has 107 bytes at most; addresses of version 2 have
/// up to 232, and what else it says (TLS, names) has room here.
const LIMIT: usize = 4096;

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Accept, Self::Require];

    /// As `--proxy-protocol` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Accept => "accept",
            Self::Require => "require",
        }
    }
}

/// Reads a header, and some of what comes behind it, which is yielded too.
///
/// # Errors
/// The stream's, and headers that are none, too long, or missing where they are required.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    mode: Mode,
) -> io::Result<(Option<ProxyClaim>, Vec<u8>)> {
    let mut read = Vec::new();
    if mode == Mode::Off {
        return Ok((None, read));
    }
    loop {
        match begins(&read) {
            Begins::Otherwise if mode == Mode::Require => {
                return Err(invalid("no PROXY header, and it is required"));
            }
            Begins::Otherwise => return Ok((None, read)),
            Begins::Perhaps => {}
            Begins::With(version) => match parse(&read, version) {
                Ok((claim, length)) => return Ok((Some(claim), read.split_off(length))),
                Err(Error::BufferTooShort) => {}
                Err(error) => return Err(invalid(format!("{error}"))),
            },
        }
        if read.len() >= LIMIT {
            return Err(invalid(format!("a header of more than {LIMIT} bytes")));
        }
        let mut more = [0; 512];
        let room = more.len().min(LIMIT - read.len());
        let length = stream.read(&mut more[..room]).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read.extend_from_slice(&more[..length]);
    }
}

/// What the first bytes are.
enum Begins {
    /// A header of this version.
    With(u8),
    /// Too few to tell.
    Perhaps,
    /// None.
    Otherwise,
}

fn begins(read: &[u8]) -> Begins {
    for (version, signature) in [(1, V1), (2, V2)] {
        if read.starts_with(signature) {
            return Begins::With(version);
        }
        if signature.starts_with(read) {
            return Begins::Perhaps;
        }
    }
    Begins::Otherwise
}

fn parse(read: &[u8], version: u8) -> Result<(ProxyClaim, usize), Error> {
    let only = ParseConfig {
        include_tlvs: false,
        allow_v1: version == 1,
        allow_v2: version == 2,
    };
    let (header, length) = ProxyHeader::parse(read, only)?;
    let addresses = header.proxied_address();
    let claim = ProxyClaim {
        version,
        source: addresses.map(|own| own.source.into()),
        destination: addresses.map(|own| own.destination.into()),
    };
    Ok((claim, length))
}

fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}
