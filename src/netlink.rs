//! nftables over netlink: typed transactions become one batch of messages that
//! the kernel takes whole or refuses whole. And conntrack, whose flows outlive
//! the rules that they came by, and the addresses of the node's interfaces.
//!
//! Messages and sockets are `nft_wire`'s, which knows the kernel's objects; here is what knows
//! our table.

pub mod accounting;
mod batch;
mod clients;
mod conntrack;
pub mod dump;
mod elements;
mod follow;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
pub mod interfaces;
pub mod ipvs;
pub mod leftovers;
mod missing;
pub mod nftrace;
mod notifications;
mod objects;
pub mod others;
mod refusal;
pub mod routes;
mod sources;
mod statements;
mod subsystem;
pub mod trial;
mod userdata;

use batch::Batch;
pub use conntrack::{Conntrack, Flows, Room};
pub use follow::Follower;
use leftovers::Leftovers;
use nft_wire::{Membership, Reply, Socket, TooLong, nf_tables};
use rules::RememberedClients;
use rules::model::Family;
use rules::nft::ruleset::{Key, Op, TABLE, Transaction};
use rules::nft::{Kernel, Refusal};
use rules::{Cause, Commit};
use std::io;

/// The kernel's nf_tables, in the network namespace that it was opened in.
pub struct Nftables {
    socket: Socket,
    sent_bytes: usize,
    /// What tells others' changes, if anybody wants to know.
    membership: Option<Membership>,
    /// They cannot be told, which the log knows.
    deaf: bool,
    /// Where in the ruleset's history the last transaction stands.
    commit: Commit,
    /// Told of a table that is about to be replaced.
    before_replacement: Option<Box<dyn FnMut(Family) + Send>>,
}

/// A transaction of more bytes is too much to be told while others' changes are followed: some
/// six hundred elements, a page of the kernel's memory each.
const LARGE: usize = 64 << 10;

/// How often a replacement is sent for the ruleset's present generation, if others change it
/// each time before the kernel comes to it.
const ATTEMPTS_AT_A_GENERATION: u32 = 3;

/// Why nftables cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The process lacks CAP_NET_ADMIN.
    #[error("nftables: not permitted; run as root or with the capability NET_ADMIN")]
    NotPermitted,
    /// The kernel has no nf_tables.
    #[error("nftables: this kernel has no nf_tables ({0})")]
    NotSupported(io::Error),
    /// There is no netlink socket to be had.
    #[error("nftables: opening a netlink socket: {0}")]
    Socket(io::Error),
}

impl Nftables {
    /// Opens a socket in the calling thread's network namespace and asks the
    /// kernel whether it would take transactions.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open() -> Result<Self, OpenError> {
        let mut socket = nf_tables::open().map_err(OpenError::Socket)?;
        // Changes nothing, and needs the same rights.
        nf_tables::generation(&mut socket).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => OpenError::NotPermitted,
            _ => OpenError::NotSupported(error),
        })?;
        Ok(Self {
            socket,
            sent_bytes: 0,
            membership: None,
            deaf: false,
            commit: Commit::default(),
            before_replacement: None,
        })
    }

    /// How many bytes the last transaction took.
    pub fn sent_bytes(&self) -> usize {
        self.sent_bytes
    }
}

/// The messages of a transaction as [`Nftables`] sends them, for measuring what
/// the kernel alone takes.
///
/// # Errors
/// Something does not fit the field that tells its length.
pub fn encode(transaction: &Transaction) -> Result<Vec<u8>, TooLong> {
    Batch::new(transaction, 0, None).into_bytes()
}

impl Kernel for Nftables {
    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        let replaces = matches!(transaction.ops.first(), Some(Op::ReplaceTable));
        let generation = match &self.membership {
            Some(_) if replaces => nf_tables::generation(&mut self.socket).ok(),
            _ => None,
        };
        let mut batch = Batch::new(transaction, self.socket.sequence(), generation);
        self.socket.number_on(batch.end_sequence() + 1);
        self.sent_bytes = batch.bytes().len();
        self.commit = Commit::default();
        if let Some((sequence, error)) = batch.failed() {
            return Err(refusal::unwritten(transaction, &batch, sequence, error));
        }
        if self.membership.is_none() || (!replaces && self.sent_bytes < LARGE) {
            return self.send(transaction, &batch);
        }
        self.send_unfollowed(transaction, &mut batch, generation)
    }

    fn before_replacement(&mut self, family: Family) {
        if let Some(tell) = &mut self.before_replacement {
            tell(family);
        }
    }

    fn clients(&mut self, family: Family) -> io::Result<RememberedClients> {
        clients::list(&mut self.socket, family)
    }

    fn delete_table(&mut self, family: Family) -> io::Result<bool> {
        let mut leftovers = Leftovers::open()?;
        let chains = leftovers.chains(family)?;
        let there = chains.iter().any(|chain| chain.table == TABLE);
        leftovers.remove_own_table(family)?;
        Ok(there)
    }

    fn last_commit(&self) -> Commit {
        self.commit
    }
}

