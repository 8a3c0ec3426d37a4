//! Who answers a frontend's clients: packets are sent through the rules and what becomes of them
//! is told.

use super::{Answer, ClientAddress, State};
use crate::model::{Family, Frontend};
use crate::trace::{End, Ends, Follow, Origin, Packet};
use crate::{Config, LocalDetector};
use ipnet::IpNet;
use std::net::IpAddr;

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standpoint {
    /// Outside the cluster; if only some sources may come, one of those.
    Outside,
    /// A pod on this node.
    Pod,
    /// The node itself.
    Node,
}

impl Standpoint {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Outside, Self::Pod, Self::Node];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Outside => "outside clients",
            Self::Pod => "pods on this node",
            Self::Node => "this node",
        }
    }
}

/// Clients that stand for all of their kind, and where they meet the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    outside: (Origin, IpAddr),
    pod: (Origin, IpAddr),
    node: IpAddr,
    /// Where node ports are tried; `None` if no address answers.
    nodeport: Option<IpAddr>,
}

impl Clients {
    /// On a node with these addresses, of which the first of the family that answers node ports is
    /// used. `allowed` are the sources that may come, if not all may.
    pub fn new(config: &Config, addresses: &[IpAddr], allowed: &[IpNet]) -> Self {
        let family = config.family;
        let mut own = addresses.iter().copied();
        // A bridge of pods has an address as well, which is taken for a pod's.
        let primary = config.node_ip.filter(|ip| addresses.contains(ip));
        let node =
            primary.or_else(|| own.find(|ip| Family::of(*ip) == family && !ip.is_loopback()));
        let chosen = config.nodeport_addresses.choose(family, addresses);
        let nodeport = match chosen {
            Some(chosen) => chosen.first().copied(),
            None => node,
        };
        let allowed = allowed
            .iter()
            .find(|range| Family::of(range.addr()) == family);
        let somebody = match family {
            // TEST-NET-3 and the prefix for documentation: nobody's.
            Family::V4 => IpAddr::from([203, 0, 113, 9]),
            Family::V6 => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 9]),
        };
        let outside = allowed.map_or(somebody, some_host);
        let pod = match &config.local_detector {
            LocalDetector::Source(range) => (interface("pod"), some_host(range)),
            LocalDetector::Interface { name, wildcard } => {
                let more = if *wildcard { "0" } else { "" };
                (interface(&format!("{name}{more}")), outside)
            }
            LocalDetector::None => (interface("pod"), outside),
        };
        Self {
            outside: (interface("outside"), outside),
            pod,
            node: node.unwrap_or(match family {
                Family::V4 => IpAddr::from([127, 0, 0, 1]),
                Family::V6 => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            }),
            nodeport,
        }
    }

    /// The packet of a client to a frontend; `None` for a node port that is on no address.
    fn packet(&self, from: Standpoint, frontend: &Frontend) -> Option<Packet> {
        let (origin, source) = match from {
            Standpoint::Outside => self.outside.clone(),
            Standpoint::Pod => self.pod.clone(),
            Standpoint::Node => (Origin::Node, self.node),
        };
        Some(Packet {
            origin,
            protocol: frontend.protocol,
            source,
            destination: frontend.address.or(self.nodeport)?,
            port: frontend.port,
        })
    }
}

fn interface(name: &str) -> Origin {
    Origin::Interface(name.into())
}

/// An address in the middle of a range, which is hardly anybody's in particular.
fn some_host(range: &IpNet) -> IpAddr {
    match range {
        IpNet::V4(own) => {
            let (first, last) = (own.network().to_bits(), own.broadcast().to_bits());
            IpAddr::V4((first + (last - first) / 2).into())
        }
        IpNet::V6(own) => {
            let (first, last) = (own.network().to_bits(), own.broadcast().to_bits());
            IpAddr::V6((first + (last - first) / 2).into())
        }
    }
}

/// Rules, and the packets that are sent through them.
pub struct Answers<'a> {
    rules: &'a dyn Follow,
    clients: &'a Clients,
}

impl<'a> Answers<'a> {
    /// Of these clients.
    pub fn new(rules: &'a dyn Follow, clients: &'a Clients) -> Self {
        Self { rules, clients }
    }

    /// What a client gets from a frontend.
    pub fn answer(&self, from: Standpoint, frontend: &Frontend) -> Answer {
        let ends = self.ends(from, frontend);
        let endpoint = |end: &End| match end {
            End::Endpoint {
                backend,
                masquerade,
            } => Some((*backend, *masquerade)),
            _ => None,
        };
        let served: Vec<_> = ends.keys().filter_map(endpoint).collect();
        let Some((_, masquerade)) = served.first() else {
            let outcome = match ends.keys().next() {
                Some(End::Rejected) => State::Rejected,
                Some(End::Dropped) => State::Dropped,
                _ => State::Untouched,
            };
            return Answer {
                outcome,
                endpoints: 0,
                client_address: None,
            };
        };
        let client_address = match masquerade {
            true => ClientAddress::Replaced,
            false => ClientAddress::Kept,
        };
        Answer {
            outcome: State::Served,
            endpoints: served.len(),
            client_address: Some(client_address),
        }
    }

    /// Everything that may become of a connection.
    pub(super) fn ends(&self, from: Standpoint, frontend: &Frontend) -> Ends {
        let packet = self.clients.packet(from, frontend);
        packet.map_or_else(Ends::new, |packet| self.rules.ends(&packet))
    }
}
