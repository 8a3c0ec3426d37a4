//! A transaction on its way into the kernel.
//!
//! A change is one batch, which the kernel takes whole or not at all, and so are all rules if they are
//! few. While the kernel works on a batch nobody else's gets in, so more of them go in pieces, as far
//! as [`Step::Together`] permits.

mod outbox;
mod pace;

use super::batch::{Doing, Subject};
use super::chains::{self, Found};
use super::setup;
use crate::netlink::refusal::failed;
use crate::netlink::session::Session;
use outbox::{Outbox, Stop};
use pace::Pace;
use rules::iptables::rule::{Match, Rule, Table};
use rules::iptables::{Before, Object, Refusal, Step, Transaction};
use rules::model::Family;
use std::collections::{BTreeSet, HashSet};
use std::time::Instant;

/// A piece has so many messages or more: they take the kernel a tenth of a second or less, beside what
/// each piece costs.
pub(super) const PIECE: usize = 8_000;

/// How often what is missing is put back only if nobody changed the ruleset since it was looked for. In
/// the end it is better late than never.
const ATTEMPTS_AT_A_GENERATION: usize = 3;

/// How often a whole transaction begins anew where others change what was looked for.
const BEGINNINGS: usize = 3;

/// Chains that had to stay, as rules of others lead there.
pub(super) type Kept = HashSet<(Family, Object)>;

/// Has the kernel take the transaction, in pieces of so many messages if that is permitted.
pub(super) fn apply(
    session: &mut Session,
    kept: &mut Kept,
    transaction: &Transaction,
    piece: usize,
) -> Result<(), Refusal> {
    session.begin();
    let mut run = Run::new(session, kept, transaction, piece);
    let result = run.until_taken(transaction);
    run.out.close(result.is_ok());
    result
}

/// Whether the kernel would take the transaction, which is told to it with something impossible at
/// the end.
pub(super) fn would_take(session: &mut Session, kept: &Kept, transaction: &Transaction) -> bool {
    let mut kept = kept.clone();
    let mut run = Run::new(session, &mut kept, transaction, usize::MAX);
    run.out.try_only();
    run.until_taken(transaction).is_ok()
}

/// One transaction.
struct Run<'a> {
    out: Outbox<'a>,
    kept: &'a mut Kept,
    family: Family,
    pace: Pace,
    /// How many steps were seen in this pass, and how many are in the kernel.
    seen: usize,
    taken: usize,
    /// The steps that are taken together have begun in this pass.
    together: bool,
    /// There was a piece.
    in_pieces: bool,
    /// All but deletions is in the kernel.
    filled: bool,
    /// Chains that are to go, by this pass's steps.
    doomed: Vec<Object>,
    /// In a transaction that is whole: chains of Services that were there and are not filled so far.
    strays: BTreeSet<Object>,
    /// In such a transaction: other chains and tables that were there.
    shared: BTreeSet<Object>,
    tables: BTreeSet<Table>,
}

impl<'a> Run<'a> {
    fn new(
        session: &'a mut Session,
        kept: &'a mut Kept,
        transaction: &Transaction,
        piece: usize,
    ) -> Self {
        let family = transaction.family;
        Self {
            out: Outbox::new(session, family, transaction.whole),
            kept,
            family,
            pace: match transaction.whole {
                true => Pace::from(piece),
                false => Pace::unlimited(),
            },
            seen: 0,
            taken: 0,
            together: false,
            in_pieces: false,
            filled: false,
            doomed: Vec::new(),
            strays: BTreeSet::new(),
            shared: BTreeSet::new(),
            tables: BTreeSet::new(),
        }
    }

    /// Makes passes over the steps until all is taken.
    fn until_taken(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        self.look(transaction.whole)?;
        let (mut attempt, mut beginnings) = (1, 1);
        loop {
            match self.pass(transaction, attempt <= ATTEMPTS_AT_A_GENERATION) {
                Ok(()) => return Ok(()),
                // Only while the generation decides.
                Err(Stop::Passed) => attempt += 1,
                // Each chain is learned once.
                Err(Stop::Learned) => {}
                // Somebody made or deleted what was looked for: no fault of any Service.
                Err(Stop::Differs(_)) if transaction.whole && beginnings < BEGINNINGS => {
                    beginnings += 1;
                    self.taken = 0;
                    self.filled = false;
                    self.out.forget();
                    self.look(true)?;
                }
                Err(Stop::Differs(refusal) | Stop::Refused(refusal)) => return Err(refusal),
            }
        }
    }

    /// Finds out what is there, if it may be anything.
    fn look(&mut self, whole: bool) -> Result<(), Refusal> {
        if whole {
            self.out.unfollow();
            let found = chains::find(self.out.socket(), self.family);
            let Found {
                of_services,
                shared,
                tables,
            } = found
                .map_err(|error| failed(self.family, "listing the chains".to_owned(), &error))?;
            self.strays = of_services;
            self.shared = shared;
            self.tables = tables;
        }
        Ok(())
    }

