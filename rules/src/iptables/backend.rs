//! Planner and kernel as one [`Backend`].

use super::kernel::Kernel;
use super::planner::{Pending, Planner};
use crate::model::{Family, ObjectName};
use crate::{Backend, Commit, Config, HealthCheck, Refusal, RememberedClients, Summary, View};
use std::collections::BTreeSet;
use std::io;
use std::marker::PhantomData;
use std::net::IpAddr;

/// Services of one family as upstream's chains of iptables, which a [`Kernel`] takes.
#[derive(Debug)]
pub struct IptablesBackend<K> {
    planner: Planner,
    kernel: PhantomData<fn(&mut K)>,
}

impl<K: Kernel> Backend for IptablesBackend<K> {
    const RULES: &'static str = "kube-proxy's part of iptables";

    type Kernel = K;
    type Pending = Pending;
    const LEAVES_LOCALHOST: bool = false;

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
        self.planner.agenda.mark(services);
    }

    /// Clients are the kernel's: its lists outlive the rules that name them.
    fn prepare(
        &mut self,
        view: View<'_>,
        local_addresses: &[IpAddr],
        _clients: impl FnOnce() -> RememberedClients,
    ) -> Option<Pending> {
        self.planner.prepare(view, local_addresses)
    }

    fn apply(&self, kernel: &mut K, pending: &Pending) -> Result<(), Refusal> {
        kernel.apply(&pending.transaction).map_err(|refusal| {
            let owners = self.planner.owners(pending, &refusal.refused);
            refusal.about(owners.into_iter().collect())
        })
    }

    fn would_take(&self, kernel: &mut K, pending: Pending) -> bool {
        kernel.would_take(&pending.transaction)
    }

    fn last_commit(kernel: &K) -> Commit {
        kernel.last_commit()
    }

    fn commit(&mut self, pending: Pending) {
        self.planner.commit(pending);
    }

    fn take_health_changes(&mut self) -> Vec<(ObjectName, Option<HealthCheck>)> {
        self.planner.health.take_changes()
    }

    fn distrust(&mut self) {
        self.planner.agenda.distrust();
    }

    fn distrust_jumps(&mut self) {
        self.planner.distrust_jumps();
    }

    fn wants_periodic_replacement(&self) -> bool {
        self.planner.wants_periodic_replacement()
    }

    fn leave_out(&mut self, services: impl IntoIterator<Item = ObjectName>) {
        self.planner.agenda.leave_out(services);
    }

    fn take_back<'a>(&mut self, services: impl IntoIterator<Item = &'a ObjectName>) {
        self.planner.agenda.take_back(services);
    }

    fn left_out(&self) -> &BTreeSet<ObjectName> {
        self.planner.agenda.left_out()
    }

    fn summary(&self) -> &Summary {
        self.planner.summary()
    }

    fn clients(_kernel: &mut K, _family: Family) -> io::Result<RememberedClients> {
        Ok(RememberedClients::default())
    }

    fn clean_up(kernel: &mut K, family: Family) -> io::Result<bool> {
        kernel.clean_up(family)
    }
}
