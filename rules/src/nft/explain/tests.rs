use super::*;
use crate::explain::{Answer, ClientAddress, State as Outcome, wanted};
use crate::explain::{Clients, Standpoint};
use crate::model::{
    Endpoint, EndpointAddr, EndpointPort, EndpointSlice, Family, Frontend, Hints, Node, ObjectName,
    Protocol, Service, ServicePort, ServiceType, TrafficPolicy,
};
use crate::nft::ruleset::{Key, SetId, Value};
use crate::nft::table::Parts;
use crate::nft::{Kernel as _, Planner, Table};
use crate::{Change, Config, LocalDetector, State, plan};
use std::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A Service with every kind of frontend, three endpoints, one of them on this node.
fn service() -> Service {
    Service {
        name: ObjectName::new("shop", "web"),
        cluster_ips: vec![ip("10.96.0.10")],
        external_ips: vec![ip("198.51.100.1")],
        load_balancer_ips: vec![ip("198.51.100.7")],
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: Some(30080),
        }],
        external_policy: TrafficPolicy::Local,
        source_ranges: Box::new(["203.0.113.0/24".parse().expect("a range")]),
        kind: ServiceType::LoadBalancer,
        ..Service::default()
    }
}

fn slice(endpoints: usize) -> EndpointSlice {
    let endpoint = |n: usize| Endpoint {
        address: ip(&format!("10.244.{n}.5")),
        node: Some(format!("n{n}").into()),
        ready: true,
        serving: true,
        terminating: false,
        hints: Hints::default(),
    };
    EndpointSlice {
        name: ObjectName::new("shop", "web-1"),
        service: ObjectName::new("shop", "web"),
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

struct Case {
    config: Config,
    addresses: Vec<IpAddr>,
    table: Table,
    asked: Asked,
    clients: Clients,
}

fn case(service: Service, endpoints: usize) -> Case {
    let config = Config {
        local_detector: LocalDetector::Source("10.244.1.0/24".parse().expect("a range")),
        ..Config::new(Family::V4, "n1")
    };
    let mut state = State::new();
    state.apply(Change::Node(Node {
        name: "n1".into(),
        ..Node::default()
    }));
    state.apply(Change::Service(service.clone()));
    state.apply(Change::Slice(slice(endpoints)));
    let addresses = vec![ip("192.0.2.1")];
    let mut planner = Planner::new(config.clone());
    let pending = planner.prepare(&state, &addresses, Default::default);
    let mut table = Table::new();
    let transaction = pending.expect("a first sync").transaction;
    table.apply(&transaction).expect("a table");
    let plan = plan::plan(&config, state.view(), &service.name).expect("a plan");
    let frontends = wanted(&service, Family::V4);
    let frontends = frontends.iter().map(|own| own.frontend).collect();
    Case {
        asked: Asked::of(&config, &plan, frontends),
        clients: Clients::new(&config, &addresses, &service.source_ranges),
        config,
        addresses,
        table,
    }
}

impl Case {
    fn excerpt(&self, mut table: &Table) -> Excerpt {
        match excerpt(&mut table, &self.asked) {
            Ok(excerpt) => excerpt,
            Err(never) => match never {},
        }
    }

    /// What is different after an edit.
    fn after(&self, edit: impl FnOnce(&mut Parts)) -> Vec<String> {
        let mut edited = self.table.clone();
        edited.edit(edit);
        differences(
            &self.excerpt(&self.table),
            &self.excerpt(&edited),
            &self.asked,
            self.config.family,
            &self.addresses,
            &self.clients,
        )
    }
}

/// Services that are told apart by the objects that they have in the table.
fn services() -> Vec<(&'static str, Service, usize)> {
    let cluster = Service {
        external_policy: TrafficPolicy::Cluster,
        ..service()
    };
    let affinity = Service {
        session_affinity: Some(60),
        ..service()
    };
    let listed = Service {
        external_ips: (1..9).map(|n| ip(&format!("198.51.100.{n}"))).collect(),
        ..service()
    };
    vec![
        ("Local", service(), 3),
        ("Cluster", cluster, 3),
        ("affinity", affinity, 3),
        ("a list", listed, 3),
        ("nobody", service(), 0),
    ]
}

#[test]
fn the_same_table_has_no_differences_and_one_that_lacks_anything_has_some() {
    for (name, service, endpoints) in services() {
        let case = case(service, endpoints);
        assert_eq!(case.after(|_| {}), Vec::<String>::new(), "{name}");
        let own = case.excerpt(&case.table).parts;
        let mut edits = 0;
        for (set, elements) in &own.sets {
            for key in elements.elements.keys() {
                let found = case.after(|parts| {
                    let set = parts.sets.get_mut(set).expect("a set");
                    set.elements.remove(key).expect("an element");
                });
                assert!(!found.is_empty(), "{name}: without {key:?} of {set}");
                edits += 1;
            }
        }
        for (id, chain) in &own.chains {
            for position in 0..chain.rules.len() {
                let found = case.after(|parts| {
                    let chain = parts.chains.get_mut(id).expect("a chain");
                    chain.rules.remove(position);
                });
                // A rule that only remembers clients changes nothing for the first connection.
                let remembers = name == "affinity" && found.is_empty();
                assert!(
                    !found.is_empty() || remembers,
                    "{name}: {id} without a rule"
                );
                edits += 1;
            }
        }
        assert!(edits > 20, "{name}: {edits}");
    }
}

#[test]
fn the_order_of_endpoints_is_the_planners_own_matter() {
    let case = case(service(), 3);
    let found = case.after(|parts| {
        let elements = &mut parts
            .sets
            .get_mut(&SetId::Endpoints)
            .expect("a map")
            .elements;
        let mut values: Vec<Option<Value>> =
            elements.values().map(|own| own.value.clone()).collect();
        // Three of each frontend: within each they go round.
        for three in values.chunks_mut(3) {
            three.rotate_left(1);
        }
        for (element, value) in elements.values_mut().zip(values) {
            element.value = value;
        }
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn differences_are_told_in_words() {
    let case = case(service(), 3);
    let frontend = Frontend {
        address: Some(ip("10.96.0.10")),
        protocol: Protocol::Tcp,
        port: 80,
    };
    let mut told = Vec::new();
    told.push(case.after(|parts| {
        let set = parts.sets.get_mut(&SetId::Services).expect("a map");
        set.elements.remove(&Key::Frontend(frontend));
    }));
    told.push(case.after(|parts| {
        let set = parts.sets.get_mut(&SetId::Endpoints).expect("a map");
        let element = set.elements.get_mut(&Key::Indexed(frontend, 0));
        element.expect("an endpoint").value = Some(Value::Endpoint(EndpointAddr {
            address: ip("10.244.9.9"),
            port: 1,
        }));
    }));
    told.push(case.after(|parts| {
        let set = parts.sets.get_mut(&SetId::Endpoints).expect("a map");
        set.elements.remove(&Key::Indexed(frontend, 2));
    }));
    told.push(case.after(|parts| {
        let is_masquerading = |id: &&crate::nft::ruleset::ChainId| id.to_string() == "masquerading";
        let id = parts.chains.keys().find(is_masquerading).cloned();
        let chain = id.and_then(|id| parts.chains.get_mut(&id));
        chain.expect("a chain").rules.clear();
    }));
    told.push(case.after(|parts| parts.chains.clear()));
    let told: Vec<String> = told.iter().map(|lines| lines.join("\n")).collect();
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn who_answers_and_whose_address_is_seen() {
    let case = case(service(), 3);
    let table = case.excerpt(&case.table).into_table();
    let tracer = crate::nft::trace::Tracer::new(&table, case.addresses.iter().copied());
    let answers = crate::explain::Answers::new(&tracer, &case.clients);
    let served = |endpoints, client_address| Answer {
        outcome: Outcome::Served,
        endpoints,
        client_address: Some(client_address),
    };
    use ClientAddress::{Kept, Replaced};
    for (address, outside, pods, node) in [
        (
            Some("10.96.0.10"),
            served(3, Replaced),
            served(3, Kept),
            served(3, Replaced),
        ),
        (
            Some("198.51.100.1"),
            served(1, Kept),
            served(3, Kept),
            served(3, Replaced),
        ),
        (None, served(1, Kept), served(3, Kept), served(3, Replaced)),
    ] {
        let frontend = Frontend {
            address: address.map(ip),
            protocol: Protocol::Tcp,
            port: if address.is_some() { 80 } else { 30080 },
        };
        for (from, expected) in [
            (Standpoint::Outside, outside),
            (Standpoint::Pod, pods),
            (Standpoint::Node, node),
        ] {
            let answer = answers.answer(from, &frontend);
            assert_eq!(answer, expected, "{frontend:?} from {from:?}");
        }
    }
}

#[test]
fn chains_in_words() {
    let mut told = Vec::new();
    for (name, service, endpoints) in services() {
        let case = case(service, endpoints);
        let excerpt = case.excerpt(&case.table);
        for frontend in case.asked.frontends.iter().take(4) {
            let (chain, words) = serving(&excerpt, frontend);
            let chain = chain.unwrap_or_else(|| "-".to_owned());
            let address = frontend
                .address
                .map_or_else(|| "*".to_owned(), |ip| ip.to_string());
            told.push(format!("{name}: {address}: {chain}: {words}"));
        }
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn an_element_tells_whose_it_is() {
    let case = case(service(), 3);
    let excerpt = case.excerpt(&case.table);
    let set = excerpt.parts.sets.get(&SetId::Services).expect("a map");
    for element in set.elements.values() {
        let owner = owner(element).expect("a comment");
        assert_eq!(owner, (ObjectName::new("shop", "web"), "http".to_owned()));
    }
}
