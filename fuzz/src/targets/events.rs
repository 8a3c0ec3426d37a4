//! A history: objects come, change and go, syncs are refused, somebody meddles with the table, the
//! process restarts. After each sync the table is what a fresh start would have written, and what
//! it does with packets is what `crates/oracle` says.

mod bytes;
mod packets;
mod step;

use crate::table::{self, meaning};
use bytes::Bytes;
use oracle::{Answer, Mode, World, judge};
use packets::packet;
use rules::model::{Family, ObjectName};
use rules::nft::Planner;
use rules::nft::Table;
use rules::nft::ruleset::{AffinitySet, PortName};
use rules::nft::trace::Tracer;
use rules::trace::End;
use rules::{Change, ObjectKind, State};
use std::collections::BTreeMap;
use step::Step;

/// More steps find nothing that fewer don't, and take their time.
const STEPS: usize = 60;

pub(crate) fn run(data: &[u8]) {
    let mut from = Bytes(data);
    let family = match from.byte() & 1 {
        0 => Family::V4,
        _ => Family::V6,
    };
    let mut run = Run::new(World {
        config: step::config(from.byte(), family),
        cidrs: Vec::new(),
        addresses: step::addresses(from.byte()),
        node: None,
        services: BTreeMap::new(),
        slices: BTreeMap::new(),
    });
    for _ in 0..STEPS {
        if from.is_empty() {
            break;
        }
        run.step(&mut from);
    }
    run.sync();
    run.check();
}

/// The parts of a daemon of one family, and what they should know.
struct Run {
    world: World,
    state: State,
    planner: Planner,
    kernel: Table,
}

impl Run {
    fn new(world: World) -> Self {
        Self {
            state: State::new(),
            planner: Planner::new(world.config.clone()),
            kernel: Table::new(),
            world,
        }
    }

    fn step(&mut self, from: &mut Bytes<'_>) {
        match Step::read(from, self.world.family()) {
            Step::Change(change) => {
                self.world.apply(&change);
                self.state.apply(change);
            }
            Step::List(kind, gone) => self.list(kind, gone),
            Step::Configure(config) => {
                self.planner.configure(config.clone());
                self.world.config = config;
            }
            Step::Addresses(addresses) => self.world.addresses = addresses,
            Step::Remember(at, client, remaining) => {
                let count = self.kernel.affinity_sets().len().max(1);
                self.kernel.edit(|parts| {
                    let mut sets = parts.affinity_sets.values_mut();
                    if let Some(clients) = sets.nth(usize::from(at) % count) {
                        clients.insert(client, remaining);
                    }
                });
            }
            Step::Refused => {
                self.planner.mark(&self.state.take_dirty());
                let addresses = &self.world.addresses;
                let pending = self
                    .planner
                    .prepare(&self.state, addresses, Default::default);
                if pending.is_some() {
                    self.planner.distrust();
                }
            }
            Step::Meddle(what) => {
                self.meddle(what);
                self.planner.distrust();
            }
            Step::Restart => {
                self.state = fresh_state(&self.world);
                self.planner = Planner::new(self.world.config.clone());
            }
            Step::Sync(packets) => {
                self.sync();
                self.check();
                self.compare(packets, from);
            }
        }
    }

    /// A list that leaves some objects out.
    fn list(&mut self, kind: ObjectKind, gone: u8) {
        self.state.apply(Change::ListBegin(kind));
        for (at, event) in objects(&self.world, kind).into_iter().enumerate() {
            if gone >> (at % 8) & 1 == 0 {
                self.state.apply(event);
            } else {
                self.world.apply(&goes(event));
            }
        }
        self.state.apply(Change::ListEnd(kind));
    }

    /// Takes out something, with no regard to what refers to it: the table is replaced anyway.
    fn meddle(&mut self, what: u8) {
        let at = usize::from(what >> 2);
        match what & 3 {
            0 => self.kernel = Table::new(),
            1 => self.kernel.edit(|parts| {
                for set in parts.sets.values_mut().map(|set| &mut set.elements) {
                    let key = set.keys().nth(at % set.len().max(1)).copied();
                    key.and_then(|key| set.remove(&key));
                }
            }),
            2 => self.kernel.edit(|parts| {
                let id = parts.chains.keys().nth(at).cloned();
                id.and_then(|id| parts.chains.remove(&id));
            }),
            _ => self.kernel.edit(|parts| {
                let set = parts.affinity_sets.keys().nth(at).cloned();
                set.and_then(|set| parts.affinity_sets.remove(&set));
            }),
        }
    }

