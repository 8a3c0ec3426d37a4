//! Traces as text.

use super::{Outcome, Step, Trace};
use crate::nft::print;
use crate::trace::write_paths;
use std::fmt;
use std::net::SocketAddr;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.point.name(),
            self.chain,
            self.rule_text()
        )?;
        let matched = self.matched.as_ref();
        let value = matched.and_then(|matched| matched.element.value.as_ref());
        value.map_or(Ok(()), |value| write!(f, " -> {}", print::value(value)))
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
        let paths = self.paths.iter();
        let paths = paths.map(|path| (path.steps.as_slice(), path.choices, path.end));
        write_paths(f, &self.packet, paths, |step| step.choices)
    }
}
