//! Messages about chains of iptables, each with what it is about.

use super::encode;
use crate::netlink::messages::Messages;
use crate::netlink::subsystem::table_message;
use nft_wire::Writer;
use nft_wire::nf_tables::{self, Hook, Rule, nfta};
use rules::iptables::Object;
use rules::iptables::names::ChainName;
use rules::iptables::rule::{self, Table};
use rules::model::Family;
use std::fmt;

/// Messages of one family that the kernel takes whole or refuses whole.
pub(super) struct Batch {
    family: Family,
    messages: Messages,
    /// From which message on they are about what, in order.
    subjects: Vec<(usize, Subject)>,
}

/// What messages are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A table that is to be there.
    Table(Table),
    /// A chain.
    Chain(Doing, Object),
}

/// What is done to a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// It is made.
    Make,
    /// It gets its rules.
    Fill,
    /// It gets a rule at its head.
    Jump,
    /// It is emptied and deleted.
    Delete,
}

impl Batch {
    /// Nothing yet: see [`Messages::new`].
    pub(super) fn new(family: Family, begin: u32, generation: Option<u32>) -> Self {
        Self {
            family,
            messages: Messages::new(begin, generation, 0),
            subjects: Vec::new(),
        }
    }

    /// The messages.
    pub(super) fn messages(&self) -> &Messages {
        &self.messages
    }

    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.messages.count()
    }

    /// Ends it: nothing may be added behind.
    pub(super) fn end(&mut self) {
        self.messages.end();
    }

    /// Lets the kernel take it at this generation of the ruleset only.
    pub(super) fn at_generation(&mut self, generation: u32) {
        self.messages.set_generation(generation);
    }

    /// What the message with that number is about.
    pub(super) fn find(&self, sequence: u32) -> Option<Subject> {
        let position = self.messages.position(sequence)?;
        let behind = self
            .subjects
            .partition_point(|(first, _)| *first <= position);
        let (_, subject) = self.subjects.get(behind.checked_sub(1)?)?;
        (position < self.len()).then_some(*subject)
    }

    /// What follows is about this.
    pub(super) fn about(&mut self, subject: Subject) {
        self.subjects.push((self.messages.count(), subject));
    }

    /// A table is there, as it is if it is there already.
    pub(super) fn table(&mut self, table: Table) {
        self.about(Subject::Table(table));
        self.message(libc::NFT_MSG_NEWTABLE, libc::NLM_F_CREATE, |out| {
            out.text(nfta::TABLE_NAME, table.name());
        });
    }

    /// A chain is there: `new` says that it must not be there yet.
    pub(super) fn chain(&mut self, table: Table, chain: ChainName, new: bool) {
        let exclusive = if new { libc::NLM_F_EXCL } else { 0 };
        let flags = libc::NLM_F_CREATE | exclusive;
        self.message(libc::NFT_MSG_NEWCHAIN, flags, |out| {
            out.text(nfta::CHAIN_TABLE, table.name());
            out.text(nfta::CHAIN_NAME, chain.as_str());
        });
    }

    /// A base chain, which must not be there yet: its policy would be set over another's.
    pub(super) fn base_chain(&mut self, table: Table, chain: ChainName, hook: Hook) {
        self.about(Subject::Chain(Doing::Make, Object { table, chain }));
        let base = nf_tables::Chain {
            table: table.name().to_owned(),
            name: chain.to_string(),
            hook: Some(hook),
            user_data: Vec::new(),
        };
        let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.message(libc::NFT_MSG_NEWCHAIN, flags, |out| base.write(out));
    }

    /// A chain that is there has no rules.
    pub(super) fn empty(&mut self, table: Table, chain: ChainName) {
        self.message(libc::NFT_MSG_DELRULE, 0, |out| {
            out.text(nfta::RULE_TABLE, table.name());
            out.text(nfta::RULE_CHAIN, chain.as_str());
        });
    }

    /// A rule at a chain's end.
    pub(super) fn append(&mut self, table: Table, chain: ChainName, rule: &rule::Rule) {
        self.rule(table, chain, rule, libc::NLM_F_APPEND);
    }

    /// A rule at a chain's head, before those of others.
    pub(super) fn prepend(&mut self, table: Table, chain: ChainName, rule: &rule::Rule) {
        self.about(Subject::Chain(Doing::Jump, Object { table, chain }));
        self.rule(table, chain, rule, 0);
    }

    fn rule(&mut self, table: Table, chain: ChainName, rule: &rule::Rule, flags: libc::c_int) {
        let rule = Rule {
            table: table.name().to_owned(),
            chain: chain.to_string(),
            expressions: encode::expressions(self.family, rule),
            compat: Some(encode::compat(rule)),
            ..Rule::default()
        };
        let flags = libc::NLM_F_CREATE | flags;
        self.message(libc::NFT_MSG_NEWRULE, flags, |out| rule.write(out));
    }

    /// A chain that is there goes, with its rules. That nothing leads there is the kernel's to say.
    pub(super) fn delete(&mut self, table: Table, chain: ChainName) {
        self.message(libc::NFT_MSG_DELCHAIN, 0, |out| {
            out.text(nfta::CHAIN_TABLE, table.name());
            out.text(nfta::CHAIN_NAME, chain.as_str());
        });
    }

    fn message(&mut self, kind: libc::c_int, flags: libc::c_int, write: impl FnOnce(&mut Writer)) {
        let family = self.family;
        self.messages.add(|out, sequence| {
            table_message(out, family, kind, flags, sequence, write);
        });
    }
}

impl Subject {
    /// The chain, if it is about one.
    pub(super) fn object(self) -> Option<Object> {
        match self {
            Self::Table(_) => None,
            Self::Chain(_, object) => Some(object),
        }
    }
}

impl fmt::Display for Subject {
    /// For example `fill chain nat KUBE-SERVICES`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => write!(f, "make table {}", table.name()),
            Self::Chain(doing, Object { table, chain }) => {
                let words = match doing {
                    Doing::Make => "make chain",
                    Doing::Fill => "fill chain",
                    Doing::Jump => "put a rule at the head of chain",
                    Doing::Delete => "delete chain",
                };
                write!(f, "{words} {} {chain}", table.name())
            }
        }
    }
}
