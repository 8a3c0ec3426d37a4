//! Looking for the Services that the kernel refuses when it does not say which: by halves, so
//! that one among thousands takes a dozen transactions. What it takes is in place from then on.

use super::Syncer;
use super::attempt::Counts;
use crate::events::Report;
use rules::Cause;
use rules::model::ObjectName;
use rules::nft::ruleset::{ChainId, Op};
use rules::nft::{Kernel, Refusal};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// So many transactions in one sync. What was not tried by then is tried in the next one.
const TRIALS: usize = 100;

/// A chain that there never is: to delete it fails, and the whole transaction with it.
const NOWHERE: ChainId = ChainId::Fixed("nowhere");

impl<K: Kernel> Syncer<K> {
    /// Goes on without the `suspects` and takes them back in halves, as far as the kernel does.
    pub(super) fn search(
        &mut self,
        at: usize,
        local: &[IpAddr],
        refusal: Refusal,
        full: bool,
        suspects: Vec<ObjectName>,
    ) -> Result<(), Refusal> {
        self.families[at].planner.leave_out(suspects.clone());
        if suspects.is_empty() || (full && !self.would_take(at, local)) {
            // Without any Service it would be refused as well.
            let planner = &mut self.families[at].planner;
            planner.take_back(&suspects);
            if !full {
                planner.distrust();
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
                self.families[at].untried = left.collect();
                return Err(last);
            }
            trials += 1;
            self.families[at].planner.take_back(&group);
            let Err(refused) = self.attempt(at, local, Counts::No) else {
                continue;
            };
            self.families[at].planner.leave_out(group.iter().cloned());
            last = refused.refusal;
            let (named, rest): (BTreeSet<_>, Vec<_>) = {
                let named = group.iter().filter(|name| refused.owners.contains(*name));
                let rest = group.iter().filter(|name| !refused.owners.contains(*name));
                (named.cloned().collect(), rest.cloned().collect())
            };
            match (named.is_empty(), rest.len()) {
                (true, 1) => self.leave_out(at, &rest.into_iter().collect(), &last),
                (true, count) => {
                    let (first, second) = rest.split_at(count / 2);
                    groups.extend([second.to_vec(), first.to_vec()]);
                }
                (false, rest_count) => {
                    self.leave_out(at, &named, &last);
                    groups.extend((rest_count > 0).then_some(rest));
                }
            }
        }
        // All that is left out is out now, also where nothing else changes.
        self.attempt(at, local, Counts::Yes)
            .map_err(|refused| refused.refusal)
    }

    /// Whether the kernel would take what is planned now. Nothing changes.
    fn would_take(&mut self, at: usize, local: &[IpAddr]) -> bool {
        let planner = &mut self.families[at].planner;
        let Some(mut pending) = planner.prepare(self.world.state(), local, Default::default) else {
            return true;
        };
        pending.transaction.ops.push(Op::DeleteChain(NOWHERE));
        let answer = self.kernel.apply(&pending.transaction);
        let only_that = format!("delete chain {NOWHERE}");
        answer.is_err_and(|refusal| {
            refusal.cause == Cause::TableDiffers && refusal.attempted == only_that
        })
    }

    /// Leaves Services out, and tells whoever cares.
    pub(super) fn leave_out(
        &mut self,
        at: usize,
        services: &BTreeSet<ObjectName>,
        refusal: &Refusal,
    ) {
        let own = &mut self.families[at];
        let family = own.family();
        own.planner.leave_out(services.iter().cloned());
        for service in services {
            let text = refusal.reason.clone();
            if own.told.get(service) == Some(&text) {
                continue;
            }
            tracing::warn!("Service {service} is left out of {family}: {refusal}");
            let note = format!("{family}: the kernel refuses the rules of this Service: {text}");
            self.reports
                .events
                .report(Report::left_out(service.clone(), note));
            own.told.insert(service.clone(), text);
        }
    }
}
