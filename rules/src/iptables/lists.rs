//! The endpoints of a port: who is chosen, and what becomes of the connection.

use super::content::Content;
use super::names::{self, ChainName};
use super::port::Port;
use super::rule::{Address, Is, Match, Target, comment, jump, rule};
use super::top::MARK_MASQ;
use crate::model::EndpointAddr;

/// An endpoint with its names.
struct Endpoint {
    own: EndpointAddr,
    /// `address:port`.
    name: String,
    chain: ChainName,
}

/// Adds the chains of both policies' endpoints, as far as they are needed, and of each endpoint.
pub(super) fn add(port: &Port<'_>, nat: &mut Content) {
    let cluster = endpoints(port, &port.plan.cluster);
    let local = endpoints(port, &port.plan.local);
    for (chain, list) in [(port.chains.cluster, &cluster), (port.chains.local, &local)] {
        if !list.is_empty() {
            nat.chains.push(chain);
            choose(port, chain, list, nat);
        }
    }
    let mut all: Vec<_> = cluster.into_iter().chain(local).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.dedup_by(|a, b| a.name == b.name);
    for endpoint in &all {
        translate(port, endpoint, nat);
    }
}

/// In upstream's order: by name, as text.
fn endpoints(port: &Port<'_>, list: &[EndpointAddr]) -> Vec<Endpoint> {
    let named = list.iter().map(|own| {
        let name = names::endpoint_name(own);
        Endpoint {
            own: *own,
            chain: names::endpoint_chain(&port.name, port.plan.protocol, &name),
            name,
        }
    });
    let mut all: Vec<_> = named.collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The endpoint that a client had, or else one at random.
fn choose(port: &Port<'_>, chain: ChainName, list: &[Endpoint], nat: &mut Content) {
    let words = |endpoint: &Endpoint| {
        let text = || comment(format!("{} -> {}", port.name, endpoint.name));
        (!port.build.large).then(text)
    };
    if let Some(seconds) = port.plan.affinity {
        for endpoint in list {
            let seen = Match::SeenAt(endpoint.chain, seconds);
            let matches = words(endpoint).into_iter().chain([seen]);
            nat.add(chain, jump(endpoint.chain, matches));
        }
    }
    for (at, endpoint) in list.iter().enumerate() {
        let left = list.len() - at;
        let chance = (left > 1).then_some(Match::OneOf(left));
        let matches = words(endpoint).into_iter().chain(chance);
        nat.add(chain, jump(endpoint.chain, matches));
    }
}

fn translate(port: &Port<'_>, endpoint: &Endpoint, nat: &mut Content) {
    let chain = endpoint.chain;
    let words = || (!port.build.large).then(|| comment(&*port.name));
    nat.chains.push(chain);
    // It would answer itself past the node.
    let from_itself = Match::Source(Is::So, Address::One(endpoint.own.address));
    let matches = words().into_iter().chain([from_itself]);
    nat.add(chain, jump(MARK_MASQ, matches));
    let remember = port.plan.affinity.map(|_| Match::Remember(chain));
    let matches = words()
        .into_iter()
        .chain(remember)
        .chain([Match::Protocol(port.plan.protocol)]);
    nat.add(chain, rule(matches, Target::Dnat(endpoint.own)));
}
