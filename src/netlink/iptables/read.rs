//! Chains of iptables as the kernel holds them, one by one: never a whole dump, which takes the kernel
//! time that grows with the square of it.

mod decode;
mod xt;

use crate::netlink::subsystem::protocol_family;
use nft_wire::nf_tables::{self, HEADER, nfta};
use nft_wire::{Message, Socket, Writer};
use rules::iptables::names::ChainName;
use rules::iptables::trace::{Line, Place};
use rules::model::Family;
use std::io;

/// So many rules of a chain are read, which is some times what 10,000 Services have in one.
const RULES: usize = 200_000;

/// What the kernel holds at one place in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLine {
    /// What the kernel calls the rule.
    pub handle: u64,
    /// The rule.
    pub line: Line,
}

/// Reads chains of a family, in the network namespace that it was opened in. Nothing is changed.
pub struct ChainReader {
    socket: Socket,
    family: Family,
}

impl ChainReader {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// There is none to be had.
    pub fn open(family: Family) -> io::Result<Self> {
        Ok(Self {
            socket: nf_tables::open()?,
            family,
        })
    }

    /// The ruleset's generation: another one means that something changed, in whatever table.
    ///
    /// # Errors
    /// The kernel does not permit it.
    pub fn generation(&mut self) -> io::Result<u32> {
        nf_tables::generation(&mut self.socket)
    }

    /// Whether a chain is there.
    ///
    /// # Errors
    /// The kernel does not permit it.
    pub fn has(&mut self, (table, chain): Place) -> io::Result<bool> {
        let family = protocol_family(self.family);
        let kind = nf_tables::message_kind(libc::NFT_MSG_GETCHAIN);
        let answer = self.socket.request(kind, 0, |out| {
            nf_tables::header(out, family);
            out.text(nfta::CHAIN_TABLE, table.name());
            out.text(nfta::CHAIN_NAME, chain.as_str());
        });
        match answer {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What stands in a chain, in order; `None` if it is not there.
    ///
    /// # Errors
    /// The kernel does not permit it, or the rules changed each time that they were read.
    pub fn chain(&mut self, place: Place) -> io::Result<Option<Vec<HeldLine>>> {
        let lines = self.lines(place)?;
        // An empty list says nothing of whether there is a chain.
        match lines.is_empty() && !self.has(place)? {
            true => Ok(None),
            false => Ok(Some(lines)),
        }
    }

    fn lines(&mut self, (table, chain): Place) -> io::Result<Vec<HeldLine>> {
        let number = protocol_family(self.family);
        let wanted = |out: &mut Writer| {
            nf_tables::header(out, number);
            out.text(nfta::RULE_TABLE, table.name());
            out.text(nfta::RULE_CHAIN, chain.as_str());
        };
        let family = self.family;
        let is_wanted = |rule: &nf_tables::Rule| {
            rule.table == table.name() && ChainName::read(&rule.chain) == Some(chain)
        };
        let each = |message: Message<'_>, all: &mut Vec<HeldLine>| {
            let rule = nf_tables::Rule::read(message.body(HEADER));
            let rule = rule.filter(|rule| all.len() < RULES && is_wanted(rule));
            all.extend(rule.map(|rule| HeldLine {
                handle: rule.handle.unwrap_or(0),
                line: line(family, &rule),
            }));
        };
        let kind = nf_tables::message_kind(libc::NFT_MSG_GETRULE);
        match self.socket.list_whole(kind, wanted, each) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Vec::new()),
            found => found,
        }
    }
}

fn line(family: Family, rule: &nf_tables::Rule) -> Line {
    match decode::rule(family, &rule.expressions) {
        Some(rule) => Line::Rule(rule),
        None => {
            let words: Vec<String> = rule.expressions.iter().map(ToString::to_string).collect();
            Line::Other(words.join(" "))
        }
    }
}

/// What is made of a message's contents if they are a rule.
#[cfg(feature = "fuzzing")]
pub(in crate::netlink) fn shown(body: &[u8], family: Family) -> Option<String> {
    let rule = nf_tables::Rule::read(body)?;
    Some(format!("{:?}", line(family, &rule)))
}

#[cfg(test)]
mod tests;
