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
pub mod flavour;
mod follow;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
pub mod interfaces;
pub mod iptables;
pub mod ipvs;
pub mod leftovers;
mod messages;
mod missing;
pub mod nftrace;
mod notifications;
mod objects;
pub mod others;
mod refusal;
pub mod routes;
mod session;
mod sources;
mod statements;
mod subsystem;
pub mod trial;
mod userdata;

use batch::Batch;
pub use conntrack::{Conntrack, Flows, Room};
pub use follow::Follower;
pub use iptables::Iptables;
use leftovers::Leftovers;
use nft_wire::{Reply, TooLong};
use notifications::Ours;
use rules::Commit;
use rules::RememberedClients;
use rules::model::Family;
use rules::nft::ruleset::{Key, Op, TABLE, Transaction};
use rules::nft::{Kernel, Refusal};
use session::{Failure, Session};
use std::io;

/// The kernel's nf_tables, in the network namespace that it was opened in.
pub struct Nftables {
    session: Session,
    /// Told of a table that is about to be replaced.
    before_replacement: Option<Box<dyn FnMut(Family) + Send>>,
}

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
        Ok(Self {
            session: Session::open()?,
            before_replacement: None,
        })
    }

    /// How many bytes the last transaction took.
    pub fn sent_bytes(&self) -> usize {
        self.session.sent_bytes()
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
        let session = &mut self.session;
        session.begin();
        let generation = match replaces && session.is_followed() {
            true => session.generation(),
            false => None,
        };
        let mut batch = Batch::new(transaction, session.sequence(), generation);
        if let Some((sequence, error)) = batch.messages().failed() {
            return Err(refusal::unwritten(transaction, &batch, sequence, error));
        }
        let large = session.is_large(batch.messages().bytes().len());
        let sent = match session.is_followed() && (replaces || large) {
            true => send_unfollowed(session, &mut batch, generation),
            false => session.send(batch.messages()),
        };
        sent.map_err(|failure| refusal_of(transaction, &batch, failure))
    }

    fn before_replacement(&mut self, family: Family) {
        if let Some(tell) = &mut self.before_replacement {
            tell(family);
        }
    }

    fn clients(&mut self, family: Family) -> io::Result<RememberedClients> {
        clients::list(self.session.socket(), family)
    }

    fn delete_table(&mut self, family: Family) -> io::Result<bool> {
        let mut leftovers = Leftovers::open()?;
        let chains = leftovers.chains(family)?;
        let there = chains.iter().any(|chain| chain.table == TABLE);
        leftovers.remove_own_table(family)?;
        Ok(there)
    }

    fn last_commit(&self) -> Commit {
        self.session.commit()
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
        let (membership, follower) =
            follow::open(Ours::Table, self.session.socket().port()?, None)?;
        self.session.followed_by(membership);
        Ok(follower)
    }
}

/// Why the kernel did not take a transaction.
fn refusal_of(transaction: &Transaction, batch: &Batch, failure: Failure) -> Refusal {
    let family = transaction.family;
    match failure {
        Failure::Unsent(error) => {
            let bytes = batch.messages().bytes().len();
            refusal::unsent(family, bytes, &error)
        }
        Failure::Unanswered(error) => refusal::unanswered(family, &error),
        Failure::Refused(errors) => {
            let errors: Vec<&Reply> = errors.iter().collect();
            refusal::refusal(transaction, batch, &errors)
        }
    }
}

/// Sends while nobody follows what happens, for the ruleset's present generation if there is one.
fn send_unfollowed(
    session: &mut Session,
    batch: &mut Batch,
    generation: Option<u32>,
) -> Result<(), Failure> {
    let mut unfollowed = session.unfollowed(generation);
    let mut result = session.send(batch.messages());
    for attempt in 1..=ATTEMPTS_AT_A_GENERATION {
        let moved = generation.is_some() && result.as_ref().is_err_and(Failure::generation_passed);
        if !moved {
            break;
        }
        // In the end it is better late than never.
        let last = attempt == ATTEMPTS_AT_A_GENERATION;
        let generation = session.generation().filter(|_| !last);
        unfollowed.moved(generation);
        batch.set_generation(generation.unwrap_or(0));
        result = session.send(batch.messages());
    }
    if result.is_ok() {
        unfollowed.taken();
    }
    session.followed(unfollowed, result.is_ok());
    result
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
