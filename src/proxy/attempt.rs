//! One family's sync: the attempt, and what follows when it is refused.

use super::outcome::Attempt;
use super::proxier::{Proxier, Round};
use crate::clock;
use rules::model::{Family, ObjectName};
use rules::{Backend, Pending, Refusal, Remedy, RememberedClients};
use std::time::Duration;

/// So many times in one sync those are left out that refusals name.
const ROUNDS: u32 = 16;

/// A transaction that was refused.
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    /// It was to replace all rules.
    pub(super) full: bool,
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

impl<B: Backend> Proxier<B> {
    /// Attempts it until the kernel takes it, or nothing more is to be done about that now.
    pub(super) fn attempt_all(&mut self, round: &mut Round<'_, B::Kernel>) -> Result<(), Refusal> {
        let mut rounds = 0;
        loop {
            let Err(refused) = self.attempt(round, Counts::Yes) else {
                return Ok(());
            };
            let Refused {
                refusal,
                full,
                services,
            } = *refused;
            match refusal.cause.remedy(full, self.trouble.failures()) {
                Remedy::Replace => {
                    let suspicion = self.contest.refused(clock::now());
                    if suspicion.paused {
                        self.suspect(suspicion);
                        return Err(refusal);
                    }
                    self.suspicion = Some(suspicion);
                    self.backend.distrust();
                    self.unexplained = true;
                    round.outcome.found_different += 1;
                    tracing::warn!("{refusal}: someone else changed {}; replacing it", B::RULES);
                }
                Remedy::LeaveOut if !refusal.refused.is_empty() && rounds < ROUNDS => {
                    rounds += 1;
                    self.leave_out(&refusal.refused, &refusal, &mut round.outcome);
                }
                Remedy::LeaveOut => return self.search(round, refusal, full, services),
                Remedy::Retry => return Err(refusal),
                Remedy::ReplaceLater => {
                    self.backend.distrust();
                    return Err(refusal);
                }
            }
        }
    }

    /// One transaction.
    pub(super) fn attempt(
        &mut self,
        round: &mut Round<'_, B::Kernel>,
        counts: Counts,
    ) -> Result<(), Box<Refused>> {
        let start = clock::now();
        let family = self.family();
        let clients = || remembered::<B>(round.kernel, family);
        let pending = self
            .backend
            .prepare(round.state.view(), round.local, clients);
        let planned = clock::now() - start;
        let mut full = false;
        let mut services = 0;
        let mut result = Ok(());
        if let Some(pending) = pending {
            full = pending.replaces_all();
            services = pending.service_count();
            if let Some(why) = pending.why_all() {
                tracing::info!("{family}: {why}");
            }
            result = self.hand_over(round, pending);
        }
        let took = clock::now() - start;
        if result.is_ok() || counts == Counts::Yes {
            round.outcome.attempts.push(Attempt {
                full,
                took,
                succeeded: result.is_ok(),
            });
        }
        if result.is_ok() {
            tracing::debug!(
                "{family}: synced {services} Services in {:.1} ms ({:.1} ms of planning){}",
                millis(took),
                millis(planned),
                if full { ", all rules" } else { "" }
            );
        }
        result
    }

    /// Has the kernel take what is planned.
    fn hand_over(
        &mut self,
        round: &mut Round<'_, B::Kernel>,
        pending: B::Pending,
    ) -> Result<(), Box<Refused>> {
        let full = pending.replaces_all();
        if pending.is_for_the_kernel() {
            let sent = self.backend.apply(round.kernel, &pending);
            let commit = B::last_commit(round.kernel);
            let now = clock::now();
            if sent.is_ok() && full {
                self.replaced(commit.generation, now);
            }
            if sent.is_ok() && pending.restores_jumps() {
                self.jumps_restored(now);
            }
            if let Some(unseen) = commit.unseen {
                self.seen(unseen, now);
                round.outcome.unseen.push(unseen);
            }
            if let Err(refusal) = sent {
                return Err(Box::new(Refused {
                    refusal,
                    full,
                    services: pending.services().cloned().collect(),
                }));
            }
        }
        self.backend.commit(pending);
        Ok(())
    }
}

/// The clients in the rules that are going to be replaced; without them their
/// next connections may go to other endpoints, but they do go somewhere.
fn remembered<B: Backend>(kernel: &mut B::Kernel, family: Family) -> RememberedClients {
    let clients = B::clients(kernel, family).unwrap_or_else(|error| {
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
