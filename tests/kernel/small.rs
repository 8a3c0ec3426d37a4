//! A small table and what it is made of.

use super::table::chain;
use rules::model::{EndpointAddr, Family, Frontend, Protocol};
use rules::nft::ruleset::{
    Chain, ChainId, Element, Header, Key, Op, Rule, SetId, Side, Statement, Value, Verdict,
};
use std::net::IpAddr;

pub const REJECT: ChainId = ChainId::Fixed("reject-no-endpoints");
pub const KEY: &[Header] = &[
    Header::Address(Side::Destination),
    Header::Protocol,
    Header::Port,
];

pub fn pick(endpoints: u32) -> ChainId {
    ChainId::Cluster {
        endpoints,
        masquerade: false,
        nodeport: false,
    }
}

pub fn with_rule(id: ChainId, statement: Statement) -> Chain {
    let rules = vec![Rule {
        statements: vec![statement],
    }];
    Chain { rules, ..chain(id) }
}

pub fn goto(id: ChainId) -> Statement {
    Statement::Verdict(Verdict::Goto(id))
}

/// One of 2^20 addresses.
pub fn address(family: Family, number: u32) -> IpAddr {
    let [_, upper, high, low] = number.to_be_bytes();
    match family {
        Family::V4 => [10, 96 + upper, high, low].into(),
        Family::V6 => {
            let last = u16::from_be_bytes([high, low]);
            [0xfd00, 0x10, 0x96, 0, 0, 0, u16::from(upper), last].into()
        }
    }
}

/// A frontend that goes to a chain.
pub fn service(family: Family, number: u32, value: Verdict) -> Element {
    let frontend = Frontend {
        address: Some(address(family, number)),
        protocol: Protocol::Tcp,
        port: 80,
    };
    Element {
        key: Key::Frontend(frontend),
        value: Some(Value::Verdict(value)),
        comment: Some("shop/web:http".into()),
    }
}

pub fn endpoint(family: Family, number: u32, backend: u32) -> Element {
    let Key::Frontend(frontend) = service(family, number, Verdict::Drop).key else {
        unreachable!("a frontend")
    };
    let backend = EndpointAddr {
        address: address(family, backend),
        port: 8080,
    };
    Element {
        key: Key::Indexed(frontend, 0),
        value: Some(Value::Endpoint(backend)),
        comment: None,
    }
}

pub fn cluster_ip(family: Family, number: u32) -> Element {
    Element {
        key: Key::Address(address(family, number)),
        value: None,
        comment: None,
    }
}

pub fn set(set: SetId, size: Option<u32>) -> Op {
    Op::AddSet { set, size }
}

/// A small table: one frontend, its endpoint, and the chains on the way.
pub fn base(family: Family) -> Vec<Op> {
    vec![
        Op::ReplaceTable,
        set(SetId::Services, None),
        set(SetId::Endpoints, None),
        set(SetId::ClusterIps, None),
        Op::AddChain(with_rule(REJECT, Statement::Reject)),
        Op::AddChain(chain(pick(1))),
        Op::AddChain(chain(pick(2))),
        Op::AddChain(with_rule(ChainId::Fixed("services"), goto(pick(2)))),
        Op::AddElements(
            SetId::Services,
            vec![service(family, 1, Verdict::Goto(pick(1)))],
        ),
        Op::AddElements(SetId::Endpoints, vec![endpoint(family, 1, 1)]),
        Op::AddElements(SetId::ClusterIps, vec![cluster_ip(family, 1)]),
    ]
}
