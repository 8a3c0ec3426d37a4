//! From the two places of a question to a packet and the node whose rules it meets.

use super::held::Held;
use super::objects::{self, End, Target};
use super::place::{Destination, Place};
use super::session::Session;
use crate::netlink::routes::{self, Question, Route};
use crate::pflag::UsageError;
use crate::trace::answer::Rules;
use anyhow::anyhow;
use ipnet::IpNet;
use rules::model::{Family, Protocol};
use rules::trace::{Origin, Packet};
use std::net::IpAddr;
use std::sync::Arc;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Where the packet comes from.
    pub source: Place,
    /// Where it is sent.
    pub destination: Destination,
    /// Its protocol; `None` for the port's own, or TCP.
    pub protocol: Option<Protocol>,
    /// The node whose rules it meets; `None` for the one that it meets first.
    pub from_node: Option<String>,
}

/// A packet, and the rules that it meets.
#[derive(Clone)]
pub struct Resolved {
    /// The packet.
    pub packet: Packet,
    /// The interface that it comes in by, if that is known.
    pub interface: Option<String>,
    /// The rules.
    pub held: Arc<Held>,
    /// The node whose rules they are.
    pub node: String,
    /// What was taken to be so.
    pub assumptions: Vec<String>,
}

/// Addresses for documentation, which nobody has (RFC 5737, RFC 3849): one is what `outside` stands
/// for as a source, one as a destination.
const OUTSIDE: [[&str; 6]; 2] = [
    [
        "203.0.113.9",
        "198.51.100.209",
        "192.0.2.209",
        "2001:db8:cafe::9",
        "2001:db8:ffff::9",
        "3fff::9",
    ],
    [
        "203.0.113.8",
        "198.51.100.208",
        "192.0.2.208",
        "2001:db8:cafe::8",
        "2001:db8:ffff::8",
        "3fff::8",
    ],
];

/// Finds out. Objects are asked for only if they are named.
///
/// # Errors
/// A name that is nobody's, addresses of two families, a port that is missing, or rules that
/// cannot be had.
pub async fn resolve(session: &mut Session, asked: &Asked) -> anyhow::Result<Resolved> {
    let mut assumptions = Vec::new();
    let here = session.here();
    let source = source(session, &asked.source).await?;
    let is_here = |node: &Option<String>| node.as_deref().is_none_or(|node| *node == *here);
    // A packet to an address of this node is decided here, wherever it comes from.
    let ends_here = match &asked.destination.place {
        Place::Node(name) => is_here(name),
        _ => false,
    };
    let node = match (&asked.from_node, &source.node) {
        (Some(asked), _) => asked.clone(),
        (None, Some(home)) if !is_here(&source.node) && !ends_here => {
            assumptions.push(format!(
                "{} is on node {home}, whose rules the packet meets first",
                asked.source
            ));
            home.clone()
        }
        _ => here.to_string(),
    };
    let is_outside = asked.source == Place::Outside;
    let target = destination(session, asked, &node, is_outside).await?;
    assumptions.extend(source.chosen.clone());
    assumptions.extend(target.end.chosen.clone());
    let (family, ends) = common_family(asked, &source, &target)?;
    let held = session.held(&node, family).await?;
    let is_node_itself = match &asked.source {
        Place::Node(None) => true,
        Place::Node(Some(name)) => *name == node,
        _ => false,
    };
    let (port, protocol) = port(&held, asked, &target, ends.1)?;
    let to = match ends.1 {
        Some(address) => address,
        None if matches!(asked.destination.place, Place::Outside) => {
            let address = outside(session, &held, family, &OUTSIDE[1])?;
            assumptions.push(format!("{address} stands for outside"));
            address
        }
        None => own_address(&held, family, None)?,
    };
    let from = match ends.0 {
        _ if is_node_itself => own_address(&held, family, Some(to))?,
        Some(address) => address,
        None => {
            let address = outside(session, &held, family, &OUTSIDE[0])?;
            assumptions.push(format!("{address} stands for outside"));
            address
        }
    };
    let (origin, interface) = origin(session, &held, &node, from, &source, &mut assumptions);
    let packet = Packet {
        origin,
        protocol,
        source: from,
        destination: to,
        port,
    };
    Ok(Resolved {
        packet,
        interface,
        held,
        node,
        assumptions,
    })
}

