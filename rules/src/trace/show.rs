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

/// Writes the ways of a packet, one step a line: steps, how many choices lead there, the end. After a
/// random choice, each way is indented below what it has in common with the one before.
pub(crate) fn write_paths<'a, S: fmt::Display + PartialEq + 'a>(
    f: &mut fmt::Formatter<'_>,
    packet: &Packet,
    paths: impl Iterator<Item = (&'a [S], usize, End)>,
    choices: impl Fn(&S) -> usize,
) -> fmt::Result {
    const INDENT: usize = 2;
    writeln!(f, "{packet}")?;
    let mut before: &[S] = &[];
    for (steps, made, end) in paths {
        let same = before.iter().zip(steps);
        let common = same.take_while(|(old, new)| old == new).count();
        for step in steps.iter().skip(common) {
            let width = INDENT * choices(step);
            writeln!(f, "{:width$}{step}", "")?;
        }
        let width = INDENT * made;
        writeln!(f, "{:width$}=> {end}", "")?;
        before = steps;
    }
    Ok(())
}
