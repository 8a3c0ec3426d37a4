//! Tables in memory: programmed, compared, and looked at as text and as messages.

use kube_proxy::fuzzing::{Manifest, manifest};
use kube_proxy::netlink;
use rules::RememberedClients;
use rules::model::{EndpointAddr, Family, Frontend};
use rules::nft::Table;
use rules::nft::ruleset::{
    AffinitySet, Chain, ChainId, Element, Key, Rule, SetId, Statement, Transaction, Value, Verdict,
};
use rules::nft::{Kernel, Pending, Planner, print};
use rules::{Change, Config, LocalDetector, NodeportAddresses, State};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Programs all that is new, as a sync does, and looks at every form of it.
///
/// # Panics
/// The kernel refuses it, or a form of it is not what it has to be.
pub(crate) fn sync(planner: &mut Planner, state: &State, addresses: &[IpAddr], kernel: &mut Table) {
    let family = planner.config().family;
    let clients = || {
        let own = kernel.clients(family).unwrap_or_default();
        with_odd_ones(kernel, own)
    };
    let Some(pending) = planner.prepare(state, addresses, clients) else {
        return;
    };
    check_text(&print::transaction(&pending.transaction));
    check_messages(&pending.transaction);
    take(planner, kernel, pending);
}

/// Beside the clients of the table's sets the same ones again, and others that can be none: so
/// may a list be that changed while it was read, or that has sets of somebody else's.
fn with_odd_ones(kernel: &Table, mut clients: RememberedClients) -> RememberedClients {
    for (set, own) in kernel.affinity_sets() {
        let name = set.to_string();
        let theirs = name.replacen("affinity-", "affinity-A2B3C4D5-", 1);
        let again = own
            .iter()
            .map(|(address, remaining)| (*address, *remaining));
        let aliens = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let aliens = aliens
            .into_iter()
            .filter(|own: &IpAddr| own.is_ipv4() != set.backend.address.is_ipv4());
        let aliens = aliens.map(|address| (address, 1));
        clients.add_set(&theirs, again.chain(aliens));
    }
    clients
}

/// A first sync, of which only the outcome is wanted.
///
/// # Panics
/// The kernel refuses it.
pub(crate) fn first_sync(planner: &mut Planner, state: &State, addresses: &[IpAddr]) -> Table {
    let mut kernel = Table::new();
    if let Some(pending) = planner.prepare(state, addresses, Default::default) {
        take(planner, &mut kernel, pending);
    }
    kernel
}

fn take(planner: &mut Planner, kernel: &mut Table, pending: Pending) {
    if let Err(refusal) = kernel.apply(&pending.transaction) {
        panic!("the kernel would refuse it: {refusal}");
    }
    planner.commit(pending);
}

/// One Service of each kind, a Node, a ServiceCIDR.
const CLUSTER: &str = include_str!("../cluster.yaml");

/// A small cluster, and what its node has on its interfaces.
pub(crate) fn cluster() -> (State, Vec<IpAddr>) {
    let Manifest { events, problems } = manifest("yaml", CLUSTER);
    assert!(problems.is_empty(), "{problems:?}");
    let mut state = State::new();
    for event in events {
        state.apply(event);
    }
    (state, addresses())
}

/// A first sync of that cluster.
pub(crate) fn first_plan(family: Family) -> Transaction {
    let (state, addresses) = cluster();
    let mut planner = Planner::new(config(family));
    let pending = planner.prepare(&state, &addresses, Default::default);
    let nothing = Transaction {
        family,
        ops: Vec::new(),
    };
    pending.map_or(nothing, |pending| pending.transaction)
}

/// Both families' tables with these objects on the node `n1`, each programmed at once; every form
/// of it is looked at if asked for.
///
/// # Panics
/// The kernel refuses one, or a form is not what it has to be.
pub(crate) fn program(events: &[Change], with_forms: bool) -> Vec<Meaning> {
    let mut state = State::new();
    for event in events {
        for problem in state.apply(event.clone()).problems {
            assert!(!problem.text.is_empty());
        }
    }
    let families = Family::ALL.into_iter();
    families
        .map(|family| {
            let mut planner = Planner::new(config(family));
            let mut kernel = Table::new();
            if with_forms {
                sync(&mut planner, &state, &addresses(), &mut kernel);
            } else {
                kernel = first_sync(&mut planner, &state, &addresses());
            }
            meaning(&kernel, family)
        })
        .collect()
}

