//! What a thousand objects of each kind cost the kernel: no memory controller
//! is charged for most of it, so nobody would see it grow.

use super::small::{address, base, endpoint, goto, pick, service, with_rule};
use super::table::Both;
use e2e::KernelMemory;
use ipnet::IpNet;
use rules::model::{EndpointAddr, Family, ObjectName, Protocol};
use rules::nft::ruleset::{AffinitySet, Op, PortName, SetId, SourceSet, Statement, Verdict};
use std::time::{Duration, Instant};

const COUNT: u32 = 1000;
/// Others use the machine as well, so it is measured so often, and the middle
/// one counts.
const ROUNDS: u32 = 5;
/// For a thousand objects, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// A kind, what adds those of some numbers, and how many bytes one may take.
type Kind = (
    &'static str,
    fn(Family, std::ops::Range<u32>) -> Vec<Op>,
    i64,
);

const KINDS: &[Kind] = &[
    (
        "a set of session affinity's clients",
        |family, numbers| {
            numbers
                .map(|n| Op::AddAffinitySet(clients_of(family, n)))
                .collect()
        },
        4096,
    ),
    (
        "a set of clients with the rules of its endpoint",
        |family, numbers| numbers.flat_map(|n| with_rules(family, n)).collect(),
        8192,
    ),
    (
        "a chain with a rule",
        |_, numbers| {
            let chain = |n| Op::AddChain(with_rule(pick(n), Statement::Reject));
            numbers.map(|n| chain(n + 10)).collect()
        },
        2048,
    ),
    (
        "a frontend",
        |family, numbers| {
            let to = Verdict::Goto(pick(1));
            let elements = numbers.map(|n| service(family, n + 10, to.clone()));
            vec![Op::AddElements(SetId::Services, elements.collect())]
        },
        1024,
    ),
    (
        "a range of sources",
        |family, numbers| vec![Op::AddSourceSet(apart(family, numbers))],
        1024,
    ),
    (
        "an endpoint of a frontend",
        |family, numbers| {
            let elements = numbers.map(|n| endpoint(family, n + 10, n));
            vec![Op::AddElements(SetId::Endpoints, elements.collect())]
        },
        1024,
    ),
];

fn clients_of(family: Family, number: u32) -> AffinitySet {
    let service = ObjectName::new("shop", "sticky");
    AffinitySet {
        port: PortName::new(&service, Protocol::Tcp, 80),
        backend: EndpointAddr {
            address: address(family, number),
            port: 8080,
        },
    }
}

/// Addresses that do not adjoin.
fn apart(family: Family, numbers: std::ops::Range<u32>) -> SourceSet {
    let ranges = numbers.map(|n| IpNet::from(address(family, 2 * n)));
    SourceSet::new(&ranges.collect::<Vec<_>>())
}

/// As each endpoint of a port with session affinity has them.
fn with_rules(family: Family, number: u32) -> Vec<Op> {
    let set = clients_of(family, number + 100_000);
    let update = Statement::UpdateAffinity {
        set: set.clone(),
        seconds: 60,
    };
    let id = pick(number + 100_000);
    let mut look = with_rule(pick(number + 200_000), Statement::InAffinity(set.clone()));
    look.rules[0].statements.push(goto(id.clone()));
    vec![
        Op::AddAffinitySet(set),
        Op::AddChain(with_rule(id, update)),
        Op::AddChain(look),
    ]
}

#[test]
fn a_thousand_objects_of_each_kind_cost_little() {
    for family in Family::ALL {
        for (what, add, limit) in KINDS {
            let mut both = Both::new(family);
            both.real(base(family)).expect("a good table");
            let mut costs = Vec::new();
            let mut times = Vec::new();
            for round in 0..ROUNDS {
                let ops = add(family, round * COUNT..(round + 1) * COUNT);
                let before = KernelMemory::now().expect("what memory the kernel uses");
                let start = Instant::now();
                both.real(ops)
                    .unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
                times.push(start.elapsed());
                let after = KernelMemory::now().expect("what memory the kernel uses");
                costs.push((after.bytes() - before.bytes()) / i64::from(COUNT));
            }
            costs.sort_unstable();
            times.sort_unstable();
            let middle = costs.len() / 2;
            println!("{family}: {what}: {costs:?} bytes each, {times:?} for {COUNT}");
            assert!(
                costs[middle] < *limit,
                "{family}: {what}: {costs:?} bytes each"
            );
            assert!(times[middle] < PATIENCE, "{family}: {what}: {times:?}");
        }
    }
}