    fn sync(&mut self) {
        let before = self.kernel.affinity_sets().clone();
        self.planner.mark(&self.state.take_dirty());
        let (planner, kernel) = (&mut self.planner, &mut self.kernel);
        table::sync(planner, &self.state, &self.world.addresses, kernel);
        // Who is remembered stays so for as long as the endpoint is there.
        for (set, clients) in self.kernel.affinity_sets() {
            let had = before.get(set).into_iter().flatten();
            for (client, remaining) in had {
                let left = clients.get(client).unwrap_or(&0);
                assert!(
                    (1..=*remaining).contains(left),
                    "{client} in {set}: {left} ms"
                );
            }
        }
    }

    /// The table is what a fresh start with the same objects would have made.
    fn check(&self) {
        let state = fresh_state(&self.world);
        let mut planner = Planner::new(self.world.config.clone());
        let kernel = table::first_sync(&mut planner, &state, &self.world.addresses);
        let family = self.world.family();
        assert_eq!(
            meaning(&self.kernel, family),
            meaning(&kernel, family),
            "with its history on the left, built at once on the right"
        );
        assert_eq!(self.planner.summary(), planner.summary());
    }

    /// Sends packets through the table, and asks the oracle.
    fn compare(&self, count: u8, from: &mut Bytes<'_>) {
        let addresses = self.world.addresses.iter().copied();
        let tracer = Tracer::new(&self.kernel, addresses);
        for _ in 0..count {
            let Some((packet, pins)) = packet(&self.world, from) else {
                continue;
            };
            let mut tracer = tracer.clone();
            for pin in &pins {
                let port = PortName::new(&pin.service, pin.protocol, pin.port);
                let backend = pin.backend;
                tracer.remember(AffinitySet { port, backend }, packet.source);
            }
            let trace = tracer.trace(&packet);
            let Answer { ends, sticky } = judge(Mode::Nftables, &self.world, &pins, &packet);
            if trace.ends() != ends {
                let trace = tracer.explain(&packet);
                panic!("{trace}pins {pins:?}\nthe oracle says {ends:?}");
            }
            for path in &trace.paths {
                let End::Endpoint { backend, .. } = path.end else {
                    continue;
                };
                let remembered = sticky.iter().map(|own| {
                    let port = PortName::new(&own.service, own.protocol, own.port);
                    AffinitySet { port, backend }
                });
                let remembered: Vec<AffinitySet> = remembered.collect();
                assert_eq!(path.remembered, remembered, "{packet}");
            }
        }
    }
}

/// The state of a process that has just listed everything.
fn fresh_state(world: &World) -> State {
    let mut state = State::new();
    let kinds = [
        ObjectKind::Node,
        ObjectKind::ServiceCidr,
        ObjectKind::Service,
        ObjectKind::EndpointSlice,
    ];
    for kind in kinds {
        state.apply(Change::ListBegin(kind));
        for event in objects(world, kind) {
            state.apply(event);
        }
        state.apply(Change::ListEnd(kind));
    }
    state
}

/// All objects of a kind.
fn objects(world: &World, kind: ObjectKind) -> Vec<Change> {
    match kind {
        ObjectKind::Service => world
            .services
            .values()
            .cloned()
            .map(Change::Service)
            .collect(),
        ObjectKind::EndpointSlice => world.slices.values().cloned().map(Change::Slice).collect(),
        ObjectKind::Node => world.node.iter().cloned().map(Change::Node).collect(),
        ObjectKind::ServiceCidr => world
            .cidrs
            .iter()
            .cloned()
            .map(Change::ServiceCidr)
            .collect(),
    }
}

/// That an object is gone.
fn goes(event: Change) -> Change {
    let same = |name: &ObjectName| name.clone();
    match event {
        Change::Service(own) => Change::ServiceGone(same(&own.name)),
        Change::Slice(own) => Change::SliceGone(same(&own.name)),
        Change::Node(_) => Change::NodeGone,
        Change::ServiceCidr(own) => Change::ServiceCidrGone(own.name),
        other => other,
    }
}