fn config(family: Family) -> Config {
    let pods = match family {
        Family::V4 => "10.244.0.0/16",
        Family::V6 => "fd00:10:244::/64",
    };
    let pods = pods
        .parse()
        .map_or(LocalDetector::None, LocalDetector::Source);
    Config {
        local_detector: pods,
        nodeport_addresses: NodeportAddresses::All,
        node_ip: addresses()
            .into_iter()
            .find(|own| Family::of(*own) == family),
        ..Config::new(family, "n1")
    }
}

/// What the node has on its interfaces.
fn addresses() -> Vec<IpAddr> {
    let own = ["192.0.2.1", "2001:db8:2::1"].into_iter();
    own.filter_map(|text| text.parse().ok()).collect()
}

/// Outside of quotes rules hold what nft's grammar needs and nothing else; quotes are balanced on
/// each line, so that nothing from a name gets out of them.
fn check_text(text: &str) {
    for line in text.lines() {
        for (at, part) in line.split('"').enumerate() {
            let quoted = at % 2 == 1;
            let harmless = |c: char| match quoted {
                true => !c.is_control() && c != '\\',
                false => c.is_ascii_alphanumeric() || "\t {}[]()<>=!&|.,:;@/_-*^~".contains(c),
            };
            assert!(part.chars().all(harmless), "{line:?}");
            assert!(!quoted || part.len() <= Element::COMMENT_MAX, "{line:?}");
        }
        assert!(line.matches('"').count() % 2 == 0, "{line:?}");
    }
}

/// Messages and the attributes in them add up to the whole, to the byte.
fn check_messages(transaction: &Transaction) {
    /// `struct nlmsghdr` and `struct nfgenmsg`.
    const HEADERS: usize = 20;
    let bytes = netlink::encode(transaction).expect("nothing is too long");
    let mut rest = &bytes[..];
    while let Some(length) = rest.first_chunk() {
        let length = u32::from_ne_bytes(*length) as usize;
        assert!((HEADERS..=rest.len()).contains(&length), "{length} bytes");
        check_attributes(&rest[HEADERS..length]);
        rest = &rest[length.next_multiple_of(4)..];
    }
    assert!(rest.is_empty(), "{} bytes are left", rest.len());
}

