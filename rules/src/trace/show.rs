//! Packets and their ends as text.

use super::{End, HookPoint, Origin, Packet};
use std::fmt;
use std::net::SocketAddr;

/// As nft names it.
impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = SocketAddr::new(self.destination, self.port);
        write!(f, "{} {} to {to}, ", self.protocol, self.source)?;
        match &self.origin {
            Origin::Node => f.write_str("from the node itself"),
            Origin::Interface(name) => write!(f, "in by {name}"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = |masquerade| if masquerade { ", masqueraded" } else { "" };
        match self {
            Self::Endpoint {
                backend,
                masquerade,
            } => {
                let to = SocketAddr::new(backend.address, backend.port);
                write!(f, "{to}{}", suffix(*masquerade))
            }
            Self::Untranslated { masquerade } => {
                write!(f, "not translated{}", suffix(*masquerade))
            }
            Self::Rejected => f.write_str("rejected"),
            Self::Dropped => f.write_str("dropped"),
        }
    }
}
