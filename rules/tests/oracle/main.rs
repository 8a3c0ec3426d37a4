//! Random clusters, whatever way they came about: what the rules do with a
//! packet is what a second, separately written model of the Kubernetes rules
//! says. The model reads Services, EndpointSlices, Node and settings only.

mod random;

use oracle::{Answer, Mode, World, judge};
use proptest::collection::vec;
use proptest::prelude::*;
use random::{PacketSeed, Step};
use rules::State;
use rules::iptables::trace::Chains;
use rules::iptables::{self, names};
use rules::model::{EndpointAddr, Family, ObjectName};
use rules::nft::Table;
use rules::nft::ruleset::{AffinitySet, PortName};
use rules::nft::trace::Tracer;
use rules::nft::{Kernel, Planner};
use rules::trace::End;

fn sync(planner: &mut Planner, state: &mut State, kernel: &mut Table, world: &World) {
    planner.mark(&state.take_dirty());
    if let Some(pending) = planner.prepare(state, &world.addresses, Default::default) {
        let applied = kernel.apply(&pending.transaction);
        applied.expect("the table takes it");
        planner.commit(pending);
    }
}

/// Sends the packets through the chains of mode iptables, and asks the model.
fn compare_chains(world: &World, state: &State, seeds: &[PacketSeed]) -> Result<(), TestCaseError> {
    let view = state.view();
    let chains = Chains::planned(&iptables::ruleset(&world.config, view, &world.addresses));
    let tracer = iptables::trace::Tracer::new(&chains, world.addresses.iter().copied());
    let chain_of = |service: &ObjectName, (protocol, number), backend: &EndpointAddr| {
        let mut ports = world.services.get(service)?.ports.iter();
        let port = ports.find(|own| (own.protocol, own.port) == (protocol, number))?;
        let name = names::port_name(service, &port.name);
        let endpoint = names::endpoint_name(backend);
        Some(names::endpoint_chain(&name, protocol, &endpoint))
    };
    for seed in seeds {
        let (packet, pins) = seed.packet(world);
        let mut tracer = tracer.clone();
        for pin in &pins {
            let chain = chain_of(&pin.service, (pin.protocol, pin.port), &pin.backend);
            tracer.remember(chain.expect("a port"), packet.source);
        }
        let trace = tracer.trace(&packet);
        let Answer { ends, sticky } = judge(Mode::Iptables, world, &pins, &packet);
        if trace.ends() != ends {
            let trace = tracer.explain(&packet);
            prop_assert!(false, "{trace}pins {pins:?}\nthe model says {ends:?}");
        }
        let sum: f64 = trace.paths.iter().map(|path| path.probability).sum();
        prop_assert!((sum - 1.0).abs() < 1e-9, "{} of {}", sum, packet);
        for path in &trace.paths {
            let End::Endpoint { backend, .. } = path.end else {
                continue;
            };
            let own = sticky.as_ref();
            let remembered =
                own.and_then(|own| chain_of(&own.service, (own.protocol, own.port), &backend));
            prop_assert_eq!(&path.remembered, &Vec::from_iter(remembered), "{}", packet);
        }
    }
    Ok(())
}

/// Sends the packets through the table, and asks the model.
fn compare(world: &World, kernel: &Table, seeds: &[PacketSeed]) -> Result<(), TestCaseError> {
    let tracer = Tracer::new(kernel, world.addresses.iter().copied());
    for seed in seeds {
        let (packet, pins) = seed.packet(world);
        let mut tracer = tracer.clone();
        for pin in &pins {
            let port = PortName::new(&pin.service, pin.protocol, pin.port);
            let backend = pin.backend;
            tracer.remember(AffinitySet { port, backend }, packet.source);
        }
        let trace = tracer.trace(&packet);
        let Answer { ends, sticky } = judge(Mode::Nftables, world, &pins, &packet);
        if trace.ends() != ends {
            let trace = tracer.explain(&packet);
            prop_assert!(false, "{trace}pins {pins:?}\nthe model says {ends:?}");
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
            prop_assert_eq!(&path.remembered, &remembered, "{}", packet);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_do_what_kubernetes_says(
        (world, steps) in prop_oneof![Just(Family::V4), Just(Family::V6)]
            .prop_flat_map(|family| (random::world(family), random::history(family))),
        seeds in vec(random::packet(), 1..60),
    ) {
        let mut world = world;
        let mut state = State::new();
        let mut planner = Planner::new(world.config.clone());
        let mut kernel = Table::new();
        for step in steps {
            match step {
                Step::Change(change) => {
                    world.apply(&change);
                    state.apply(change);
                }
                Step::Sync => sync(&mut planner, &mut state, &mut kernel, &world),
                Step::Addresses(addresses) => world.addresses = addresses,
                Step::Configure(config) => {
                    planner.configure(config.clone());
                    world.config = config;
                }
                Step::Refused => {
                    planner.mark(&state.take_dirty());
                    if planner.prepare(&state, &world.addresses, Default::default).is_some() {
                        planner.distrust();
                    }
                }
            }
        }
        sync(&mut planner, &mut state, &mut kernel, &world);
        compare(&world, &kernel, &seeds)?;

        let mut kernel = Table::new();
        sync(&mut Planner::new(world.config.clone()), &mut state, &mut kernel, &world);
        compare(&world, &kernel, &seeds)?;
        compare_chains(&world, &state, &seeds)?;
    }
}
