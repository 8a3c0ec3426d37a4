//! Who owns a frontend, whatever the order in which Services come and go.

use super::*;
use crate::model::{Protocol, ServiceCidr};
use crate::state::{Applied, Change, ProblemKind, State};
use proptest::prelude::*;
use std::net::IpAddr;

const PORT: u16 = 443;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A Service at an address, which it has as this kind beside a cluster IP of
/// its own (the `n`-th).
fn at(name: &str, n: u8, created: i64, kind: Kind, address: IpAddr) -> Service {
    let mut service = Service {
        name: ObjectName::new(format!("tenant-{name}"), name),
        created,
        cluster_ips: vec![[10, 96, 1, n].into(), ip(&format!("fd00:96::1:{n:x}"))],
        ports: vec![ServicePort {
            name: "".into(),
            protocol: Protocol::Tcp,
            port: PORT,
            node_port: None,
        }],
        ..Service::default()
    };
    match kind {
        Kind::ClusterIp => {
            service
                .cluster_ips
                .retain(|own| own.is_ipv4() != address.is_ipv4());
            service.cluster_ips.push(address);
        }
        Kind::NodePort => service.ports[0].node_port = Some(30_000),
        Kind::LoadBalancerIp => service.load_balancer_ips = vec![address],
        Kind::ExternalIp => service.external_ips = vec![address],
    }
    service
}

fn frontend(address: Option<IpAddr>) -> Frontend {
    Frontend {
        address,
        protocol: Protocol::Tcp,
        port: if address.is_some() { PORT } else { 30_000 },
    }
}

/// The Services that own a frontend, of these that are there.
fn owners(state: &State, frontend: &Frontend) -> Vec<String> {
    let names = state.entries().filter(|(_, entry)| {
        let service = entry.service.as_deref();
        service.is_some_and(|own| wishes(own).contains_key(frontend))
    });
    names
        .filter(|(name, _)| state.claims().owns(name, frontend))
        .map(|(name, _)| name.name.to_string())
        .collect()
}

