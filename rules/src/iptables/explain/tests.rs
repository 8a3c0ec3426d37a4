//! One Service among others, and chains that were changed by hand.

use super::*;
use crate::iptables::ruleset;
use crate::iptables::trace::Line;
use crate::model::{
    Endpoint, EndpointPort, EndpointSlice, Frontend, Hints, Protocol, Service, ServicePort,
    TrafficPolicy,
};
use crate::{Change, Config, Counters, LocalDetector, State, plan};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn service(name: &str, number: u8) -> Service {
    Service {
        name: ObjectName::new("shop", name),
        cluster_ips: vec![[10, 96, 0, number].into()],
        external_ips: vec![[198, 51, 100, number].into()],
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: Some(30000 + u16::from(number)),
        }],
        ..Service::default()
    }
}

fn slice(name: &str, number: u8, endpoints: u8) -> EndpointSlice {
    let endpoint = |at: u8| Endpoint {
        address: [10, 244, number, at].into(),
        node: Some("n1".into()),
        ready: true,
        serving: true,
        terminating: false,
        hints: Hints::default(),
    };
    EndpointSlice {
        name: ObjectName::new("shop", format!("{name}-1")),
        service: ObjectName::new("shop", name),
        family: Family::V4,
        ports: vec![EndpointPort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 8080,
        }],
        endpoints: (1..=endpoints).map(endpoint).collect(),
        last_change_trigger: None,
    }
}

fn config() -> Config {
    Config {
        local_detector: LocalDetector::Source("10.244.0.0/16".parse().expect("a range")),
        drop_invalid: true,
        localhost_nodeports: true,
        ..Config::new(Family::V4, "n1")
    }
}

/// The Service `shop/web` with so many endpoints, and another one.
fn state(change: impl Fn(&mut Service), endpoints: u8) -> State {
    let mut state = State::new();
    let mut web = service("web", 1);
    change(&mut web);
    state.apply(Change::Service(web));
    state.apply(Change::Slice(slice("web", 1, endpoints)));
    state.apply(Change::Service(service("other", 2)));
    state.apply(Change::Slice(slice("other", 2, 1)));
    state
}

fn chains(state: &State, config: &Config) -> Chains {
    Chains::planned(&ruleset(config, state.view(), &[ip("192.0.2.1")]))
}

fn ports(state: &State) -> Ports {
    let name = ObjectName::new("shop", "web");
    let plan = plan::plan(&config(), state.view(), &name).expect("a plan");
    Ports::of(&name, &plan)
}

fn plain(_: &mut Service) {}

fn local(service: &mut Service) {
    service.external_policy = TrafficPolicy::Local;
}

fn place(table: Table, chain: &str) -> Place {
    (table, ChainName::read(chain).expect("a name"))
}

/// What is told of chains that somebody changed.
fn told(change: impl Fn(&mut Chains)) -> Vec<String> {
    let state = state(plain, 3);
    let wanted = chains(&state, &config());
    let mut held = wanted.clone();
    change(&mut held);
    differences(&wanted, &held, &ports(&state), Family::V4)
}

/// Changes what stands in a chain.
fn edit(chains: &mut Chains, place: Place, edit: impl Fn(&mut Vec<Line>)) {
    let mut lines = chains.get(&place).expect("a chain").to_vec();
    edit(&mut lines);
    chains.insert(place, lines);
}

fn own(chains: &Chains, prefix: &str) -> Place {
    let own = chains_of(chains, &ports(&state(plain, 3)));
    let found = own
        .into_iter()
        .find(|(_, chain)| chain.as_str().starts_with(prefix));
    found.expect("a chain")
}

#[test]
fn chains_that_are_as_they_should_be_are_silent() {
    assert_eq!(told(|_| {}), [""; 0]);
    let state = state(plain, 3);
    let counting = Config {
        counters: Counters {
            invalid_dropped: true,
            localhost_nodeports: true,
        },
        ..config()
    };
    let (wanted, held) = (chains(&state, &counting), chains(&state, &config()));
    let found = differences(&wanted, &held, &ports(&state), Family::V4);
    assert_eq!(found, [""; 0], "counters are no difference");
    let liberal = Config {
        drop_invalid: false,
        ..config()
    };
    let found = differences(
        &wanted,
        &chains(&state, &liberal),
        &ports(&state),
        Family::V4,
    );
    assert_eq!(found, [""; 0], "nor is what a sysctl decides");
    // With more than a thousand endpoints in all, rules of endpoints carry no comments.
    let mut large = self::state(plain, 3);
    for number in 3..9 {
        let name = format!("many-{number}");
        large.apply(Change::Service(service(&name, number)));
        large.apply(Change::Slice(slice(&name, number, 250)));
    }
    let (wanted, held) = (chains(&state, &config()), chains(&large, &config()));
    let found = differences(&wanted, &held, &ports(&state), Family::V4);
    assert_eq!(found, [""; 0], "nor are comments and other Services");
}

