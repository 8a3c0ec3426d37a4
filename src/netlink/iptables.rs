//! Chains of iptables over netlink, in the form of `iptables-nft`: the node's own tools read and change
//! what is written here, and no program is run.
//!
//! The tables are everybody's. None is deleted, no policy is set over another's, and no rule of
//! others is moved.

mod apply;
mod batch;
mod chains;
mod clean_up;
mod encode;
mod read;
mod refusal;
mod setup;
mod support;
mod xt;

use super::notifications::Ours;
use super::session::Session;
use super::{Follower, OpenError, follow};
use apply::Kept;
pub use clean_up::{CleanedUp, TABLES, clean_up};
pub use read::ChainReader;
#[cfg(feature = "fuzzing")]
pub(super) use read::shown;
use rules::Commit;
use rules::iptables::{Kernel, Refusal, Transaction};
use rules::model::Family;
use setup::Strangers;
use std::io;
pub use support::Support;

/// The kernel's nf_tables with iptables' extensions, in the network namespace that it was opened in.
pub struct Iptables {
    session: Session,
    /// So many messages are a piece of a larger transaction.
    piece: usize,
    kept: Kept,
    strangers: Strangers,
}

impl Iptables {
    /// Opens a socket in the calling thread's network namespace and asks the kernel whether it would
    /// take transactions.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open() -> Result<Self, OpenError> {
        Ok(Self {
            session: Session::open()?,
            piece: apply::PIECE,
            kept: Kept::new(),
            strangers: Strangers::default(),
        })
    }

    /// Larger transactions go in pieces of so many messages from here on, as far as that is
    /// permitted. For tests.
    pub fn in_pieces_of(&mut self, messages: usize) {
        self.piece = messages;
    }

    /// Which of the matches and targets that kube-proxy uses the kernel has for a family. Loads their
    /// modules, as a rule would.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn support(&mut self, family: Family) -> io::Result<Support> {
        support::ask(self.session.socket(), family)
    }

    /// How many bytes the last transaction took.
    pub fn sent_bytes(&self) -> usize {
        self.session.sent_bytes()
    }

    /// Lets somebody follow what others do to our chains and to what leads there, from the first whole
    /// transaction on. Inside a runtime.
    ///
    /// # Errors
    /// There is no netlink socket to be had.
    pub fn follow(&mut self) -> io::Result<Follower> {
        let looks = follow::Looks::open(setup::told_lost)?;
        let own_port = self.session.socket().port()?;
        let (membership, follower) = follow::open(Ours::Chains, own_port, Some(looks))?;
        self.session.followed_by(membership);
        Ok(follower)
    }
}

impl Kernel for Iptables {
    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        let Self {
            session,
            piece,
            kept,
            strangers,
        } = self;
        apply::apply(session, kept, transaction, *piece)?;
        if transaction.whole {
            strangers.look(session.socket(), transaction.family);
        }
        Ok(())
    }

    fn would_take(&mut self, transaction: &Transaction) -> bool {
        apply::would_take(&mut self.session, &self.kept, transaction)
    }

    fn clean_up(&mut self, family: Family) -> io::Result<bool> {
        let done = clean_up(family)?;
        done.lines.iter().for_each(|line| tracing::info!("{line}"));
        Ok(done.removed)
    }

    fn last_commit(&self) -> Commit {
        self.session.commit()
    }
}