#[test]
fn the_kind_decides_before_age_and_name() {
    use Kind::{ClusterIp, ExternalIp, LoadBalancerIp, NodePort};
    // The first one wins, in either order of arrival.
    type Row = (&'static str, (Kind, i64), (Kind, i64));
    let rows: &[Row] = &[
        (
            "cluster IP, younger than an external IP",
            (ClusterIp, 9),
            (ExternalIp, 1),
        ),
        (
            "cluster IP, younger than a load-balancer IP",
            (ClusterIp, 9),
            (LoadBalancerIp, 1),
        ),
        (
            "load-balancer IP, younger than an external IP",
            (LoadBalancerIp, 9),
            (ExternalIp, 1),
        ),
        ("cluster IP, older", (ClusterIp, 1), (ExternalIp, 9)),
        ("the older external IP", (ExternalIp, 1), (ExternalIp, 9)),
        (
            "the older load-balancer IP",
            (LoadBalancerIp, 1),
            (LoadBalancerIp, 9),
        ),
        (
            "the older cluster IP, in manifests",
            (ClusterIp, 1),
            (ClusterIp, 9),
        ),
        (
            "the older node port, in manifests",
            (NodePort, 1),
            (NodePort, 9),
        ),
        (
            "without timestamps a cluster IP",
            (ClusterIp, 0),
            (ExternalIp, 0),
        ),
        (
            "without timestamps a load-balancer IP",
            (LoadBalancerIp, 0),
            (ExternalIp, 0),
        ),
    ];
    for address in [ip("10.96.0.50"), ip("fd00:96::50")] {
        for (what, wins, loses) in rows {
            // By name the loser would be first.
            let winner = at("z", 1, wins.1, wins.0, address);
            let loser = at("a", 2, loses.1, loses.0, address);
            let frontend = frontend((wins.0 != NodePort).then_some(address));
            for order in [[&winner, &loser], [&loser, &winner]] {
                let mut state = State::new();
                let mut said = Vec::new();
                for service in order {
                    said.extend(state.apply(Change::Service(service.clone())).problems);
                }
                assert_eq!(owners(&state, &frontend), ["z"], "{what}");
                assert_eq!(said.len(), 1, "{what}: {said:?}");
                assert_eq!(said[0].service, loser.name, "{what}");
                assert_eq!(said[0].kind, ProblemKind::LeftOut, "{what}");
                // The other one moves up at once, and stands back again.
                state.take_dirty();
                state.apply(Change::ServiceGone(winner.name.clone()));
                assert_eq!(owners(&state, &frontend), ["a"], "{what}");
                assert!(state.take_dirty().contains(&loser.name), "{what}");
                state.apply(Change::Service(winner.clone()));
                assert_eq!(owners(&state, &frontend), ["z"], "{what}");
                assert!(state.take_dirty().contains(&loser.name), "{what}");
            }
        }
    }
}

#[test]
fn equals_go_by_name() {
    let address = ip("198.51.100.1");
    let mut state = State::new();
    for (n, name) in ["b", "a", "c"].iter().enumerate() {
        let n = u8::try_from(n).expect("small");
        state.apply(Change::Service(at(name, n, 7, Kind::ExternalIp, address)));
    }
    assert_eq!(owners(&state, &frontend(Some(address))), ["a"]);
}

#[test]
fn a_claim_follows_its_kind() {
    // The same address goes from externalIPs to the status and back.
    let address = ip("198.51.100.1");
    let other = at("other", 1, 1, Kind::ExternalIp, address);
    let external = at("own", 2, 9, Kind::ExternalIp, address);
    let balancer = at("own", 2, 9, Kind::LoadBalancerIp, address);
    let mut both = balancer.clone();
    both.external_ips = vec![address];
    let mut state = State::new();
    let mut owner_with = |service: &Service| {
        state.apply(Change::Service(other.clone()));
        state.apply(Change::Service(service.clone()));
        owners(&state, &frontend(Some(address)))
    };
    assert_eq!(owner_with(&external), ["other"]);
    assert_eq!(owner_with(&balancer), ["own"]);
    assert_eq!(owner_with(&external), ["other"]);
    assert_eq!(owner_with(&both), ["own"], "the better of the two counts");
}

/// What one event says.
fn said(applied: Applied) -> (String, String) {
    let [problem] = &applied.problems[..] else {
        panic!("one problem is wanted: {:?}", applied.problems);
    };
    (problem.text.clone(), problem.note.clone())
}

#[test]
fn the_loser_learns_nothing_about_the_owner() {
    let address = ip("10.96.0.50");
    let mut owner = at("vault", 1, 9, Kind::ClusterIp, address);
    owner.origin = Some("vault.yaml".into());
    let loser = at("evil", 2, 1, Kind::ExternalIp, address);
    let mut state = State::new();
    state.apply(Change::Service(owner));
    let (text, note) = said(state.apply(Change::Service(loser)));
    assert_eq!(
        text,
        "Service tenant-evil/evil: not served: external IP 10.96.0.50 tcp port 443, which is the \
         cluster IP of Service tenant-vault/vault (vault.yaml)"
    );
    assert_eq!(
        note,
        "not served: external IP 10.96.0.50 tcp port 443, which is the cluster IP of another \
         Service"
    );
    let elder = at("elder", 3, 1, Kind::ExternalIp, ip("198.51.100.1"));
    let younger = at("younger", 4, 2, Kind::ExternalIp, ip("198.51.100.1"));
    state.apply(Change::Service(elder));
    let (text, note) = said(state.apply(Change::Service(younger)));
    assert!(
        text.ends_with("which Service tenant-elder/elder has: it is older or comes first by name"),
        "{text}"
    );
    assert!(!note.contains("elder"), "{note}");
}

#[test]
fn many_contests_are_one_message() {
    let addresses: Vec<IpAddr> = (1..=200).map(|n| [198, 51, 100, n].into()).collect();
    let mut elder = at("elder", 1, 1, Kind::ExternalIp, addresses[0]);
    elder.external_ips.clone_from(&addresses);
    let mut younger = at("younger", 2, 2, Kind::ExternalIp, addresses[0]);
    younger.external_ips = addresses;
    let mut state = State::new();
    state.apply(Change::Service(elder));
    let (text, note) = said(state.apply(Change::Service(younger)));
    assert!(text.ends_with("and 197 more"), "{text}");
    assert!(text.len() < 600 && note.len() < 600, "{text} {note}");
}

fn range(name: &str, cidr: &str) -> Change {
    Change::ServiceCidr(ServiceCidr {
        name: name.into(),
        cidrs: vec![cidr.parse().expect("a range")],
    })
}

#[test]
fn an_external_ip_that_is_not_its_owners_to_give_is_told_once() {
    let own = at("evil", 1, 1, Kind::ExternalIp, ip("10.96.0.50"));
    let conflict = |applied: &Applied| {
        let found = applied.problems.iter();
        let mut found = found.filter(|own| own.kind == ProblemKind::ExternalIpConflict);
        found.next().map(|own| own.note.clone())
    };
    let mut state = State::new();
    assert_eq!(
        conflict(&state.apply(Change::Service(own.clone()))),
        None,
        "no range is known"
    );
    let note = conflict(&state.apply(range("a", "10.96.0.0/16"))).expect("a warning");
    assert!(
        note.starts_with("external IP 10.96.0.50 is in the ServiceCIDR 10.96.0.0/16;"),
        "{note}"
    );
    assert_eq!(
        conflict(&state.apply(range("b", "fd00::/108"))),
        None,
        "said already"
    );
    let mut again = own.clone();
    again.session_affinity = Some(60);
    assert_eq!(
        conflict(&state.apply(Change::Service(again))),
        None,
        "said already"
    );
    assert_eq!(
        owners(&state, &frontend(Some(ip("10.96.0.50")))),
        ["evil"],
        "served all the same"
    );
    state.apply(Change::ServiceGone(own.name.clone()));
    assert!(
        conflict(&state.apply(Change::Service(own))).is_some(),
        "another Service of the name"
    );

    let balancer = at("lb", 2, 1, Kind::LoadBalancerIp, ip("10.96.0.51"));
    let note = conflict(&state.apply(Change::Service(balancer))).expect("a warning");
    assert!(
        note.starts_with("load-balancer IP 10.96.0.51 is in"),
        "{note}"
    );

    let node = |address: &str| {
        Change::Node(crate::model::Node {
            addresses: vec![ip(address)],
            ..Default::default()
        })
    };
    let here = at("here", 3, 1, Kind::ExternalIp, ip("192.0.2.1"));
    assert_eq!(conflict(&state.apply(Change::Service(here))), None);
    let note = conflict(&state.apply(node("192.0.2.1"))).expect("a warning");
    assert!(
        note.starts_with("external IP 192.0.2.1 is an address of this node;"),
        "{note}"
    );
    let announced = at("announced", 4, 1, Kind::LoadBalancerIp, ip("192.0.2.1"));
    let applied = state.apply(Change::Service(announced));
    assert_eq!(
        conflict(&applied),
        None,
        "a load balancer may announce the node"
    );
    let harmless = at("harmless", 5, 1, Kind::ExternalIp, ip("198.51.100.9"));
    assert_eq!(conflict(&state.apply(Change::Service(harmless))), None);
}

#[test]
fn without_external_ips_there_is_nothing_to_claim() {
    let address = ip("198.51.100.1");
    let mut state = State::without_external_ips();
    state.apply(range("a", "198.51.100.0/24"));
    let applied = state.apply(Change::Service(at("a", 1, 1, Kind::ExternalIp, address)));
    assert_eq!(applied.problems, []);
    assert!(!state.claims().is_claimed(&frontend(Some(address))));
}

#[derive(Clone, Debug)]
enum Step {
    Put {
        n: u8,
        created: i64,
        kind: Kind,
        address: u8,
    },
    Take(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop::sample::select(vec![
        Kind::ClusterIp,
        Kind::NodePort,
        Kind::LoadBalancerIp,
        Kind::ExternalIp,
    ]);
    let put = (0u8..5, 0i64..3, kind, 0u8..2);
    prop_oneof![
        4 => put.prop_map(|(n, created, kind, address)| Step::Put { n, created, kind, address }),
        1 => (0u8..5).prop_map(Step::Take),
    ]
}

proptest! {
    /// The owner is the least by kind, age and name of those that are there, and
    /// whoever gains or loses is dirty.
    #[test]
    fn the_owner_depends_on_nothing_but_who_is_there(steps in prop::collection::vec(step(), 1..25)) {
        let mut state = State::new();
        let mut there: BTreeMap<u8, (Kind, i64, u8)> = BTreeMap::new();
        let frontends = [
            frontend(Some(ip("10.96.0.0"))),
            frontend(Some(ip("10.96.0.1"))),
            frontend(None),
        ];
        for step in steps {
            let before = frontends.map(|own| owners(&state, &own));
            state.take_dirty();
            match step {
                Step::Put { n, created, kind, address } => {
                    let service = at(&format!("s{n}"), n, created, kind, [10, 96, 0, address].into());
                    there.insert(n, (kind, created, address));
                    state.apply(Change::Service(service));
                }
                Step::Take(n) => {
                    there.remove(&n);
                    let name = format!("s{n}");
                    state.apply(Change::ServiceGone(ObjectName::new(format!("tenant-{name}"), name)));
                }
            }
            prop_assert!(state.claims().counts_are_right());
            let dirty = state.take_dirty();
            for (at, own) in frontends.iter().enumerate() {
                let asks = |(_, (kind, _, address)): &(&u8, &(Kind, i64, u8))| {
                    if *kind == Kind::NodePort { at == 2 } else { usize::from(*address) == at }
                };
                let best = there.iter().filter(asks).min_by_key(|(n, (kind, created, _))| {
                    (*kind, *created, **n)
                });
                let wanted: Vec<String> = best.map(|(n, _)| format!("s{n}")).into_iter().collect();
                let now = owners(&state, own);
                prop_assert_eq!(&now, &wanted);
                if now != before[at] {
                    for name in now.iter().chain(&before[at]) {
                        let name = ObjectName::new(format!("tenant-{name}"), name.as_str());
                        prop_assert!(dirty.contains(&name), "{} is not dirty", name);
                    }
                }
            }
        }
    }
}