#[test]
fn what_somebody_changed_is_told() {
    let mut all = Vec::new();
    let mut add = |what: &str, found: Vec<String>| {
        assert!(!found.is_empty(), "{what}");
        all.push(format!("# {what}"));
        all.extend(found);
    };
    let table = Table::Nat;
    add(
        "a jump is gone",
        told(|held| {
            edit(held, place(table, "PREROUTING"), Vec::clear);
        }),
    );
    add(
        "nothing is masqueraded",
        told(|held| {
            edit(held, place(table, "KUBE-POSTROUTING"), |lines| {
                drop(lines.pop());
            });
        }),
    );
    add(
        "somebody else's rule",
        told(|held| {
            edit(held, place(table, "KUBE-SERVICES"), |lines| {
                lines.insert(0, Line::Other("counter pkts 0 bytes 0".to_owned()));
            });
        }),
    );
    add(
        "an address of the Service is gone",
        told(|held| {
            edit(held, place(table, "KUBE-SERVICES"), |lines| {
                lines.retain(|line| !format!("{line:?}").contains("shop/web:http cluster IP"));
            });
        }),
    );
    add(
        "a node port of it leads elsewhere",
        told(|held| {
            let chain = own(held, "KUBE-SVC-").1;
            edit(held, place(table, "KUBE-NODEPORTS"), move |lines| {
                for line in lines {
                    if let Line::Rule(rule) = line
                        && owner(rule) == Some("shop/web:http")
                    {
                        rule.target = Some(Target::Jump(chain));
                    }
                }
            });
        }),
    );
    add(
        "an endpoint is gone",
        told(|held| {
            let place = own(held, "KUBE-SVC-");
            edit(held, place, |lines| drop(lines.remove(1)));
        }),
    );
    add(
        "endpoints are in another order",
        told(|held| {
            let place = own(held, "KUBE-SEP-");
            edit(held, place, |lines| lines.swap(0, 1));
        }),
    );
    add(
        "a chain is empty",
        told(|held| {
            let place = own(held, "KUBE-EXT-");
            edit(held, place, Vec::clear);
        }),
    );
    add("nobody serves it, says the kernel", {
        let (should, none) = (state(plain, 1), state(plain, 0));
        let (wanted, held) = (chains(&should, &config()), chains(&none, &config()));
        differences(&wanted, &held, &ports(&should), Family::V4)
    });
    let text = all.join("\n");
    insta::assert_snapshot!(text);
}

#[test]
fn a_service_has_lines_of_its_own() {
    let state = state(plain, 2);
    let lines = lines(&chains(&state, &config()), &ports(&state), Family::V4);
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn chains_have_meanings() {
    let frontends: [(&str, Option<IpAddr>, u16); 3] = [
        ("cluster IP", Some(ip("10.96.0.1")), 80),
        ("external IP", Some(ip("198.51.100.1")), 80),
        ("node port", None, 30001),
    ];
    let mut all = String::new();
    let sticky = |service: &mut Service| service.session_affinity = Some(60);
    let none_here = |service: &mut Service| {
        local(service);
        service.internal_policy = TrafficPolicy::Local;
    };
    let ranged = |service: &mut Service| {
        service.load_balancer_ips = std::mem::take(&mut service.external_ips);
        service.source_ranges = ["203.0.113.0/24".parse().expect("a range")].into();
    };
    let elsewhere = Config {
        node_name: "n2".into(),
        ..config()
    };
    type Build<'a> = &'a dyn Fn(&mut Service);
    let cases: [(&str, Build<'_>, u8, &Config); 7] = [
        ("Cluster", &plain, 3, &config()),
        ("one endpoint", &plain, 1, &config()),
        ("Local", &local, 2, &config()),
        ("Local, none here", &none_here, 2, &elsewhere),
        ("affinity", &sticky, 2, &config()),
        ("source ranges", &ranged, 2, &config()),
        ("no endpoint", &plain, 0, &config()),
    ];
    for (what, change, endpoints, config) in cases {
        let chains = chains(&state(change, endpoints), config);
        for (kind, address, port) in frontends {
            let frontend = Frontend {
                address,
                protocol: Protocol::Tcp,
                port,
            };
            let (chain, text) = serving(&chains, &frontend);
            let chain = chain.unwrap_or_else(|| "-".to_owned());
            all += &format!("{what}, {kind}: {chain}: {text}\n");
        }
    }
    let nobody = Frontend {
        address: Some(ip("10.96.0.9")),
        protocol: Protocol::Tcp,
        port: 80,
    };
    let of_nobody = serving(&chains(&state(plain, 1), &config()), &nobody);
    assert_eq!(of_nobody, (None, "nothing: no rule has it".to_owned()));
    insta::assert_snapshot!(all);
}

#[test]
fn rules_tell_whose_an_address_is() {
    let chains = chains(&state(plain, 0), &config());
    let names = |address: &str| -> Vec<String> {
        let owners = owners(&chains, &[ip(address)]).into_iter();
        owners.map(|own| own.to_string()).collect()
    };
    assert_eq!(names("10.96.0.1"), ["shop/web"], "though nobody serves it");
    assert_eq!(names("198.51.100.2"), ["shop/other"]);
    assert_eq!(names("198.51.100.9"), [""; 0]);
}
