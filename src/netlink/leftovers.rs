//! Tables that are not ours, as far as cleaning up needs them: chains and rules
//! are listed by name, and removed in one transaction for each family.

use super::attributes::{attribute, attributes, read_text, text};
use super::batch;
use super::clients::read_list;
use super::objects;
use super::socket::Socket;
use super::subsystem::{self, table_message};
use rules::model::Family;
use std::io;

mod kernel {
    pub(super) const CHAIN_TABLE: u16 = 1;
    pub(super) const CHAIN_NAME: u16 = 3;
    pub(super) const CHAIN_HOOK: u16 = 4;
    pub(super) const RULE_TABLE: u16 = 1;
    pub(super) const RULE_CHAIN: u16 = 2;
    pub(super) const RULE_HANDLE: u16 = 3;
    pub(super) const RULE_EXPRESSIONS: u16 = 4;
    pub(super) const EXPRESSION_DATA: u16 = 2;
    pub(super) const IMMEDIATE_DATA: u16 = 2;
    pub(super) const DATA_VERDICT: u16 = 2;
    pub(super) const VERDICT_CHAIN: u16 = 2;
}

/// Listing is tried again so often if the ruleset changed meanwhile.
const ATTEMPTS: u32 = 5;

/// A chain of any table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundChain {
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Packets come to it by themselves.
    pub is_base: bool,
}

/// A rule of any table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRule {
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// What the kernel calls it.
    pub handle: u64,
    /// The chain that it leads to.
    pub jumps_to: Option<String>,
}

/// What to remove of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Rules: table, chain and handle.
    pub rules: Vec<(String, String, u64)>,
    /// Chains with all their rules: table and name.
    pub chains: Vec<(String, String)>,
}

/// Lists and removes, in the network namespace that it was opened in.
pub struct Leftovers {
    socket: Socket,
}

impl Leftovers {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// There is none to be had.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            socket: Socket::open()?,
        })
    }

    /// Every chain of every table of a family.
    ///
    /// # Errors
    /// The kernel does not list them.
    pub fn chains(&mut self, family: Family) -> io::Result<Vec<FoundChain>> {
        self.dump(family, libc::NFT_MSG_GETCHAIN, None, chain)
    }

    /// Every rule of a table.
    ///
    /// # Errors
    /// The kernel does not list them.
    pub fn rules(&mut self, family: Family, table: &str) -> io::Result<Vec<FoundRule>> {
        self.dump(family, libc::NFT_MSG_GETRULE, Some(table), rule)
    }

    /// Removes in one transaction.
    ///
    /// # Errors
    /// The kernel refuses, and nothing is removed.
    pub fn remove(&mut self, family: Family, removal: &Removal) -> io::Result<()> {
        self.transact(|bytes, sequence| {
            for (table, chain, handle) in &removal.rules {
                message(bytes, family, libc::NFT_MSG_DELRULE, sequence, |out| {
                    text(out, kernel::RULE_TABLE, table);
                    text(out, kernel::RULE_CHAIN, chain);
                    attribute(out, kernel::RULE_HANDLE, &handle.to_be_bytes());
                });
            }
            // All rules first: they lead from chain to chain.
            for (table, chain) in &removal.chains {
                message(bytes, family, libc::NFT_MSG_DELRULE, sequence, |out| {
                    text(out, kernel::RULE_TABLE, table);
                    text(out, kernel::RULE_CHAIN, chain);
                });
            }
            for (table, chain) in &removal.chains {
                message(bytes, family, libc::NFT_MSG_DELCHAIN, sequence, |out| {
                    text(out, kernel::CHAIN_TABLE, table);
                    text(out, kernel::CHAIN_NAME, chain);
                });
            }
        })
    }

    /// Removes the table `kube-proxy`; none is as good.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove_own_table(&mut self, family: Family) -> io::Result<()> {
        let result = self.transact(|bytes, sequence| {
            *sequence += 1;
            objects::delete_table(bytes, *sequence, family);
        });
        match result {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result,
        }
    }

    fn dump<T>(
        &mut self,
        family: Family,
        kind: libc::c_int,
        table: Option<&str>,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        for sequence in 1..=ATTEMPTS {
            // Whatever an attempt that failed has left over.
            self.socket.replies()?;
            let mut request = Vec::new();
            let flags = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;
            table_message(&mut request, family, kind, flags, sequence, |out| {
                if let Some(table) = table {
                    text(out, kernel::RULE_TABLE, table);
                }
            });
            self.socket.send(&request)?;
            let mut found = Vec::new();
            if read_list(&self.socket, sequence, &mut |payload| {
                found.extend(read(payload));
            })? {
                return Ok(found);
            }
        }
        Err(io::Error::from_raw_os_error(libc::EINTR))
    }

    /// Sends what `write` adds as one batch; the number is that of the message before.
    fn transact(&mut self, write: impl FnOnce(&mut Vec<u8>, &mut u32)) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut last = 0;
        subsystem::begin(&mut bytes, last);
        write(&mut bytes, &mut last);
        // The end of the batch is answered by itself when asked to, which tells
        // that all of it was taken.
        let end = bytes.len();
        subsystem::end(&mut bytes, last + 1);
        batch::acknowledge(&mut bytes, end);
        self.socket.replies()?;
        self.socket.send(&bytes)?;
        let replies = self.socket.replies()?;
        match replies.iter().find(|reply| reply.errno != 0) {
            Some(reply) => Err(io::Error::from_raw_os_error(reply.errno)),
            None => Ok(()),
        }
    }
}

fn message(
    bytes: &mut Vec<u8>,
    family: Family,
    kind: libc::c_int,
    sequence: &mut u32,
    write: impl FnOnce(&mut Vec<u8>),
) {
    *sequence += 1;
    table_message(bytes, family, kind, libc::NLM_F_REQUEST, *sequence, write);
}

/// A chain that was listed.
pub(super) fn chain(payload: &[u8]) -> Option<FoundChain> {
    Some(FoundChain {
        table: named(payload, kernel::CHAIN_TABLE)?,
        name: named(payload, kernel::CHAIN_NAME)?,
        is_base: value(payload, kernel::CHAIN_HOOK).is_some(),
    })
}

/// A rule that was listed.
pub(super) fn rule(payload: &[u8]) -> Option<FoundRule> {
    let handle = value(payload, kernel::RULE_HANDLE)?;
    Some(FoundRule {
        table: named(payload, kernel::RULE_TABLE)?,
        chain: named(payload, kernel::RULE_CHAIN)?,
        handle: u64::from_be_bytes(handle.try_into().ok()?),
        jumps_to: jump(payload),
    })
}

fn value(payload: &[u8], kind: u16) -> Option<&[u8]> {
    let mut all = attributes(payload);
    all.find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

fn named(payload: &[u8], kind: u16) -> Option<String> {
    value(payload, kind).and_then(read_text)
}

/// The chain that a rule's verdict names.
fn jump(payload: &[u8]) -> Option<String> {
    let expressions = value(payload, kernel::RULE_EXPRESSIONS)?;
    attributes(expressions).find_map(|(_, expression)| {
        // Of the kinds of expressions only an immediate has these, one in another.
        let data = value(expression, kernel::EXPRESSION_DATA)?;
        let data = value(data, kernel::IMMEDIATE_DATA)?;
        let verdict = value(data, kernel::DATA_VERDICT)?;
        named(verdict, kernel::VERDICT_CHAIN)
    })
}
