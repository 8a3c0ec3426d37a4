//! What the words in the tables stand for.
//!
//! Sources: `pod` (on this node, serves nothing), `node`, `loopback` (the node
//! from its loopback address), `other-node`, `far-pod` (on another node),
//! `outside`, `balancer` (the node from the load-balancer IP), or an endpoint.
//!
//! Destinations: `cluster`, `external`, `balancer` and `nodeport`, also as
//! `cluster:81` with another port and as `nodeport@second`, `@loopback` or
//! `@other-node` at another address; `unallocated` (in the Service range); or
//! an endpoint.
//!
//! Endpoints are written `a@n1`, where n1 is this node, and then how they are
//! (`:unready`, `:leaving`, `:gone`, `:both` for ready and leaving) and for
//! whom (`+z1`, `+n1`). `host` has the node's own address.

use rules::model::{Endpoint, Family, Hints};
use std::net::IpAddr;
use std::sync::Arc;

/// The `n`-th address of a network.
pub fn address(family: Family, network: &str, n: u8) -> IpAddr {
    let (v4, v6) = match network {
        "here" => ("10.244.0.", "fd00:10:244::"),
        "there" => ("10.244.1.", "fd00:10:244:1::"),
        "cluster" => ("10.96.0.", "fd00:10:96::"),
        "external" => ("198.51.100.", "2001:db8:1::"),
        "node" => ("192.0.2.", "2001:db8:2::"),
        _ => ("203.0.113.", "2001:db8:3::"),
    };
    let text = match family {
        Family::V4 => format!("{v4}{n}"),
        Family::V6 => format!("{v6}{n:x}"),
    };
    text.parse().expect("an address")
}

pub fn loopback(family: Family) -> IpAddr {
    let text = match family {
        Family::V4 => "127.0.0.1",
        Family::V6 => "::1",
    };
    text.parse().expect("an address")
}

pub fn address_of(family: Family, endpoint: &str) -> IpAddr {
    match endpoint {
        "host" => address(family, "node", 1),
        letter => {
            let letter = letter.bytes().next().expect("a name");
            assert!(letter.is_ascii_lowercase(), "{endpoint}: no such endpoint");
            address(family, "here", letter)
        }
    }
}

/// Reads an endpoint.
pub fn endpoint(family: Family, text: &'static str) -> (&'static str, Endpoint) {
    let (name, rest) = text.split_once('@').expect("name@node");
    let mut hints = rest.split('+');
    let (node, how) = match hints
        .next()
        .map(|own| own.split_once(':').unwrap_or((own, "")))
    {
        Some(found) => found,
        None => unreachable!("split yields at least one"),
    };
    let (ready, serving, terminating) = match how {
        "" => (true, true, false),
        "unready" => (false, false, false),
        "leaving" => (false, true, true),
        "gone" => (false, false, true),
        "both" => (true, true, true),
        other => panic!("{text}: what is {other}?"),
    };
    let hints: Vec<&str> = hints.collect();
    let hints = |kind| -> Box<[Arc<str>]> {
        let own = hints.iter().filter(|hint| hint.starts_with(kind));
        own.map(|hint| Arc::from(*hint)).collect()
    };
    let endpoint = Endpoint {
        address: address_of(family, name),
        node: Some(node.into()),
        ready,
        serving,
        terminating,
        hints: Hints::new(hints('z'), hints('n')),
    };
    (name, endpoint)
}
