//! Chains of iptables. The kernel's are read as far as a packet comes by them.

use super::{Followed, Held, Holder, Obstacle, Unheld};
use crate::netlink::interfaces;
use crate::netlink::iptables::ChainReader;
use crate::trace::answer::Rules;
use crate::trace::recent::{self, Clock};
use crate::world::Standpoint;
use rules::iptables::rule::{Is, Match, Rule, Table, Target};
use rules::iptables::top::{EXTERNAL_SERVICES, NODEPORTS, SERVICES};
use rules::iptables::trace::{Chains, Line, Place, Trace, Tracer};
use rules::model::{Family, Protocol};
use rules::trace::Packet;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Chains are read anew so often if the ruleset changes meanwhile, and then followed as they are.
const ATTEMPTS: usize = 5;

/// Chains.
pub(super) struct HeldChains {
    family: Family,
    /// Those that are known so far.
    known: Mutex<Known>,
}

struct Known {
    chains: Chains,
    /// The ruleset's generation when they were read; `None` if they are planned.
    generation: Option<u32>,
}

/// The kernel's; `None` if there are none.
pub(super) fn by_kernel(family: Family) -> Result<Option<Held>, Unheld> {
    let mut reader = ChainReader::open(family)?;
    if !reader.has((Table::Nat, SERVICES))? {
        return Ok(None);
    }
    let generation = reader.generation()?;
    let mut chains = Chains::new(family);
    for place in frontends() {
        read(&mut reader, &mut chains, place)?;
    }
    let known = Known {
        chains,
        generation: Some(generation),
    };
    Ok(Some(Held {
        rules: Rules::Kernel,
        node_addresses: interfaces::local()?,
        holder: Holder::Chains(HeldChains {
            family,
            known: Mutex::new(known),
        }),
    }))
}

/// Those that are planned. `interfaces` are the node's addresses, if this is the node itself.
pub(super) fn planned(
    standpoint: Standpoint<'_>,
    family: Family,
    interfaces: Option<&[IpAddr]>,
) -> HeldChains {
    let ruleset = match interfaces {
        Some(addresses) => standpoint.chains_with(family, addresses),
        None => standpoint.chains(family),
    };
    let known = Known {
        chains: Chains::planned(&ruleset),
        generation: None,
    };
    HeldChains {
        family,
        known: Mutex::new(known),
    }
}

/// The chains that tell which frontends there are.
fn frontends() -> [Place; 3] {
    [
        (Table::Nat, SERVICES),
        (Table::Filter, SERVICES),
        (Table::Filter, EXTERNAL_SERVICES),
    ]
}

/// A chain that is not there is empty.
fn read(reader: &mut ChainReader, chains: &mut Chains, place: Place) -> Result<(), Unheld> {
    let lines = reader.chain(place)?.unwrap_or_default();
    let lines = lines.into_iter().map(|own| own.line).collect();
    chains.insert(place, lines);
    Ok(())
}

impl HeldChains {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn follow(
        &self,
        packet: &Packet,
        node_addresses: &[IpAddr],
    ) -> Result<Followed, Unheld> {
        let mut known = self.known();
        if known.generation.is_some() {
            self.read_on(&mut known, packet, node_addresses)?;
        }
        let tracer = tracer(&known, packet, node_addresses);
        let trace = tracer.explain(packet);
        Ok(Followed {
            ways: tracer.ways(&trace),
            in_the_way: in_the_way(&known.chains, &trace),
            unread: 0,
        })
    }

    /// Reads until every chain that looks at the packet is known, and nothing changed meanwhile.
    fn read_on(
        &self,
        known: &mut Known,
        packet: &Packet,
        node_addresses: &[IpAddr],
    ) -> Result<(), Unheld> {
        let mut reader = ChainReader::open(self.family)?;
        for _ in 0..ATTEMPTS {
            let generation = reader.generation()?;
            if known.generation != Some(generation) {
                known.generation = Some(generation);
                known.chains = Chains::new(self.family);
                for place in frontends() {
                    read(&mut reader, &mut known.chains, place)?;
                }
            }
            loop {
                let visited = tracer(known, packet, node_addresses)
                    .trace(packet)
                    .visited();
                let unknown = visited.into_iter();
                let unknown = unknown.filter(|place| known.chains.get(place).is_none());
                let unknown: Vec<Place> = unknown.collect();
                if unknown.is_empty() {
                    break;
                }
                for place in unknown {
                    read(&mut reader, &mut known.chains, place)?;
                }
            }
            if reader.generation()? == generation {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn ports_of(&self, address: IpAddr) -> Vec<(u16, Protocol)> {
        let known = self.known();
        let places = frontends();
        let rules = places.iter().flat_map(|place| known.chains.rules(place));
        let of_address = |rule: &Rule| {
            let is_it = destination(rule) == Some(address);
            let port = rule.matches.iter().find_map(|own| match own {
                Match::Port(port) => Some(*port),
                _ => None,
            });
            let protocol = rule.matches.iter().find_map(|own| match own {
                Match::Protocol(protocol) => Some(*protocol),
                _ => None,
            });
            is_it.then_some((port?, protocol?))
        };
        rules.filter_map(of_address).collect()
    }

    pub(super) fn answering(&self) -> Vec<IpAddr> {
        let known = self.known();
        let rules = known.chains.rules(&(Table::Nat, SERVICES));
        let to_node_ports = rules.filter(|rule| rule.target == Some(Target::Jump(NODEPORTS)));
        to_node_ports.filter_map(destination).collect()
    }
}

/// The one address that a rule is about.
fn destination(rule: &Rule) -> Option<IpAddr> {
    rule.matches.iter().find_map(|own| match own {
        Match::Destination(Is::So, address) => {
            let range = address.range();
            (range.prefix_len() == range.max_prefix_len()).then(|| range.addr())
        }
        _ => None,
    })
}

/// Of the kernel's chains with the clients that its lists remember.
fn tracer<'a>(known: &'a Known, packet: &Packet, node_addresses: &[IpAddr]) -> Tracer<'a> {
    let mut tracer = Tracer::new(&known.chains, node_addresses.iter().copied());
    if known.generation.is_none() {
        return tracer;
    }
    let clock = Clock::read();
    let lines = known.chains.iter().flat_map(|(_, lines)| lines);
    for line in lines {
        let Line::Rule(rule) = line else {
            continue;
        };
        let seen = rule.matches.iter().find_map(|own| match own {
            Match::SeenAt(list, seconds) => Some((*list, *seconds)),
            _ => None,
        });
        if let Some((list, seconds)) = seen
            && recent::remembers(list.as_str(), packet.source, seconds, clock)
        {
            tracer.remember(list, packet.source);
        }
    }
    tracer
}

/// Rules of somebody else in chains of ours that look at the packet. What they have in built-in chains
/// is told with what others have elsewhere.
fn in_the_way(chains: &Chains, trace: &Trace) -> Vec<Obstacle> {
    let mut all = Vec::new();
    for place in trace.visited() {
        let (table, chain) = place;
        if !rules::check::is_proxy_chain(chain.as_str()) {
            continue;
        }
        let lines = chains.get(&place).unwrap_or_default();
        for (position, line) in (1..).zip(lines) {
            if let Line::Other(words) = line {
                let place = format!("chain {chain} of table {}, rule {position}", table.name());
                let text = format!("{place}: {words}");
                all.push(Obstacle { place, text });
            }
        }
    }
    all
}