async fn source(session: &mut Session, place: &Place) -> anyhow::Result<End> {
    let here = session.here();
    match place {
        Place::Address(address) => Ok(End {
            addresses: vec![*address],
            ..End::default()
        }),
        Place::Node(None) => Ok(End {
            node: Some(here.to_string()),
            ..End::default()
        }),
        Place::Node(Some(name)) if **name == *here => Ok(End {
            node: Some(name.clone()),
            ..End::default()
        }),
        Place::Node(Some(name)) => objects::node(session.cluster().await?, name).await,
        Place::Pod(name) => Ok(objects::pod(session.cluster().await?, name).await?.0),
        Place::Service(name) => objects::endpoint_of(session.cluster().await?, name, &here).await,
        Place::Outside => Ok(End::default()),
    }
}

async fn destination(
    session: &mut Session,
    asked: &Asked,
    node: &str,
    is_outside: bool,
) -> anyhow::Result<Target> {
    let end = match &asked.destination.place {
        Place::Address(address) => End {
            addresses: vec![*address],
            ..End::default()
        },
        Place::Node(name) => match name {
            Some(name) if *name != node => objects::node(session.cluster().await?, name).await?,
            _ => End::default(),
        },
        Place::Pod(name) => {
            let (end, pod) = objects::pod(session.cluster().await?, name).await?;
            let ports = objects::container_ports(&pod);
            return Ok(Target {
                end,
                ports,
                by_node_port: false,
            });
        }
        Place::Service(name) => {
            let cluster = session.cluster().await?;
            return objects::service(cluster, name, is_outside).await;
        }
        Place::Outside => End::default(),
    };
    Ok(Target {
        end,
        ..Target::default()
    })
}

/// Source and destination in one family; `None` for an end that has an address of either.
type Ends = (Option<IpAddr>, Option<IpAddr>);

/// A family that both ends have, the source's first choice, with an address of each.
fn common_family(asked: &Asked, source: &End, target: &Target) -> anyhow::Result<(Family, Ends)> {
    let of = |end: &End, family| {
        let mut addresses = end.addresses.iter().copied();
        addresses.find(|address| Family::of(*address) == family)
    };
    let (from, to) = (source, &target.end);
    let wanted = from.addresses.iter().chain(&to.addresses);
    let wanted = wanted.map(|address| Family::of(*address));
    for family in wanted.chain([Family::V4]) {
        let ends = (of(from, family), of(to, family));
        let fits = |end: &End, found: Option<IpAddr>| end.addresses.is_empty() || found.is_some();
        if fits(from, ends.0) && fits(to, ends.1) {
            return Ok((family, ends));
        }
    }
    let families = |end: &End| match end.addresses.first() {
        Some(address) => Family::of(*address).label(),
        None => "no",
    };
    Err(UsageError::new(format!(
        "SRC {} has {} addresses alone, and DST {} {} ones: no packet goes between them",
        asked.source,
        families(from),
        asked.destination.place,
        families(to)
    ))
    .into())
}

/// The port and protocol; of an address that is a frontend without a port the ones that it has.
fn port(
    held: &Held,
    asked: &Asked,
    target: &Target,
    address: Option<IpAddr>,
) -> anyhow::Result<(u16, Protocol)> {
    let is_bare = matches!(asked.destination.place, Place::Address(_));
    if is_bare && asked.destination.port.is_none() {
        let all = address.map(|address| held.ports_of(address));
        let mut all: Vec<(u16, Protocol)> = all.unwrap_or_default();
        all.retain(|(_, own)| asked.protocol.is_none_or(|protocol| protocol == *own));
        let list: Vec<String> = all
            .iter()
            .take(5)
            .map(|(port, own)| format!("{port}/{own}"))
            .collect();
        return match *all.as_slice() {
            [one] => Ok(one),
            [] => target.choose(&asked.destination, asked.protocol),
            _ => Err(UsageError::new(format!(
                "DST {} needs a port; it has {}{}",
                asked.destination.place,
                list.join(", "),
                if all.len() > list.len() { ", …" } else { "" }
            ))
            .into()),
        };
    }
    target.choose(&asked.destination, asked.protocol)
}

