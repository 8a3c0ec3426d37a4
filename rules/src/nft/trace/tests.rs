//! The kernel's semantics, on tables made by hand.

use super::*;
use crate::model::{Frontend, Protocol};
use crate::nft::ruleset::{
    Element, Header, Hook, HookKind, Key, Rule, SetId, Side, SourceSet, Statement, Value, Verdict,
};
use crate::trace::Origin;

const FRONTEND: &[Header] = &[
    Header::Address(Side::Destination),
    Header::Protocol,
    Header::Port,
];
const DROP: Statement = Statement::Verdict(Verdict::Drop);
const REJECT: Statement = Statement::Reject;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn backend(text: &str) -> EndpointAddr {
    let address = ip(text);
    EndpointAddr {
        address,
        port: 8080,
    }
}

fn frontend() -> Frontend {
    Frontend {
        address: Some(ip("10.96.0.1")),
        protocol: Protocol::Tcp,
        port: 80,
    }
}

fn goto(chain: &'static str) -> Statement {
    Statement::Verdict(Verdict::Goto(ChainId::Fixed(chain)))
}

fn jump(chain: &'static str) -> Statement {
    Statement::Verdict(Verdict::Jump(ChainId::Fixed(chain)))
}

fn to(address: &str) -> Statement {
    let (protocol, backend) = (Protocol::Tcp, backend(address));
    Statement::DnatTo { protocol, backend }
}

/// A table of one's own making, on a node with 192.0.2.1.
#[derive(Default)]
struct HandMade(Table);

impl HandMade {
    fn chain(mut self, name: &'static str, hook: Option<Hook>, rules: &[&[Statement]]) -> Self {
        let rules = rules.iter().map(|statements| Rule {
            statements: statements.to_vec(),
        });
        let id = ChainId::Fixed(name);
        let chain = Chain {
            id: id.clone(),
            hook,
            comment: "",
            rules: rules.collect(),
        };
        self.0.edit(|parts| drop(parts.chains.insert(id, chain)));
        self
    }

    fn plain(self, name: &'static str, rules: &[&[Statement]]) -> Self {
        self.chain(name, None, rules)
    }

    fn nat(self, name: &'static str, point: HookPoint, rules: &[&[Statement]]) -> Self {
        let (kind, priority) = (HookKind::Nat, -100);
        let hook = Hook {
            kind,
            point,
            priority,
        };
        self.chain(name, Some(hook), rules)
    }

    fn filter(
        self,
        name: &'static str,
        point: HookPoint,
        priority: i32,
        rules: &[&[Statement]],
    ) -> Self {
        let kind = HookKind::Filter;
        let hook = Hook {
            kind,
            point,
            priority,
        };
        self.chain(name, Some(hook), rules)
    }

    fn element(mut self, set: SetId, key: Key, value: Option<Value>) -> Self {
        let element = Element {
            key,
            value,
            comment: None,
        };
        self.0.edit(|parts| {
            let set = parts.sets.entry(set).or_default();
            set.elements.insert(key, element);
        });
        self
    }

    fn ends(&self, origin: Origin, source: &str, destination: &str) -> Vec<End> {
        let packet = Packet {
            origin,
            protocol: Protocol::Tcp,
            source: ip(source),
            destination: ip(destination),
            port: 80,
        };
        let trace = Tracer::new(&self.0, [ip("192.0.2.1")]).trace(&packet);
        trace.ends().into_iter().collect()
    }

    fn ends_outside(&self) -> Vec<End> {
        let eth0 = Origin::Interface("eth0".into());
        self.ends(eth0, "203.0.113.9", "10.96.0.1")
    }
}

fn through(address: &str, masquerade: bool) -> End {
    End::Endpoint {
        backend: backend(address),
        masquerade,
    }
}

#[test]
fn goto_does_not_come_back_and_jump_does() {
    use HookPoint::Prerouting;
    let chains = |first: Statement| {
        HandMade::default()
            .nat("base", Prerouting, &[&[first], &[to("10.244.0.1")]])
            .plain("middle", &[&[goto("last")], &[to("10.244.0.2")]])
            .plain("last", &[&[Statement::CtStatusDnat, REJECT]])
    };
    let after_jump = chains(jump("middle")).ends_outside();
    assert_eq!(after_jump, [through("10.244.0.1", false)]);
    let after_goto = chains(goto("middle")).ends_outside();
    assert_eq!(after_goto, [End::Untranslated { masquerade: false }]);
}

