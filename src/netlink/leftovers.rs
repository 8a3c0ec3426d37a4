//! Tables that are not ours, as far as cleaning up needs them: chains and rules
//! are listed by name, and removed in one transaction for each family.

use super::objects;
use super::subsystem::{protocol_family, table_message};
use nft_wire::nf_tables::{self, Chain, Data, Expression, Rule, nfta};
use nft_wire::{Socket, Writer};
use rules::model::Family;
use std::io;

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
            socket: nf_tables::open()?,
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
                    out.text(nfta::RULE_TABLE, table);
                    out.text(nfta::RULE_CHAIN, chain);
                    out.long(nfta::RULE_HANDLE, *handle);
                });
            }
            // All rules first: they lead from chain to chain.
            for (table, chain) in &removal.chains {
                message(bytes, family, libc::NFT_MSG_DELRULE, sequence, |out| {
                    out.text(nfta::RULE_TABLE, table);
                    out.text(nfta::RULE_CHAIN, chain);
                });
            }
            for (table, chain) in &removal.chains {
                message(bytes, family, libc::NFT_MSG_DELCHAIN, sequence, |out| {
                    out.text(nfta::CHAIN_TABLE, table);
                    out.text(nfta::CHAIN_NAME, chain);
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
        let found = self.socket.list_whole(
            nf_tables::message_kind(kind),
            |out| {
                nf_tables::header(out, protocol_family(family));
                if let Some(table) = table {
                    out.text(nfta::RULE_TABLE, table);
                }
            },
            |message, found| found.extend(read(message.body(nf_tables::HEADER))),
        );
        match found {
            // There is no such table.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Vec::new()),
            found => found,
        }
    }

    /// Sends what `write` adds as one batch; the number is that of the message before.
    fn transact(&mut self, write: impl FnOnce(&mut Writer, &mut u32)) -> io::Result<()> {
        let mut out = Writer::new();
        let mut last = 0;
        nf_tables::begin(&mut out, last, None);
        write(&mut out, &mut last);
        // The end of the batch is answered by itself when asked to, which tells
        // that all of it was taken.
        let end = out.len();
        nf_tables::end(&mut out, last + 1);
        out.acknowledge(end);
        let bytes = out.finish().map_err(io::Error::other)?;
        self.socket.send(&bytes)?;
        let replies = self.socket.replies()?.all;
        match replies.iter().find(|reply| reply.errno != 0) {
            Some(reply) => Err(io::Error::from_raw_os_error(reply.errno)),
            None => Ok(()),
        }
    }
}

fn message(
    out: &mut Writer,
    family: Family,
    kind: libc::c_int,
    sequence: &mut u32,
    write: impl FnOnce(&mut Writer),
) {
    *sequence += 1;
    table_message(out, family, kind, 0, *sequence, write);
}

/// A chain that was listed.
pub(super) fn chain(body: &[u8]) -> Option<FoundChain> {
    let Chain {
        table, name, hook, ..
    } = Chain::read(body)?;
    Some(FoundChain {
        table,
        name,
        is_base: hook.is_some(),
    })
}

/// A rule that was listed.
pub(super) fn rule(body: &[u8]) -> Option<FoundRule> {
    let rule = Rule::read(body)?;
    Some(FoundRule {
        jumps_to: rule.expressions.iter().find_map(jump),
        handle: rule.handle?,
        table: rule.table,
        chain: rule.chain,
    })
}

/// The chain that an expression leads to.
fn jump(expression: &Expression) -> Option<String> {
    match expression {
        Expression::Immediate {
            data: Data::Verdict { chain, .. },
            ..
        } => chain.clone(),
        _ => None,
    }
}
