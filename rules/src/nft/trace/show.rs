//! Traces as text.

use super::{End, Origin, Outcome, Packet, Path, Step, Trace};
use crate::nft::print;
use crate::nft::ruleset::HookPoint;
use std::fmt;
use std::net::SocketAddr;

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

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            hook(self.point),
            self.chain,
            self.rule_text()
        )?;
        let matched = self.matched.as_ref();
        let value = matched.and_then(|matched| matched.element.value.as_ref());
        value.map_or(Ok(()), |value| write!(f, " -> {}", print::value(value)))
    }
}

/// The hook as nft names it.
pub(super) fn hook(point: HookPoint) -> &'static str {
    match point {
        HookPoint::Prerouting => "prerouting",
        HookPoint::Input => "input",
        HookPoint::Forward => "forward",
        HookPoint::Output => "output",
        HookPoint::Postrouting => "postrouting",
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => f.write_str("continue"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Translate(to) => write!(f, "dnat to {}", SocketAddr::new(to.address, to.port)),
            Self::Masquerade => f.write_str("masquerade"),
            Self::Reject => f.write_str("reject"),
            Self::Drop => f.write_str("drop"),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.packet)?;
        let mut before: &[Step] = &[];
        for path in &self.paths {
            let same = before.iter().zip(&path.steps);
            let common = same.take_while(|(old, new)| old == new).count();
            write_path(f, path, common)?;
            before = &path.steps;
        }
        Ok(())
    }
}

fn write_path(f: &mut fmt::Formatter<'_>, path: &Path, from: usize) -> fmt::Result {
    const INDENT: usize = 2;
    for step in path.steps.iter().skip(from) {
        let width = INDENT * step.choices;
        writeln!(f, "{:width$}{step}", "")?;
    }
    let width = INDENT * path.choices;
    writeln!(f, "{:width$}=> {}", "", path.end)
}
