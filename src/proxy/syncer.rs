//! One sync: what changed goes to each family's proxier, and that to the kernel.

use super::addresses::{List, LocalAddresses};
use super::outcome::{Counted, Outcome, Taken};
use super::proxier::{Proxier, Round};
use crate::world::World;
use jiff::Timestamp;
use rules::flows::FlowTable;
use rules::model::{Family, ObjectName};
use rules::{Backend, Change, ObjectKind, State};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// The world, a proxier per family, and the kernel that they program.
pub(super) struct Syncer<B: Backend> {
    world: World,
    pub(super) proxiers: Vec<Proxier<B>>,
    pub(super) kernel: B::Kernel,
    flow_table: Box<dyn FlowTable + Send>,
    addresses: LocalAddresses,
    /// Services that changed since the last sync.
    changed_services: HashSet<ObjectName>,
    /// When this syncer was made: what was triggered before is no measure of it.
    started: i64,
}

/// What a syncer works on.
pub(super) struct Machine<K> {
    pub(super) kernel: K,
    pub(super) flow_table: Box<dyn FlowTable + Send>,
    /// Lists the addresses of the node's interfaces.
    pub(super) addresses: List,
}

impl<B: Backend> Syncer<B> {
    /// A syncer whose first sync takes over whatever rules there are. After failures in a row a
    /// family is tried again this long after the last one at the most.
    pub(super) fn new(
        world: World,
        families: &[Family],
        machine: Machine<B::Kernel>,
        longest_pause: Duration,
    ) -> Self {
        let proxier = |family: &Family| Proxier::new(world.here().config(*family), longest_pause);
        Self {
            proxiers: families.iter().map(proxier).collect(),
            world,
            kernel: machine.kernel,
            flow_table: machine.flow_table,
            addresses: LocalAddresses::new(machine.addresses),
            changed_services: HashSet::new(),
            started: Timestamp::now().as_millisecond(),
        }
    }

    /// The families that are programmed.
    pub(super) fn families(&self) -> impl Iterator<Item = Family> + Clone {
        self.proxiers.iter().map(Proxier::family)
    }

    /// The objects under the settings.
    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// The objects as far as they are known.
    pub(super) fn state(&self) -> &State {
        self.world.state()
    }

    /// Takes in a change.
    pub(super) fn apply(&mut self, change: Change) -> Taken {
        let counted = match &change {
            Change::Service(_) | Change::ServiceGone(_) => Some(Counted::Service),
            Change::Slice(_) | Change::SliceGone(_) => Some(Counted::EndpointSlice),
            _ => None,
        };
        let service = match &change {
            Change::Service(service) => Some(service.name.clone()),
            Change::ServiceGone(name) => Some(name.clone()),
            _ => None,
        };
        let about_node = matches!(
            change,
            Change::Node(_) | Change::NodeGone | Change::ListEnd(ObjectKind::Node)
        );
        let applied = self.world.apply(change);
        if applied.changed {
            self.changed_services.extend(service);
        }
        let eligible = || self.world.state().node().map(|node| node.eligible);
        Taken {
            changed: applied.changed,
            counted,
            problems: applied.problems,
            notice: applied.node,
            eligible: about_node.then(eligible),
            pending_services: self.changed_services.len(),
        }
    }

    /// Looks whether the interfaces' addresses are others than before; true if a sync is needed.
    pub(super) fn addresses_may_differ(&mut self) -> bool {
        self.addresses.may_differ()
    }

    /// Whether stale flows are left from the last sync, or addresses that could not be listed, for
    /// the next one.
    pub(super) fn has_leftovers(&self) -> bool {
        !self.addresses.are_current() || self.proxiers.iter().any(Proxier::has_stale_flows)
    }

    /// When to sync though no object has changed: to try again, or to mend.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.proxiers.iter().filter_map(Proxier::next_look).min()
    }

    /// Brings the kernel in line with the state, each family on its own: what it did for each.
    pub(super) fn sync(&mut self) -> Vec<Outcome> {
        self.changed_services = HashSet::new();
        self.hand_out_changes();
        self.addresses.refresh();
        let families: Vec<Family> = self.families().collect();
        let sync = |family: Family| self.sync_family(family);
        families.into_iter().filter_map(sync).collect()
    }

    /// Tells the proxiers what changed.
    fn hand_out_changes(&mut self) {
        for trigger in self.world.take_triggers() {
            let mut proxiers = self.proxiers.iter_mut();
            let proxier = proxiers.find(|proxier| proxier.family() == trigger.family);
            if let Some(proxier) = proxier.filter(|_| trigger.at > self.started) {
                proxier.triggered(trigger.at);
            }
        }
        let dirty = self.world.take_dirty();
        for proxier in &mut self.proxiers {
            proxier.changed(self.world.state(), &dirty);
        }
    }

    fn sync_family(&mut self, family: Family) -> Option<Outcome> {
        let round = Round {
            kernel: &mut self.kernel,
            state: self.world.state(),
            local: self.addresses.known(),
            outcome: Outcome::of(family),
        };
        let config = self.world.here().config(family);
        let mut proxiers = self.proxiers.iter_mut();
        let proxier = proxiers.find(|proxier| proxier.family() == family)?;
        let outcome = proxier.sync(round, config, &mut *self.flow_table);
        self.tell_others(&outcome);
        Some(outcome)
    }
}
