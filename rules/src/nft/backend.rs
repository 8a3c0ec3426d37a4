//! Planner and kernel as one [`Backend`].

use super::Kernel;
use super::planner::{Pending, Planner};
use super::ruleset::{ChainId, Op};
use crate::model::{Family, ObjectName};
use crate::{Backend, Cause, Commit, Config, HealthCheck, Refusal, RememberedClients};
use crate::{Summary, View};
use std::collections::BTreeSet;
use std::io;
use std::marker::PhantomData;
use std::net::IpAddr;

/// A chain that there never is: to delete it fails, and the whole transaction with it.
const NOWHERE: ChainId = ChainId::Fixed("nowhere");

/// Services of one family as a table of nftables, which a [`Kernel`] takes.
#[derive(Debug)]
pub struct NftBackend<K> {
    planner: Planner,
    kernel: PhantomData<fn(&mut K)>,
}

impl<K: Kernel> Backend for NftBackend<K> {
    const RULES: &'static str = "table kube-proxy";

    type Kernel = K;
    type Pending = Pending;
    const LEAVES_LOCALHOST: bool = true;

    fn new(config: Config) -> Self {
        Self {
            planner: Planner::new(config),
            kernel: PhantomData,
        }
    }

    fn config(&self) -> &Config {
        self.planner.config()
    }

    fn configure(&mut self, config: Config) {
        self.planner.configure(config);
    }

    fn mark<'a>(&mut self, services: impl IntoIterator<Item = &'a ObjectName>) {
        self.planner.mark(services);
    }

    fn prepare(
        &mut self,
        view: View<'_>,
        local_addresses: &[IpAddr],
        clients: impl FnOnce() -> RememberedClients,
    ) -> Option<Pending> {
        self.planner.prepare_seen(view, local_addresses, clients)
    }

    fn apply(&self, kernel: &mut K, pending: &Pending) -> Result<(), Refusal> {
        kernel.apply(&pending.transaction).map_err(|refusal| {
            let owners = self.planner.owners(pending, &refusal.refused);
            refusal.about(owners.into_iter().collect())
        })
    }

    fn would_take(&self, kernel: &mut K, mut pending: Pending) -> bool {
        pending.transaction.ops.push(Op::DeleteChain(NOWHERE));
        let answer = kernel.apply(&pending.transaction);
        let only_that = format!("delete chain {NOWHERE}");
        answer.is_err_and(|refusal| {
            refusal.cause == Cause::TableDiffers && refusal.attempted == only_that
        })
    }

    fn last_commit(kernel: &K) -> Commit {
        kernel.last_commit()
    }

    fn commit(&mut self, pending: Pending) {
        self.planner.commit(pending);
    }

    fn take_health_changes(&mut self) -> Vec<(ObjectName, Option<HealthCheck>)> {
        self.planner.take_health_changes()
    }

    fn distrust(&mut self) {
        self.planner.distrust();
    }

    fn leave_out(&mut self, services: impl IntoIterator<Item = ObjectName>) {
        self.planner.leave_out(services);
    }

    fn take_back<'a>(&mut self, services: impl IntoIterator<Item = &'a ObjectName>) {
        self.planner.take_back(services);
    }

    fn left_out(&self) -> &BTreeSet<ObjectName> {
        self.planner.left_out()
    }

    fn summary(&self) -> &Summary {
        self.planner.summary()
    }

    fn clients(kernel: &mut K, family: Family) -> io::Result<RememberedClients> {
        kernel.before_replacement(family);
        kernel.clients(family)
    }

    fn clean_up(kernel: &mut K, family: Family) -> io::Result<bool> {
        kernel.delete_table(family)
    }
}

impl crate::Pending for Pending {
    fn replaces_all(&self) -> bool {
        self.full
    }

    fn is_for_the_kernel(&self) -> bool {
        !self.transaction.ops.is_empty()
    }

    fn why_all(&self) -> Option<String> {
        let (set, size) = self.outgrown?;
        Some(format!(
            "set {set} is full at {size} elements; replacing the table by one with larger sets"
        ))
    }

    fn service_count(&self) -> usize {
        self.services.services.len()
    }

    fn services(&self) -> impl Iterator<Item = &ObjectName> {
        let planned = self.services.services.iter();
        planned.filter_map(|(name, plan)| plan.is_some().then_some(name))
    }
}
