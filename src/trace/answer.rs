//! What `trace` answers.

use super::ending::{ClientAddress, Ending};
use super::live::Followed;
use rules::check::ForeignChain;
use rules::trace::{Decision, Fate, Way};
use schemars::JsonSchema;
use serde::Serialize;
use std::net::IpAddr;

/// A packet's way, and what becomes of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Traced {
    /// The packet that is sent.
    pub packet: Sent,
    /// The Service port that it is for, `namespace/name:port`; `null` if for none.
    pub service: Option<String>,
    /// `kernel`, the rules as the kernel holds them now, or `planned`, as the objects ask for.
    pub rules: Rules,
    /// What becomes of it.
    pub result: Outcome,
    /// The kernel's own answer for where the packet goes then; empty where it was not asked.
    pub routing: Vec<Routing>,
    /// What others have on the hooks that the packet passes, in the order in which it meets them.
    pub others: Vec<ForeignChain>,
    /// What was not known and is taken to be so.
    pub assumptions: Vec<String>,
    /// What real packets did, with `--live`; `null` without.
    pub live: Option<Followed>,
}

/// The first packet of a connection.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Where it comes from.
    pub source: IpAddr,
    /// The source as it was asked for: `outside`, `pod/shop/web-1`, …
    pub source_given: String,
    /// Where it is sent.
    pub destination: IpAddr,
    /// The port that it is sent to.
    pub port: u16,
    /// The destination as it was asked for.
    pub destination_given: String,
    /// The interface that it comes in by; `null` if the node itself sends it, or it is not known.
    pub interface: Option<String>,
    /// The node itself sends it.
    pub from_node: bool,
}

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rules {
    /// As the kernel holds them now.
    Kernel,
    /// As the objects ask for.
    Planned,
}

/// All that may become of a packet.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The likeliest ending.
    pub outcome: Ending,
    /// Whether nothing that could not be followed stands in the way: rules of somebody else in
    /// the table, or a chain of another table that lets nothing through.
    pub certain: bool,
    /// Every endpoint that it may reach; the probabilities of a packet that is delivered in any
    /// case add up to 1.
    pub endpoints: Vec<Target>,
    /// Every way that it may go, the likeliest first; those that differ by the endpoint that is
    /// chosen at random are one.
    pub ways: Vec<OneWay>,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// How likely it is, from 0 to 1.
    pub probability: f64,
    /// Whether it sees the client's own address.
    pub client_address: ClientAddress,
    /// The client's address as the pod sees it; `null` if it is replaced and not known by which
    /// one of the node's.
    pub sees: Option<IpAddr>,
}

/// One way.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OneWay {
    /// How likely it is, from 0 to 1.
    pub probability: f64,
    /// How it ends.
    pub outcome: Ending,
    /// Whether whoever gets the packet sees the client's own address; `null` if nobody gets it.
    pub client_address: Option<ClientAddress>,
    /// Session affinity: `remembered` from an earlier connection, `new` from now on, `null` without.
    pub affinity: Option<Affinity>,
    /// What decided, in order.
    pub steps: Vec<Step>,
}

/// What session affinity had to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Affinity {
    /// The endpoint remembered the client.
    Remembered,
    /// It does from now on.
    New,
}

/// A rule that decided something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The hook.
    pub hook: String,
    /// The base chain by which the packet came; `null` if it is `chain`, or there is none.
    pub base: Option<String>,
    /// The chain; `null` if no rule of the hook decided anything.
    pub chain: Option<String>,
    /// The rule's place in the chain, from 1.
    pub position: Option<usize>,
    /// The rule as nft lists it.
    pub rule: Option<String>,
    /// The set or map in which an element was found.
    pub set: Option<String>,
    /// That element as nft lists it.
    pub element: Option<String>,
    /// What the rule says of the packet and does to it, in words.
    pub words: String,
    /// It ends what nobody serves.
    #[serde(skip)]
    pub unserved: bool,
}

/// Where the kernel routes a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Routing {
    /// Whereto.
    pub to: IpAddr,
    /// The interface that it leaves by; `lo` if it stays on the node.
    pub interface: Option<String>,
    /// The next router, if there is one.
    pub gateway: Option<IpAddr>,
    /// Why there is no way, in the kernel's words.
    pub error: Option<String>,
}

impl From<Fate> for Ending {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Delivered => Self::Delivered,
            Fate::Rejected => Self::Rejected,
            Fate::Dropped => Self::Dropped,
            Fate::Local => Self::Local,
            Fate::Routed => Self::Routed,
        }
    }
}

impl ClientAddress {
    pub(super) fn of(masquerade: bool) -> Self {
        match masquerade {
            true => Self::Replaced,
            false => Self::Kept,
        }
    }
}

impl From<&Way> for OneWay {
    fn from(way: &Way) -> Self {
        let is_for_somebody = matches!(way.fate, Fate::Delivered | Fate::Local | Fate::Routed);
        Self {
            probability: way.probability,
            outcome: way.fate.into(),
            client_address: is_for_somebody.then(|| ClientAddress::of(way.masquerade)),
            affinity: match (way.was_remembered, way.remembers) {
                (true, _) => Some(Affinity::Remembered),
                (false, true) => Some(Affinity::New),
                (false, false) => None,
            },
            steps: way.decisions.iter().map(Step::from).collect(),
        }
    }
}

impl From<&Decision> for Step {
    fn from(decision: &Decision) -> Self {
        let is_decided = decision.chain.is_some();
        let (set, element) = decision.element.clone().unzip();
        Self {
            hook: decision.hook.to_owned(),
            base: decision.base.clone(),
            chain: decision.chain.clone(),
            position: is_decided.then_some(decision.position + 1),
            rule: is_decided.then(|| decision.rule.clone()),
            set: set.map(|set| set.to_string()),
            element,
            words: decision.words.clone(),
            unserved: decision.unserved,
        }
    }
}

impl Outcome {
    /// What the ways of a packet come to. `masquerade_address` is the node's address towards an
    /// endpoint, if it is known.
    pub fn new(
        ways: &[Way],
        source: IpAddr,
        masquerade_address: impl Fn(IpAddr) -> Option<IpAddr>,
    ) -> Self {
        let mut endpoints: Vec<Target> = Vec::new();
        for way in ways {
            for share in &way.endpoints {
                let (address, port) = (share.endpoint.address, share.endpoint.port);
                let client_address = ClientAddress::of(way.masquerade);
                let is_same = |own: &&mut Target| {
                    (own.address, own.port, own.client_address) == (address, port, client_address)
                };
                match endpoints.iter_mut().find(is_same) {
                    Some(own) => own.probability += share.probability,
                    None => endpoints.push(Target {
                        address,
                        port,
                        probability: share.probability,
                        client_address,
                        sees: match way.masquerade {
                            true => masquerade_address(address),
                            false => Some(source),
                        },
                    }),
                }
            }
        }
        let outcome = ways.first().map_or(Ending::Dropped, |way| way.fate.into());
        Self {
            outcome: likeliest(ways).unwrap_or(outcome),
            certain: true,
            endpoints,
            ways: ways.iter().map(OneWay::from).collect(),
        }
    }
}

/// The ending that is the likeliest over all ways.
fn likeliest(ways: &[Way]) -> Option<Ending> {
    let mut sums: Vec<(Fate, f64)> = Vec::new();
    for way in ways {
        match sums.iter_mut().find(|(fate, _)| *fate == way.fate) {
            Some((_, sum)) => *sum += way.probability,
            None => sums.push((way.fate, way.probability)),
        }
    }
    let best = sums
        .into_iter()
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(fate, _)| fate.into())
}
