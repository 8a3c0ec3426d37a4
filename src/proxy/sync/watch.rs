//! What others do to the table: told, counted, and mended.

use super::Syncer;
use crate::events::Report;
use rules::nft::drift::{ForeignChange, Notice, Suspicion};
use rules::nft::{Kernel, Refusal};
use std::time::Instant;

impl<K: Kernel> Syncer<K> {
    /// Takes in what others did to the ruleset. What follows is a matter of
    /// [`next_look`](Self::next_look).
    pub fn noticed(&mut self, notices: Vec<Notice>, now: Instant) {
        for notice in notices {
            match notice {
                Notice::Changed(change) => self.changed(&change, now),
                Notice::Lost => self.lost(now),
            }
        }
    }

    fn changed(&mut self, change: &ForeignChange, now: Instant) {
        let mut news: Option<Suspicion> = None;
        for own in &mut self.families {
            let overwritten = own
                .replaced_at
                .is_some_and(|at| !is_after(change.generation, at));
            if !change.touches(own.family()) {
                continue;
            }
            let unexplained = std::mem::take(&mut own.unexplained);
            if overwritten {
                if unexplained {
                    tracing::warn!("table kube-proxy, replaced already, was changed by {change}");
                }
                continue;
            }
            self.reports.metrics.drift(own.family());
            let suspicion = own.contest.changed(change, now);
            if own.suspicion.is_none() {
                let sooner = news.is_some_and(|news| news.due <= suspicion.due);
                news = news.filter(|_| sooner).or(Some(suspicion));
            }
            own.suspect(suspicion);
        }
        if let Some(suspicion) = news {
            self.tell_of_drift(change, suspicion, now);
        }
    }

    /// One line for all that is mended together.
    fn tell_of_drift(&self, change: &ForeignChange, suspicion: Suspicion, now: Instant) {
        if !suspicion.paused && !change.is_by_a_proxy() {
            tracing::warn!("table kube-proxy was changed by {change}; replacing it");
            return;
        }
        let wait = suspicion.due.saturating_duration_since(now);
        let line = format!(
            "table kube-proxy was changed by {change}; {} like that were undone within 10 minutes, \
             so it is replaced in {:.1} s",
            suspicion.before,
            wait.as_secs_f64()
        );
        tracing::warn!("{line}");
        let note = if change.is_by_a_proxy() {
            "another kube-proxy runs on this node and writes the same nftables table".to_owned()
        } else {
            line
        };
        self.reports.events.report(Report::contested(note));
    }

    fn lost(&mut self, now: Instant) {
        for own in &mut self.families {
            let suspicion = own.contest.lost(now);
            if own.suspicion.is_none() {
                tracing::info!(
                    "{}: the ruleset changed more than could be followed; replacing the table in \
                     {:.1} s",
                    own.family(),
                    suspicion.due.saturating_duration_since(now).as_secs_f64()
                );
            }
            own.suspect(suspicion);
        }
    }

    /// A change of ours was refused as the table differs, which nobody told: so the other
    /// family's may differ too.
    pub(super) fn differs(&mut self, at: usize, refusal: &Refusal) {
        let family = self.families[at].family();
        self.families[at].unexplained = true;
        self.reports.metrics.drift(family);
        tracing::warn!("{refusal}: someone else changed the table; replacing it");
        let now = Instant::now();
        for own in &mut self.families {
            if own.family() != family {
                let suspicion = own.contest.lost(now);
                own.suspect(suspicion);
            }
        }
    }

    /// When to sync though no object has changed: to try again, or to mend.
    pub fn next_look(&self) -> Option<Instant> {
        let families = self.families.iter();
        families.filter_map(super::OfFamily::next_look).min()
    }
}

/// Whether a generation came after another one; they wrap around.
fn is_after(generation: u32, other: u32) -> bool {
    generation.wrapping_sub(other).cast_signed() > 0
}
