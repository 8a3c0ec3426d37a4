//! One family's sync: the attempt, and what follows when it is refused.

use super::Syncer;
use rules::RememberedClients;
use rules::model::{Family, ObjectName};
use rules::nft::{Kernel, Refusal};
use rules::{Pending as _, Remedy};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// So many times in one sync those are left out that refusals name.
const ROUNDS: u32 = 16;

/// A transaction that was refused.
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    /// It was to replace the whole table.
    pub(super) full: bool,
    /// The Services whose objects were refused, if the kernel told.
    pub(super) owners: BTreeSet<ObjectName>,
    /// The Services that were planned in it.
    pub(super) services: Vec<ObjectName>,
}

/// Whether a refusal is one more in the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    Yes,
    /// It is one of many trials that look for one reason.
    No,
}

impl<K: Kernel> Syncer<K> {
    pub(super) fn sync_family(&mut self, at: usize, local: &[IpAddr]) -> Result<(), Refusal> {
        let mut rounds = 0;
        loop {
            let Err(refused) = self.attempt(at, local, Counts::Yes) else {
                return Ok(());
            };
            let Refused {
                refusal,
                full,
                owners,
                services,
            } = *refused;
            let family = &mut self.families[at];
            match refusal.cause.remedy(full, family.trouble.failures()) {
                Remedy::Replace => {
                    let now = Instant::now();
                    let suspicion = family.contest.refused(now);
                    if suspicion.paused {
                        family.suspect(suspicion);
                        return Err(refusal);
                    }
                    family.suspicion = Some(suspicion);
                    family.planner.distrust();
                    self.differs(at, &refusal);
                }
                Remedy::LeaveOut if !owners.is_empty() && rounds < ROUNDS => {
                    rounds += 1;
                    self.leave_out(at, &owners, &refusal);
                }
                Remedy::LeaveOut => return self.search(at, local, refusal, full, services),
                Remedy::Retry => return Err(refusal),
                Remedy::ReplaceLater => {
                    family.planner.distrust();
                    return Err(refusal);
                }
            }
        }
    }

    /// One transaction.
    pub(super) fn attempt(
        &mut self,
        at: usize,
        local: &[IpAddr],
        counts: Counts,
    ) -> Result<(), Box<Refused>> {
        let start = Instant::now();
        let own = &mut self.families[at];
        let family = own.family();
        let kernel = &mut self.kernel;
        let pending = own
            .planner
            .prepare(self.world.state(), local, || remembered(kernel, family));
        let planned = start.elapsed();
        let full = pending.as_ref().is_some_and(|pending| pending.full);
        let services = pending
            .as_ref()
            .map_or(0, |pending| pending.service_count());
        if let Some((set, size)) = pending.as_ref().and_then(|pending| pending.outgrown) {
            tracing::info!(
                "{family}: set {set} is full at {size} elements; \
                 replacing the table by one with larger sets"
            );
        }
        let mut result = Ok(());
        let mut unseen = None;
        if let Some(pending) = pending {
            let mut sent = Ok(());
            if !pending.transaction.ops.is_empty() {
                sent = self.kernel.apply(&pending.transaction);
                let commit = self.kernel.last_commit();
                if sent.is_ok() && full {
                    own.replaced(commit.generation, Instant::now());
                }
                unseen = commit.unseen;
            }
            match sent {
                Ok(()) => own.planner.commit(pending),
                Err(refusal) => {
                    result = Err(Box::new(Refused {
                        owners: own.planner.owners(&pending, &refusal.refused),
                        services: pending.services().cloned().collect(),
                        refusal,
                        full,
                    }));
                }
            }
        }
        let took = start.elapsed();
        if let Some(unseen) = unseen {
            let now = Instant::now();
            self.families
                .iter_mut()
                .for_each(|own| own.seen(unseen, now));
        }
        if result.is_ok() || counts == Counts::Yes {
            self.reports
                .metrics
                .sync_finished(family, full, took, result.is_ok());
        }
        if result.is_ok() {
            self.succeeded(at, family);
            tracing::debug!(
                "{family}: synced {services} Services in {:.1} ms ({:.1} ms of planning){}",
                millis(took),
                millis(planned),
                if full { ", the whole table" } else { "" }
            );
        }
        result
    }
}

/// The clients in the table that is going to be replaced; without them their
/// next connections may go to other endpoints, but they do go somewhere.
fn remembered(kernel: &mut impl Kernel, family: Family) -> RememberedClients {
    let clients = kernel.clients(family).unwrap_or_else(|error| {
        tracing::warn!(
            "{family}: listing the clients that session affinity remembers: {error}; \
             their next connections may go to other endpoints"
        );
        RememberedClients::default()
    });
    if let (seen, kept) = clients.counts()
        && seen > kept as u64
    {
        tracing::info!(
            "{family}: session affinity remembers {seen} clients; the {kept} of them with the \
             longest time left are carried over"
        );
    }
    clients
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
