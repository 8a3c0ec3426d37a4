//! The proxy itself: changes of the cluster come in, and rules and health answers follow.
//!
//! One way: [`daemon`] opens what there is to open and starts [`sync_loop`](mod@sync_loop), which
//! lets a [`Proxy`] take in changes and sync. In it the [`Syncer`] has a [`proxier`] for each
//! family and yields what it did as plain data, [`outcome`]; the [`Reporter`] tells that to
//! metrics, health, events and the health check servers.

pub mod daemon;

mod addresses;
mod attempt;
mod drift;
mod flows;
mod gate;
mod opened;
mod outcome;
mod proxier;
mod reporter;
mod schedule;
mod search;
mod serving;
mod start;
mod sync_loop;
mod syncer;
mod trouble;

use reporter::Reporter;
use rules::drift::Notice;
use rules::{Backend, Change};
use std::time::Instant;
use syncer::Syncer;

/// The syncer, and who tells of what it does.
struct Proxy<B: Backend> {
    syncer: Syncer<B>,
    reporter: Reporter,
}

impl<B: Backend> Proxy<B> {
    /// Tells that the loop begins: from here on each family has a status, and
    /// syncs are wanted.
    fn begin(&self) {
        for family in self.syncer.families() {
            self.reporter.begun(family);
        }
    }

    /// Takes in a change; true if a sync is needed.
    fn apply(&mut self, change: Change) -> bool {
        let taken = self.syncer.apply(change);
        let needed = taken.changed;
        self.reporter.taken(taken, self.syncer.families());
        needed
    }

    /// Looks whether the node's addresses are others than before; true if a sync is needed. To be
    /// called whenever they may be.
    fn addresses_may_differ(&mut self) -> bool {
        let differ = self.syncer.addresses_may_differ();
        if differ {
            self.reporter.queued(self.syncer.families());
        }
        differ
    }

    /// Takes in what others did to the ruleset; what follows is a matter of
    /// [`Syncer::next_look`].
    fn noticed(&mut self, notices: Vec<Notice>, now: Instant) {
        for notice in notices {
            let drift = self.syncer.noticed(&notice, now);
            self.reporter.drifted(drift);
        }
    }

    /// Brings the kernel in line with the state, each family on its own; true if it is. The old
    /// rules of a family that was refused are whole; when it is tried again, tells
    /// [`Syncer::next_look`].
    fn sync(&mut self) -> bool {
        let outcomes = self.syncer.sync();
        let succeeded = outcomes.iter().all(|outcome| outcome.refusal.is_none());
        self.reporter.synced(outcomes);
        succeeded
    }
}

#[cfg(test)]
mod tests;