#[test]
fn a_miss_in_a_map_goes_on_to_the_next_rule() {
    let (key, map) = (FRONTEND, SetId::Services);
    let lookup = Statement::VerdictMap { key, map };
    let dnat = Statement::Dnat {
        key,
        modulus: 2,
        map: SetId::Endpoints,
    };
    let table = HandMade::default()
        .nat(
            "base",
            HookPoint::Prerouting,
            &[&[lookup], &[to("10.244.0.9")]],
        )
        .plain("pick", &[&[dnat], &[to("10.244.0.8")]]);
    assert_eq!(table.ends_outside(), [through("10.244.0.9", false)]);

    let pick = Value::Verdict(Verdict::Goto(ChainId::Fixed("pick")));
    let key = Key::Frontend(frontend());
    let table = table.element(SetId::Services, key, Some(pick));
    // A list with a hole: its second endpoint is not there.
    let key = Key::Indexed(frontend(), 0);
    let value = Value::Endpoint(backend("10.244.0.1"));
    let table = table.element(SetId::Endpoints, key, Some(value));
    let both = [through("10.244.0.1", false), through("10.244.0.8", false)];
    assert_eq!(table.ends_outside(), both);
}

#[test]
fn base_chains_run_by_hook_and_priority_and_filters_see_the_translation() {
    use HookPoint::{Forward, Prerouting};
    let is_frontend = Statement::InSet {
        key: FRONTEND,
        set: SetId::NoEndpoints,
        negated: false,
    };
    let known = |table: HandMade| {
        let drop = Some(Value::Verdict(Verdict::Drop));
        table.element(SetId::NoEndpoints, Key::Frontend(frontend()), drop)
    };
    let nat = || HandMade::default().nat("nat", Prerouting, &[&[to("10.244.0.1")]]);
    for (priority, point, end) in [
        (-110, Prerouting, End::Rejected),
        (0, Prerouting, through("10.244.0.1", false)),
        (-110, Forward, through("10.244.0.1", false)),
    ] {
        let rules: &[&[Statement]] = &[&[is_frontend.clone(), REJECT]];
        let table = known(nat().filter("a-filter", point, priority, rules));
        assert_eq!(table.ends_outside(), [end], "{point:?} {priority}");
    }
}

#[test]
fn the_destination_is_routed_after_its_translation() {
    use HookPoint::{Forward, Input, Postrouting, Prerouting};
    let table = |endpoint| {
        HandMade::default()
            .nat("nat", Prerouting, &[&[to(endpoint)]])
            .nat("snat", Postrouting, &[&[Statement::Masquerade]])
            .filter(
                "in",
                Input,
                0,
                &[&[Statement::FibLocal(Side::Source), DROP]],
            )
            .filter(
                "on",
                Forward,
                0,
                &[&[Statement::FibLocal(Side::Destination), DROP]],
            )
    };
    // What stays on the node does not pass postrouting.
    let here = table("192.0.2.1").ends_outside();
    assert_eq!(here, [through("192.0.2.1", false)]);
    let away = table("10.244.0.1").ends_outside();
    assert_eq!(away, [through("10.244.0.1", true)]);
}

#[test]
fn what_a_node_sends_to_itself_comes_in_again_and_is_translated_once() {
    use HookPoint::{Input, Output, Prerouting};
    let lo = Statement::InputInterface {
        name: "lo".into(),
        wildcard: false,
        negated: false,
    };
    let table = HandMade::default()
        .nat("out", Output, &[&[lo.clone(), DROP], &[to("192.0.2.1")]])
        .nat("in", Prerouting, &[&[to("10.244.0.1")]]);
    let ends = |table: &HandMade| table.ends(Origin::Node, "192.0.2.1", "10.96.0.1");
    assert_eq!(ends(&table), [through("192.0.2.1", false)]);
    let table = table.filter("filter-in", Input, 0, &[&[lo, REJECT]]);
    assert_eq!(ends(&table), [End::Rejected]);
}

#[test]
fn translation_to_the_same_place_is_none() {
    let to_itself = Statement::DnatTo {
        protocol: Protocol::Tcp,
        backend: EndpointAddr {
            address: ip("10.96.0.1"),
            port: 80,
        },
    };
    let table = HandMade::default()
        .nat("nat", HookPoint::Prerouting, &[&[to_itself]])
        .filter(
            "on",
            HookPoint::Forward,
            0,
            &[&[Statement::CtStatusDnat, DROP]],
        );
    let ends = table.ends_outside();
    assert_eq!(ends, [End::Untranslated { masquerade: false }]);
}

#[test]
fn sources_pass_that_are_in_a_set() {
    let set = ["10.0.0.0/8", "203.0.113.128/25"].map(|range| range.parse().expect("a range"));
    let set = SourceSet::new(&set);
    let table = HandMade::default().filter(
        "check",
        HookPoint::Prerouting,
        -110,
        &[&[Statement::NotFrom(set), DROP]],
    );
    for (source, allowed) in [
        ("9.255.255.255", false),
        ("10.255.255.255", true),
        ("203.0.113.127", false),
        ("203.0.113.255", true),
    ] {
        let eth0 = Origin::Interface("eth0".into());
        let ends = table.ends(eth0, source, "10.96.0.1");
        assert_eq!(ends != [End::Dropped], allowed, "{source}");
    }
}