/// An address of the node that the rules are of: for packets to another address the one that it
/// would send from.
fn own_address(held: &Held, family: Family, to: Option<IpAddr>) -> anyhow::Result<IpAddr> {
    let own = &held.node_addresses;
    if let Some(to) = to {
        if own.contains(&to) || to.is_loopback() {
            return Ok(to);
        }
        if held.rules == Rules::Kernel
            && let Ok(Route {
                source: Some(source),
                ..
            }) = routes::route(Question::to(to))
        {
            return Ok(source);
        }
    }
    let is_fit = |address: &&IpAddr| {
        let link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        Family::of(**address) == family && !address.is_loopback() && !link_local
    };
    // Those that answer node ports first, then the one that faces the world: others may be of
    // bridges and the like.
    let answering = held.answering();
    let outward = outward(held, family);
    let mut all = answering.iter().chain(&outward).chain(own).filter(is_fit);
    let found = all.next().copied();
    found.ok_or_else(|| anyhow!("no {family} address of the node is known"))
}

/// The address that the node sends from when it sends to the world.
fn outward(held: &Held, family: Family) -> Option<IpAddr> {
    let [outside, _] = OUTSIDE;
    let parsed = outside.iter().filter_map(|text| text.parse().ok());
    let mut parsed = parsed.filter(|address| Family::of(*address) == family);
    let question = Question::to(parsed.next().filter(|_| held.rules == Rules::Kernel)?);
    routes::route(question).ok()?.source
}

/// An address that is no pod's, no node's and no Service's.
fn outside(
    session: &Session,
    held: &Held,
    family: Family,
    candidates: &[&str],
) -> anyhow::Result<IpAddr> {
    let known = session.known_addresses();
    let ranges: &[IpNet] = &session.settings.rules.cluster_cidrs;
    let parsed = candidates.iter().filter_map(|text| text.parse().ok());
    let mut fitting = parsed.filter(|address: &IpAddr| {
        Family::of(*address) == family
            && !held.node_addresses.contains(address)
            && !known.contains(address)
            && !ranges.iter().any(|range| range.contains(address))
            && held.ports_of(*address).is_empty()
    });
    fitting.next().ok_or_else(|| {
        anyhow!("every address that could stand for outside is somebody's here; give one yourself")
    })
}

/// How a packet comes in, and by which interface if that is known.
fn origin(
    session: &Session,
    held: &Held,
    node: &str,
    from: IpAddr,
    source: &End,
    assumptions: &mut Vec<String>,
) -> (Origin, Option<String>) {
    if held.node_addresses.contains(&from) || from.is_loopback() {
        return (Origin::Node, None);
    }
    let is_pod_here = source.is_pod && source.node.as_deref() == Some(node);
    if held.rules == Rules::Kernel {
        // The way back is the best guess at the way in.
        if let Ok(Route {
            interface: Some(name),
            ..
        }) = routes::route(Question::to(from))
        {
            return (Origin::Interface(name.as_str().into()), Some(name));
        }
        assumptions.push(format!(
            "the kernel has no route to {from}, so its packets come in by an interface that is not \
             a pod's"
        ));
        return (Origin::Interface("?".into()), None);
    }
    let rules = &session.settings.rules;
    use crate::settings::DetectLocalMode::{BridgeInterface, InterfaceNamePrefix};
    let of_pods = match rules.detect_local_mode {
        BridgeInterface => Some(&rules.bridge_interface),
        InterfaceNamePrefix => Some(&rules.interface_name_prefix),
        _ => None,
    };
    match of_pods {
        Some(name) if is_pod_here => {
            assumptions.push(format!("the pod's packets come in by {name}"));
            (Origin::Interface(name.as_str().into()), Some(name.clone()))
        }
        Some(name) => {
            assumptions.push(format!("{from} is no pod of {node}, so not behind {name}"));
            (Origin::Interface("?".into()), None)
        }
        None => (Origin::Interface("?".into()), None),
    }
}
