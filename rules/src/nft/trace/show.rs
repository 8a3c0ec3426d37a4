//! Traces as text.

use super::{Outcome, Path, Step, Trace};
use crate::nft::print;
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
