//! What others do to the rules: told, and when it is mended.

use super::outcome::{Drift, Outcome};
use super::syncer::Syncer;
use crate::clock;
use rules::Backend;
use rules::drift::{Damage, ForeignChange, Notice, Suspicion};
use std::time::Instant;

impl<B: Backend> Syncer<B> {
    /// Takes in what others did to the ruleset. What follows is a matter of
    /// [`next_look`](Self::next_look).
    pub(super) fn noticed(&mut self, notice: &Notice, now: Instant) -> Drift {
        match notice {
            Notice::Changed(change) => self.changed(change, now),
            Notice::Lost => {
                self.lost(now);
                Drift::default()
            }
        }
    }

    fn changed(&mut self, change: &ForeignChange, now: Instant) -> Drift {
        let mut drift = Drift::default();
        let mut news: Option<Suspicion> = None;
        for proxier in &mut self.proxiers {
            let overwritten = proxier
                .replaced_at
                .is_some_and(|at| !is_after(change.generation, at));
            if !change.touches(proxier.family()) {
                continue;
            }
            let unexplained = std::mem::take(&mut proxier.unexplained);
            if overwritten {
                if unexplained {
                    tracing::warn!("{}, replaced already, was changed by {change}", B::RULES);
                }
                continue;
            }
            drift.touched.push(proxier.family());
            let suspicion = proxier.contest.changed(change, now);
            if proxier.suspicion.is_none() {
                let sooner = news.is_some_and(|news| news.due <= suspicion.due);
                news = news.filter(|_| sooner).or(Some(suspicion));
            }
            proxier.suspect(suspicion);
        }
        drift.contested = news.and_then(|suspicion| say::<B>(change, suspicion, now));
        drift
    }

    fn lost(&mut self, now: Instant) {
        for proxier in &mut self.proxiers {
            let suspicion = proxier.contest.lost(now);
            if proxier.suspicion.is_none() {
                tracing::info!(
                    "{}: the ruleset changed more than could be followed; replacing {} in {:.1} s",
                    proxier.family(),
                    B::RULES,
                    suspicion.due.saturating_duration_since(now).as_secs_f64()
                );
            }
            proxier.suspect(suspicion);
        }
    }

    /// What one family's sync says about the rules of the others.
    pub(super) fn tell_others(&mut self, outcome: &Outcome) {
        let now = clock::now();
        let others = self.proxiers.iter_mut();
        for other in others.filter(|other| other.family() != outcome.family) {
            for unseen in &outcome.unseen {
                other.seen(*unseen, now);
            }
            // Its table differs, which nobody told: so the others' may differ too.
            if outcome.found_different > 0 {
                let suspicion = other.contest.lost(now);
                other.suspect(suspicion);
            }
        }
    }
}

/// One line for all that is mended together. Yields what there is to tell whoever looks after the
/// node, if it happens again and again.
fn say<B: Backend>(change: &ForeignChange, suspicion: Suspicion, now: Instant) -> Option<String> {
    let rules = B::RULES;
    if !suspicion.paused && !change.is_by_a_proxy() {
        let remedy = match suspicion.damage {
            Damage::Jumps => "putting back what is missing",
            Damage::Rules => "replacing it",
        };
        tracing::warn!("{rules} was changed by {change}; {remedy}");
        return None;
    }
    let wait = suspicion.due.saturating_duration_since(now);
    let line = format!(
        "{rules} was changed by {change}; {} like that were undone within 10 minutes, \
         so it is replaced in {:.1} s",
        suspicion.before,
        wait.as_secs_f64()
    );
    tracing::warn!("{line}");
    Some(if change.is_by_a_proxy() {
        format!("another kube-proxy runs on this node and writes {rules} as well")
    } else {
        line
    })
}

/// Whether a generation came after another one; they wrap around.
fn is_after(generation: u32, other: u32) -> bool {
    generation.wrapping_sub(other).cast_signed() > 0
}
