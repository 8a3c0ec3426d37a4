//! Batches of one transaction, one after the other, and what the kernel says to them.

use crate::netlink::accounting;
use crate::netlink::iptables::batch::{Batch, Doing, Subject};
use crate::netlink::iptables::refusal;
use crate::netlink::refusal::{failed, unanswered, unsent};
use crate::netlink::session::{Failure, Session, Unfollowed};
use nft_wire::{Reply, Socket};
use rules::Cause;
use rules::iptables::names::ChainName;
use rules::iptables::rule::Table;
use rules::iptables::{Object, Refusal};
use rules::model::Family;
use std::collections::{BTreeSet, HashSet};

/// The ruleset's generation, whichever it is.
const ANY: u32 = 0;

/// Why a pass ended before all was taken.
pub(super) enum Stop {
    /// Others changed the ruleset since it was read.
    Passed,
    /// Of some chains it is known now that they stay, or are gone.
    Learned,
    /// It was refused, as something is there or is not there.
    Differs(Refusal),
    /// It was refused.
    Refused(Refusal),
}

/// The batch that is written, and where it goes.
pub(super) struct Outbox<'a> {
    session: &'a mut Session,
    family: Family,
    /// Whoever deleted a chain of Services first did what was to be done.
    whole: bool,
    /// Nothing shall change.
    trial: bool,
    /// What is sent next.
    pub(super) batch: Batch,
    /// What rules of the batch count by.
    pub(super) counters: BTreeSet<&'static str>,
    /// Chains that go with the batch.
    pub(super) leaving: Vec<Object>,
    /// Chains that others' rules lead to.
    pub(super) busy: HashSet<Object>,
    /// Chains that are deleted, by the transaction or by somebody else.
    pub(super) gone: HashSet<Object>,
    /// Set once nobody follows.
    unfollowed: Option<Unfollowed>,
}

impl<'a> Outbox<'a> {
    pub(super) fn new(session: &'a mut Session, family: Family, whole: bool) -> Self {
        let batch = Batch::new(family, session.sequence(), Some(ANY));
        Self {
            session,
            family,
            whole,
            trial: false,
            batch,
            counters: BTreeSet::new(),
            leaving: Vec::new(),
            busy: HashSet::new(),
            gone: HashSet::new(),
            unfollowed: None,
        }
    }

    /// From here on nothing is to change: the kernel only says whether it would take what is sent.
    pub(super) fn try_only(&mut self) {
        self.trial = true;
    }

    /// The socket, for questions.
    pub(super) fn socket(&mut self) -> &mut Socket {
        self.session.socket()
    }

    /// The ruleset's present generation.
    pub(super) fn generation(&mut self) -> Option<u32> {
        self.session.generation()
    }

    /// Nothing is sent any more; `taken` says whether all is in the kernel.
    pub(super) fn close(mut self, taken: bool) {
        if let Some(unfollowed) = self.unfollowed.take() {
            self.session.followed(unfollowed, taken);
        }
    }

    /// Sends what there is, and begins anew. The kernel takes it at this generation only, if there is one.
    pub(super) fn send(&mut self, generation: Option<u32>) -> Result<(), Stop> {
        if self.trial
            && let Some(nowhere) = ChainName::read("nowhere")
        {
            // Subject to nothing: it is no chain of ours.
            self.batch.delete(Table::Nat, nowhere);
        }
        if self.batch.len() == 0 {
            return Ok(());
        }
        if let Some((sequence, error)) = self.batch.messages().failed() {
            let refusal = refusal::unwritten(self.family, &self.batch, sequence, error);
            return Err(Stop::Refused(refusal));
        }
        self.make_counters()?;
        self.batch.end();
        if let Some(generation) = generation {
            self.batch.at_generation(generation);
            if let Some(unfollowed) = &mut self.unfollowed {
                unfollowed.found(generation);
            }
        }
        if self.session.is_large(self.batch.messages().bytes().len()) {
            self.unfollow();
        }
        match self.session.send(self.batch.messages()) {
            Ok(()) => {
                if let Some(unfollowed) = &mut self.unfollowed {
                    unfollowed.taken();
                }
                self.gone.extend(self.leaving.drain(..));
                self.next_batch();
                Ok(())
            }
            Err(failure) => self.not_taken(failure),
        }
    }

    /// What follows from that the kernel did not take the batch.
    fn not_taken(&mut self, failure: Failure) -> Result<(), Stop> {
        self.leaving.clear();
        let passed = failure.generation_passed();
        let mut errors = match failure {
            Failure::Unsent(error) => {
                let bytes = self.batch.messages().bytes().len();
                return Err(Stop::Refused(unsent(self.family, bytes, &error)));
            }
            Failure::Unanswered(error) => {
                return Err(Stop::Refused(unanswered(self.family, &error)));
            }
            Failure::Refused(errors) => errors,
        };
        if passed {
            return Err(Stop::Passed);
        }
        let refusal = refusal::refusal(self.family, &self.batch, &errors);
        if self.trial {
            let last = self.batch.messages().last_sequence();
            let some = !errors.is_empty();
            errors.retain(|error| error.sequence != last);
            if some && errors.is_empty() {
                return Ok(());
            }
        }
        match self.learn(&errors) {
            true => Err(Stop::Learned),
            false if refusal.cause == Cause::TableDiffers => Err(Stop::Differs(refusal)),
            false => Err(Stop::Refused(refusal)),
        }
    }

    /// Takes it for an answer that chains cannot be deleted, or are not there to be deleted; false if
    /// anything else is the matter, or nothing is new.
    fn learn(&mut self, errors: &[Reply]) -> bool {
        let mut learned = false;
        for error in errors {
            let Some(Subject::Chain(Doing::Delete, object)) = self.batch.find(error.sequence)
            else {
                return false;
            };
            learned |= match error.errno {
                libc::EBUSY => self.busy.insert(object),
                libc::ENOENT if self.whole => self.gone.insert(object),
                _ => return false,
            };
        }
        learned
    }

    /// The counters have to be there before the rules.
    fn make_counters(&mut self) -> Result<(), Stop> {
        for name in std::mem::take(&mut self.counters) {
            accounting::make(self.session.socket(), name).map_err(|error| {
                let attempted = format!("making counter {name}");
                Stop::Refused(failed(self.family, attempted, &error))
            })?;
        }
        Ok(())
    }

    /// Begins anew, without what is not sent.
    pub(super) fn next_batch(&mut self) {
        self.batch = Batch::new(self.family, self.session.sequence(), Some(ANY));
        self.leaving.clear();
        self.counters.clear();
    }

    /// Forgets what was learned: all is looked for again.
    pub(super) fn forget(&mut self) {
        self.busy.clear();
        self.gone.clear();
    }

    /// From here on nobody is told what happens, which is too much.
    pub(super) fn unfollow(&mut self) {
        if self.unfollowed.is_none() && !self.trial {
            self.unfollowed = Some(self.session.unfollowed(None));
        }
    }
}
