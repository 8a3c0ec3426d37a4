//! What a rule consists of: the matches and targets that kube-proxy uses, as types.

use super::names::ChainName;
use crate::model::{EndpointAddr, Protocol};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// A table of iptables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Holds a canary, and nothing else of ours.
    Mangle,
    /// What is let through.
    Filter,
    /// Where connections go.
    Nat,
}

impl Table {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mangle => "mangle",
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }

    /// The table of this name, if kube-proxy has anything in it.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Mangle, Self::Filter, Self::Nat];
        all.into_iter().find(|table| table.name() == name)
    }
}

/// A rule: what all has to match, in upstream's order, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What has to match.
    pub matches: Vec<Match>,
    /// What follows; nothing for a rule that only says something.
    pub target: Option<Target>,
}

impl Rule {
    /// The chain that it jumps to, if it does.
    pub fn leads_to(&self) -> Option<ChainName> {
        match self.target {
            Some(Target::Jump(chain)) => Some(chain),
            _ => None,
        }
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// `-m comment`: always true.
    Comment(Comment),
    /// `-p`, with the protocol's own match.
    Protocol(Protocol),
    /// `--dport`, of the protocol that stands before it.
    Port(u16),
    /// `-s`, or `! -s`.
    Source(Is, Address),
    /// `-d`, or `! -d`.
    Destination(Is, Address),
    /// `-i`, or `! -i`.
    Interface {
        /// Whether it shall be that one.
        is: Is,
        /// The name or its beginning, at most 15 bytes.
        name: Arc<str>,
        /// `name` is a beginning, shorter than 15 bytes.
        wildcard: bool,
    },
    /// `-m addrtype --src-type LOCAL`.
    SourceIsLocal,
    /// `-m addrtype --dst-type LOCAL`.
    DestinationIsLocal,
    /// `-m mark`: all of these bits are set, or not all.
    Mark(Is, u32),
    /// `-m conntrack --ctstate`: one of these, or none.
    State(Is, &'static [State]),
    /// `-m statistic --mode random`: one time out of so many.
    OneOf(usize),
    /// `-m recent --rcheck --reap`: a client that was seen at this chain's endpoint so many seconds
    /// ago or less.
    SeenAt(ChainName, u32),
    /// `-m recent --set`: always true, and the client is remembered for this chain.
    Remember(ChainName),
    /// `-m nfacct`: always true, and counted under this name.
    Count(&'static str),
}

/// Whether a condition is to be met or not to be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// It is.
    So,
    /// `!`.
    Not,
}

/// Addresses as upstream writes them, which `iptables-save` no longer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// One, without a length.
    One(IpAddr),
    /// A range.
    Range(IpNet),
}

impl Address {
    /// The range of one or more addresses.
    pub fn range(self) -> IpNet {
        match self {
            Self::One(address) => address.into(),
            Self::Range(range) => range.trunc(),
        }
    }
}

/// A state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Conntrack can make nothing of the packet.
    Invalid,
    /// The connection's first packet.
    New,
    /// A part of it.
    Established,
    /// Of another connection's making.
    Related,
    /// Its destination was translated.
    Dnat,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The rules of another chain, then the next one here.
    Jump(ChainName),
    /// Let through.
    Accept,
    /// Dropped.
    Drop,
    /// Back to where the chain was jumped to.
    Return,
    /// Answered by ICMP port unreachable.
    Reject,
    /// These bits of its mark are set.
    MarkOr(u32),
    /// These bits of its mark are turned over.
    MarkXor(u32),
    /// The node's address in the source's place, and any port.
    Masquerade,
    /// This destination.
    Dnat(EndpointAddr),
}

/// Text that a rule carries, without what would end or break it and not too long: nothing from the
/// cluster may reach a rule unescaped or unbounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment(Box<str>);

impl Comment {
    /// The kernel's `XT_MAX_COMMENT_LEN` without the closing NUL.
    pub const MAX: usize = 255;

    /// From any text.
    pub fn new(text: impl Into<String>) -> Self {
        let harmless = |c: char| !c.is_control() && c != '"' && c != '\\';
        let text: String = text.into();
        if text.len() <= Self::MAX && text.chars().all(harmless) {
            return Self(text.into());
        }
        let mut clean = String::with_capacity(Self::MAX);
        for c in text.chars().map(|c| if harmless(c) { c } else { '_' }) {
            if clean.len() + c.len_utf8() > Self::MAX {
                break;
            }
            clean.push(c);
        }
        Self(clean.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A rule that goes to a chain.
pub(super) fn jump(to: ChainName, matches: impl IntoIterator<Item = Match>) -> Rule {
    rule(matches, Target::Jump(to))
}

pub(super) fn rule(matches: impl IntoIterator<Item = Match>, target: Target) -> Rule {
    Rule {
        matches: matches.into_iter().collect(),
        target: Some(target),
    }
}

pub(super) fn comment(text: impl Into<String>) -> Match {
    Match::Comment(Comment::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_harmless_and_short() {
        let comment = |text: &str| Comment::new(text).as_str().to_owned();
        assert_eq!(
            comment("ns/web:http -> [fd00::1]:80"),
            "ns/web:http -> [fd00::1]:80"
        );
        assert_eq!(comment("a\" -j DROP\nCOMMIT\\"), "a_ -j DROP_COMMIT_");
        assert_eq!(
            comment(&"ä".repeat(200)).len(),
            254,
            "whole characters only"
        );
        assert_eq!(comment(&"x".repeat(300)).len(), 255);
    }
}