impl Nftables {
    /// Tells somebody of each table that is about to be replaced, and waits until it returns.
    pub fn tell_before_replacement(&mut self, tell: impl FnMut(Family) + Send + 'static) {
        self.before_replacement = Some(Box::new(tell));
    }

    /// Lets somebody follow what others do to the ruleset, from the first replacement of a
    /// table on. Inside a runtime.
    ///
    /// # Errors
    /// There is no netlink socket to be had.
    pub fn follow(&mut self) -> io::Result<Follower> {
        let (membership, follower) = follow::open(self.socket.port()?)?;
        self.membership = Some(membership);
        Ok(follower)
    }

    fn send(&mut self, transaction: &Transaction, batch: &Batch) -> Result<(), Refusal> {
        let family = transaction.family;
        self.socket.send(batch.bytes()).map_err(|error| {
            let attempted = format!("sending a transaction of {} bytes", batch.bytes().len());
            refusal::failed(family, attempted, &error)
        })?;
        let replies = self.socket.replies();
        let replies = replies.map_err(|error| refusal::unanswered(family, &error))?;
        let errors: Vec<&Reply> = replies
            .all
            .iter()
            .filter(|reply| reply.errno != 0)
            .collect();
        let taken = |reply: &Reply| reply.sequence == batch.last_sequence();
        if errors.is_empty() && replies.all.iter().any(taken) {
            return Ok(());
        }
        Err(refusal::refusal(transaction, batch, &errors))
    }

    /// Sends while nobody follows what happens, which is too much to tell, and finds out by the
    /// generation whether others did anything in the meantime.
    fn send_unfollowed(
        &mut self,
        transaction: &Transaction,
        batch: &mut Batch,
        mut generation: Option<u32>,
    ) -> Result<(), Refusal> {
        // What others do up to this generation is told.
        let before = match generation {
            Some(before) => Some(before),
            None => nf_tables::generation(&mut self.socket).ok(),
        };
        self.leave();
        let mut result = self.send(transaction, batch);
        let mut alone = true;
        for attempt in 1..=ATTEMPTS_AT_A_GENERATION {
            let moved = generation.is_some()
                && matches!(&result, Err(refusal) if refusal.cause == Cause::GenerationPassed);
            if !moved {
                break;
            }
            alone = false;
            // In the end it is better late than never.
            let last = attempt == ATTEMPTS_AT_A_GENERATION;
            generation = nf_tables::generation(&mut self.socket)
                .ok()
                .filter(|_| !last);
            batch.set_generation(generation.unwrap_or(0));
            result = self.send(transaction, batch);
        }
        self.join();
        let after = nf_tables::generation(&mut self.socket).ok();
        let taken = u32::from(result.is_ok());
        let expected = if batch.has_generation() {
            generation
        } else {
            before
        };
        let expected = expected.map(|before| before.wrapping_add(taken));
        alone &= expected.is_some() && expected == after;
        self.commit = Commit {
            generation: expected.filter(|_| result.is_ok()),
            unseen: Some(!alone),
        };
        result
    }

    fn leave(&mut self) {
        if let Some(membership) = &mut self.membership
            && let Err(error) = membership.leave()
        {
            tracing::debug!("leaving the group of nf_tables' notifications: {error}");
        }
    }

    /// From here on others' changes are told.
    fn join(&mut self) {
        let Some(membership) = &mut self.membership else {
            return;
        };
        if let Err(error) = membership.join()
            && !std::mem::replace(&mut self.deaf, true)
        {
            tracing::warn!(
                "joining the group of nf_tables' notifications: {error}; what others do to the \
                 table is mended by the hourly replacement only"
            );
        }
    }
}

/// Whether a key belongs to the family; the planner never mixes them.
fn is_of(family: Family, key: &Key) -> bool {
    let address = match key {
        Key::Address(address) => Some(*address),
        Key::Frontend(frontend) | Key::Indexed(frontend, _) => frontend.address,
        Key::Listed(_) => None,
        Key::Hairpin(backend, _) => Some(backend.address),
    };
    address.is_none_or(|address| Family::of(address) == family)
}
