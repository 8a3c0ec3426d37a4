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
    /// What it says of itself to iptables.
    pub comment: Option<String>,
}

/// What to remove of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Rules: table, chain and handle.
    pub rules: Vec<(String, String, u64)>,
    /// Chains with all their rules: table and name.
    pub chains: Vec<(String, String)>,
}

/// So many objects take the kernel a tenth of a second or less to remove, in which it takes nothing
/// from anybody else.
const PIECES: usize = 8_000;

/// What one message removes.
enum Piece<'a> {
    Rule(&'a (String, String, u64)),
    /// All rules of a chain.
    Emptied(&'a (String, String)),
    /// A chain without rules.
    Gone(&'a (String, String)),
}

impl Piece<'_> {
    fn write(&self, out: &mut Writer, family: Family, sequence: &mut u32) {
        match self {
            Self::Rule((table, chain, handle)) => {
                message(out, family, libc::NFT_MSG_DELRULE, sequence, |out| {
                    out.text(nfta::RULE_TABLE, table);
                    out.text(nfta::RULE_CHAIN, chain);
                    out.long(nfta::RULE_HANDLE, *handle);
                });
            }
            Self::Emptied((table, chain)) => {
                message(out, family, libc::NFT_MSG_DELRULE, sequence, |out| {
                    out.text(nfta::RULE_TABLE, table);
                    out.text(nfta::RULE_CHAIN, chain);
                });
            }
            Self::Gone((table, chain)) => {
                message(out, family, libc::NFT_MSG_DELCHAIN, sequence, |out| {
                    out.text(nfta::CHAIN_TABLE, table);
                    out.text(nfta::CHAIN_NAME, chain);
                });
            }
        }
    }
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
        self.dump(family, libc::NFT_MSG_GETCHAIN, &[], chain)
    }

    /// Every rule of a chain. All rules of a table at once take the kernel the longer the more there
    /// are, and some hundred thousand half a minute.
    ///
    /// # Errors
    /// The kernel does not list them.
    pub fn rules(
        &mut self,
        family: Family,
        table: &str,
        chain: &str,
    ) -> io::Result<Vec<FoundRule>> {
        let within = [(nfta::RULE_TABLE, table), (nfta::RULE_CHAIN, chain)];
        self.dump(family, libc::NFT_MSG_GETRULE, &within, rule)
    }

    /// Removes in one transaction, or if that is more than a moment's work in several, of which the
    /// first has the rules.
    ///
    /// # Errors
    /// The kernel refuses one, and removes nothing of it.
    pub fn remove(&mut self, family: Family, removal: &Removal) -> io::Result<()> {
        let rules = removal.rules.iter().map(Piece::Rule);
        // All rules first: they lead from chain to chain.
        let emptied = removal.chains.iter().map(Piece::Emptied);
        let gone = removal.chains.iter().map(Piece::Gone);
        let pieces: Vec<Piece<'_>> = rules.chain(emptied).chain(gone).collect();
        for pieces in pieces.chunks(PIECES) {
            self.transact(|bytes, sequence| {
                for piece in pieces {
                    piece.write(bytes, family, sequence);
                }
            })?;
        }
        Ok(())
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
        within: &[(u16, &str)],
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        let found = self.socket.list_whole(
            nf_tables::message_kind(kind),
            |out| {
                nf_tables::header(out, protocol_family(family));
                for (kind, name) in within {
                    out.text(*kind, name);
                }
            },
            |message, found| found.extend(read(message.body(nf_tables::HEADER))),
        );
        match found {
            // There is no such table, or no such chain.
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
        comment: rule.expressions.iter().find_map(comment),
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

/// What iptables' match `comment` says, which ends with a NUL.
fn comment(expression: &Expression) -> Option<String> {
    let Expression::Match { name, info, .. } = expression else {
        return None;
    };
    let text = info.split(|byte| *byte == 0).next()?;
    (name == "comment").then(|| String::from_utf8_lossy(text).into_owned())
}