    /// Takes the steps that are not in the kernel yet there.
    fn pass(&mut self, transaction: &Transaction, at_a_generation: bool) -> Result<(), Stop> {
        self.seen = 0;
        self.together = false;
        self.doomed.clear();
        self.out.next_batch();
        if transaction.whole && self.taken == 0 {
            for table in [Table::Filter, Table::Nat] {
                if !self.tables.contains(&table) {
                    self.out.batch.table(table);
                }
            }
        }
        let mut result = Ok(());
        transaction.steps.for_each_step(&mut |step| {
            if result.is_ok() {
                result = self.step(step);
            }
        });
        result?;
        let mut generation = None;
        if (transaction.whole || transaction.restores_jumps) && !self.filled {
            generation = self.add_missing()?.filter(|_| at_a_generation);
        }
        self.doomed.extend(&self.strays);
        self.doomed.retain(|object| !self.out.gone.contains(object));
        self.finish(generation)
    }

    /// Adds what is not there of what a node has once. What was looked for is true at the generation
    /// that is returned, if anything is added.
    fn add_missing(&mut self) -> Result<Option<u32>, Stop> {
        let generation = self.out.generation();
        let missing = setup::missing(self.out.socket(), self.family);
        let missing = missing.map_err(|error| {
            let attempted = "looking for the jumps to our chains".to_owned();
            Stop::Refused(failed(self.family, attempted, &error))
        })?;
        missing.write(&mut self.out.batch);
        Ok(generation.filter(|_| !missing.is_empty()))
    }

    fn step(&mut self, step: Step<'_>) -> Result<(), Stop> {
        self.seen += 1;
        match step {
            Step::Make { table, chain } if self.seen > self.taken => {
                let subject = Subject::Chain(Doing::Make, Object { table, chain });
                self.out.batch.about(subject);
                self.out.batch.chain(table, chain, false);
            }
            Step::Make { .. } => {}
            Step::Fill {
                table,
                chain,
                before,
                rules,
            } => {
                let object = Object { table, chain };
                let is_there = self.strays.remove(&object) || self.shared.contains(&object);
                if self.seen <= self.taken || (is_there && self.is_kept(object, before, rules)) {
                    return Ok(());
                }
                if !self.together {
                    self.make_room()?;
                }
                self.fill(object, before, rules);
            }
            Step::Together => {
                self.together = true;
                if self.in_pieces {
                    self.send_piece()?;
                    self.taken = self.taken.max(self.seen);
                }
            }
            Step::Delete { table, chain } => self.doomed.push(Object { table, chain }),
        }
        Ok(())
    }

    /// Whether a chain that may be anything has these rules already. What is written costs more than
    /// what is read, and others would wait for it.
    fn is_kept(&mut self, object: Object, before: Before, rules: &[Rule]) -> bool {
        before == Before::Unknown && chains::has(self.out.socket(), self.family, object, rules)
    }

    fn fill(&mut self, object: Object, before: Before, rules: &[Rule]) {
        let Object { table, chain } = object;
        let had_to_stay = self.kept.contains(&(self.family, object));
        self.out.batch.about(Subject::Chain(Doing::Fill, object));
        match before {
            Before::Absent if !had_to_stay => self.out.batch.chain(table, chain, true),
            Before::Absent | Before::Unknown => {
                self.out.batch.chain(table, chain, false);
                self.out.batch.empty(table, chain);
            }
            Before::Present => self.out.batch.empty(table, chain),
        }
        for rule in rules {
            self.out.batch.append(table, chain, rule);
            self.out
                .counters
                .extend(rule.matches.iter().filter_map(|own| match own {
                    Match::Count(name) => Some(*name),
                    _ => None,
                }));
        }
    }

    /// Adds the deletions, and sends what is left: at once, unless that is more than a piece.
    fn finish(&mut self, generation: Option<u32>) -> Result<(), Stop> {
        let doomed = std::mem::take(&mut self.doomed);
        let all = self.out.batch.len() + 2 * doomed.len();
        if all > self.pace.piece() && self.out.batch.len() > 0 && !doomed.is_empty() {
            self.out.send(generation)?;
            self.filled = true;
            self.taken = self.seen;
        }
        // Each is emptied before any is deleted: they lead to one another.
        for object in &doomed {
            self.make_room()?;
            self.out.batch.about(Subject::Chain(Doing::Delete, *object));
            self.out.batch.empty(object.table, object.chain);
        }
        let may_go = |object: &&Object| !self.out.busy.contains(object);
        let may_go: Vec<Object> = doomed.iter().filter(may_go).copied().collect();
        for object in may_go {
            self.make_room()?;
            self.out.batch.about(Subject::Chain(Doing::Delete, object));
            self.out.batch.delete(object.table, object.chain);
            self.out.leaving.push(object);
        }
        self.out.send(generation.filter(|_| !self.filled))?;
        self.tell_kept();
        Ok(())
    }

    /// Sends what there is if it is a piece.
    fn make_room(&mut self) -> Result<(), Stop> {
        match self.out.batch.len() >= self.pace.piece() {
            true => self.send_piece(),
            false => Ok(()),
        }
    }

    /// Sends what there is, whose last step is the one before this.
    fn send_piece(&mut self) -> Result<(), Stop> {
        self.in_pieces = true;
        let start = Instant::now();
        self.out.send(None)?;
        self.pace.took(start.elapsed());
        self.taken = self.taken.max(self.seen - 1);
        Ok(())
    }

    /// Says once of each chain that it stays.
    fn tell_kept(&mut self) {
        for object in self.out.busy.drain() {
            if self.kept.insert((self.family, object)) {
                let Object { table, chain } = object;
                tracing::warn!(
                    "{} chain {chain} of table {} stays, empty: a rule of somebody else leads \
                     there; without that rule it goes with the next replacement of all rules",
                    self.family.nft(),
                    table.name(),
                );
            }
        }
    }
}