fn check_attributes(mut rest: &[u8]) {
    const NESTED: u16 = 0x8000;
    while let Some([l0, l1, k0, k1]) = rest.first_chunk() {
        let length = usize::from(u16::from_ne_bytes([*l0, *l1]));
        assert!((4..=rest.len()).contains(&length), "{length} bytes");
        if u16::from_ne_bytes([*k0, *k1]) & NESTED != 0 {
            check_attributes(&rest[4..length]);
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    assert!(rest.is_empty(), "{} bytes are left", rest.len());
}

/// What packets meet in a table, whatever way it came about: of the endpoints in a list neither
/// order nor place counts, and chains that nothing leads to may wait for the next sync.
#[derive(Debug, PartialEq)]
pub(crate) struct Meaning {
    elements: BTreeMap<(SetId, Key), Element>,
    lists: BTreeMap<(SetId, Frontend), List>,
    chains: BTreeMap<ChainId, Vec<String>>,
    affinity_sets: BTreeSet<AffinitySet>,
}

/// Endpoints with their comments.
type List = Vec<(EndpointAddr, Option<Arc<str>>)>;

/// Reads a table.
///
/// # Panics
/// A list has a hole: a packet that draws its number would find nobody.
pub(crate) fn meaning(kernel: &Table, family: Family) -> Meaning {
    let mut elements = BTreeMap::new();
    let mut lists: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (set, own) in kernel.sets() {
        for (key, element) in own {
            match (key, &element.value) {
                (Key::Indexed(frontend, index), Some(Value::Endpoint(to))) => {
                    let list = lists.entry((set, *frontend)).or_default();
                    list.insert(*index, (*to, element.comment.clone()));
                }
                // The rules that pick from them show them.
                (Key::Listed(_), _) => {}
                _ => drop(elements.insert((set, *key), element.clone())),
            }
        }
    }
    let lists = lists.into_iter().map(|(list, own)| {
        for (at, index) in (0u32..).zip(own.keys()) {
            assert_eq!(at, *index, "a hole in {list:?}");
        }
        let mut own: List = own.into_values().collect();
        own.sort_unstable();
        (list, own)
    });
    let met = met(kernel);
    check_listed(kernel);
    let chains = kernel.chains().values().filter(|own| met.contains(&own.id));
    Meaning {
        lists: lists.collect(),
        chains: chains
            .map(|own| (own.id.clone(), lines(own, kernel, family)))
            .collect(),
        affinity_sets: kernel.affinity_sets().keys().cloned().collect(),
        elements,
    }
}

/// The chains that packets may come to.
fn met(kernel: &Table) -> BTreeSet<ChainId> {
    let target = |verdict: &Verdict| match verdict {
        Verdict::Goto(chain) | Verdict::Jump(chain) => Some(chain.clone()),
        Verdict::Drop => None,
    };
    let hooks = kernel.chains().values().filter(|own| own.hook.is_some());
    let elements = kernel.sets().flat_map(|(_, elements)| elements.values());
    let by_elements = elements.filter_map(|element| match &element.value {
        Some(Value::Verdict(verdict)) => target(verdict),
        _ => None,
    });
    let mut next: Vec<ChainId> = hooks.map(|own| own.id.clone()).chain(by_elements).collect();
    let mut met = BTreeSet::new();
    while let Some(id) = next.pop() {
        if !met.insert(id.clone()) {
            continue;
        }
        let chain = kernel.chains().get(&id);
        let rules = chain.into_iter().flat_map(|own| &own.rules);
        let statements = rules.flat_map(|rule| &rule.statements);
        next.extend(statements.filter_map(|own| match own {
            Statement::Verdict(verdict) => target(verdict),
            _ => None,
        }));
    }
    met
}

/// Each place among the endpoints of ports with many frontends is one port's.
fn check_listed(kernel: &Table) {
    let statements = kernel
        .chains()
        .values()
        .flat_map(|own| &own.rules)
        .flat_map(|rule| &rule.statements);
    let places: BTreeSet<(u32, u32)> = statements
        .filter_map(|own| match own {
            Statement::DnatListed { count, first, .. } => Some((*first, *count)),
            _ => None,
        })
        .collect();
    let mut free = 0;
    for (first, count) in places {
        assert!(first >= free, "two lists have the place {first}");
        free = first + count;
    }
}

/// The endpoints that are listed from a place on.
fn listed(kernel: &Table, first: u32, count: u32) -> Vec<EndpointAddr> {
    let all = kernel.elements(SetId::PortEndpoints);
    let backend = |at| match all.get(&Key::Listed(at)).and_then(|own| own.value.clone()) {
        Some(Value::Endpoint(backend)) => backend,
        other => panic!("place {at} has {other:?}"),
    };
    let mut found: Vec<EndpointAddr> = (first..first + count).map(backend).collect();
    found.sort_unstable();
    found
}

/// A chain's rules. Those of a single port have one for each endpoint, the chance of which
/// depends on the order.
fn lines(chain: &Chain, kernel: &Table, family: Family) -> Vec<String> {
    let of_port = matches!(chain.id, ChainId::Port(_));
    let line = |rule: &Rule| {
        let statements = rule.statements.iter();
        let counted = statements.filter(|own| !of_port || !matches!(own, Statement::OneIn(_)));
        let text: Vec<String> = counted
            .map(|own| match own {
                Statement::DnatListed {
                    protocol,
                    pick,
                    count,
                    first,
                } => format!("{protocol} {pick:?} {:?}", listed(kernel, *first, *count)),
                own => print::statement(own, family),
            })
            .collect();
        text.join(" ")
    };
    let mut lines: Vec<String> = chain.rules.iter().map(line).collect();
    if of_port {
        lines.sort_unstable();
    }
    lines
}
