//! Looking for the Services that the kernel refuses when it does not say which: by halves, so
//! that one among thousands takes a dozen transactions. What it takes is in place from then on.

use super::attempt::Counts;
use super::outcome::Outcome;
use super::proxier::{Proxier, Round};
use rules::model::ObjectName;
use rules::{Backend, Refusal};

/// So many transactions in one sync. What was not tried by then is tried in the next one.
const TRIALS: usize = 100;

impl<B: Backend> Proxier<B> {
    /// Goes on without the `suspects` and takes them back in halves, as far as the kernel does.
    pub(super) fn search(
        &mut self,
        round: &mut Round<'_, B::Kernel>,
        refusal: Refusal,
        full: bool,
        suspects: Vec<ObjectName>,
    ) -> Result<(), Refusal> {
        self.backend.leave_out(suspects.clone());
        if suspects.is_empty() || (full && !self.would_take(round)) {
            // Without any Service it would be refused as well.
            self.backend.take_back(&suspects);
            if !full {
                self.backend.distrust();
            }
            return Err(refusal);
        }
        tracing::info!(
            "{refusal}: looking for the reason among {} Services",
            suspects.len()
        );
        let mut groups = vec![suspects];
        let mut trials = 0;
        let mut last = refusal;
        while let Some(group) = groups.pop() {
            if trials >= TRIALS {
                let left = groups.into_iter().flatten().chain(group);
                self.untried = left.collect();
                return Err(last);
            }
            trials += 1;
            self.backend.take_back(&group);
            let Err(refused) = self.attempt(round, Counts::No) else {
                continue;
            };
            self.backend.leave_out(group.iter().cloned());
            last = refused.refusal;
            let (named, rest): (Vec<_>, Vec<_>) = group
                .into_iter()
                .partition(|name| last.refused.contains(name));
            match (named.is_empty(), rest.len()) {
                (true, 1) => self.leave_out(&rest, &last, &mut round.outcome),
                (true, count) => {
                    let (first, second) = rest.split_at(count / 2);
                    groups.extend([second.to_vec(), first.to_vec()]);
                }
                (false, rest_count) => {
                    self.leave_out(&named, &last, &mut round.outcome);
                    groups.extend((rest_count > 0).then_some(rest));
                }
            }
        }
        // All that is left out is out now, also where nothing else changes.
        self.attempt(round, Counts::Yes)
            .map_err(|refused| refused.refusal)
    }

    /// Whether the kernel would take what is planned now. Nothing changes.
    fn would_take(&mut self, round: &mut Round<'_, B::Kernel>) -> bool {
        let pending = self
            .backend
            .prepare(round.state.view(), round.local, Default::default);
        pending.is_none_or(|pending| self.backend.would_take(round.kernel, pending))
    }

    /// Leaves Services out, and notes that for whoever cares.
    pub(super) fn leave_out(
        &mut self,
        services: &[ObjectName],
        refusal: &Refusal,
        outcome: &mut Outcome,
    ) {
        let family = self.family();
        self.backend.leave_out(services.iter().cloned());
        for service in services {
            let text = refusal.reason.clone();
            if self.told.get(service) == Some(&text) {
                continue;
            }
            tracing::warn!("Service {service} is left out of {family}: {refusal}");
            let note = format!("{family}: the kernel refuses the rules of this Service: {text}");
            outcome.newly_left_out.push((service.clone(), note));
            self.told.insert(service.clone(), text);
        }
    }
}
