//! What names of pods, Services and nodes stand for.

use super::place::{Destination, Place, Port};
use crate::inspect::{Asked, Cluster, Facts, Query, Unproxied, unproxied};
use crate::pflag::UsageError;
use anyhow::{Context, anyhow, bail};
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Resource;
use kube::core::PartialObjectMeta;
use rules::model::{ObjectName, Protocol};
use std::net::IpAddr;

/// From here on names are alike, from 0 to 1; as clap judges names of flags.
const ALIKE: f64 = 0.7;
/// So many names, or ports, are offered at the most.
const OFFERED: usize = 5;

/// A place with addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Its addresses, of either family, the preferred one first.
    pub addresses: Vec<IpAddr>,
    /// The node that it is on, or that it is; `None` if that is not known.
    pub node: Option<String>,
    /// A pod of the node, as opposed to the node's own network.
    pub is_pod: bool,
    /// What was chosen among several, in words.
    pub chosen: Option<String>,
}

/// A port that a destination has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    name: String,
    protocol: String,
    number: u16,
    /// What packets are sent to instead: the node port.
    reached_by: Option<u16>,
}

/// A destination with addresses and ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Where it is.
    pub end: End,
    /// The ports that are known to be there; none are known of a node.
    pub ports: Vec<Offered>,
    /// It is reached by node ports, on whichever node is asked for.
    pub by_node_port: bool,
}

/// The pod of a name.
///
/// # Errors
/// There is none, it has no address, or pods cannot be listed.
pub async fn pod(cluster: &Cluster, name: &ObjectName) -> anyhow::Result<(End, Pod)> {
    let found: Option<Pod> = cluster.one(&name.namespace, &name.name).await?;
    let Some(pod) = found else {
        let mut names = Vec::new();
        let query = Query::namespace(&name.namespace);
        let keep = |pod: PartialObjectMeta<Pod>| names.extend(pod.meta().name.clone());
        cluster.each(&query, keep).await?;
        bail!("there is no pod {name}{}", instead(&name.name, &names));
    };
    let status = pod.status.clone().unwrap_or_default();
    let ips = status.pod_ips.unwrap_or_default().into_iter();
    let ips = ips.map(|own| own.ip).chain(status.pod_ip);
    let mut addresses = Vec::new();
    for address in ips.filter_map(|text| text.parse().ok()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        let phase = status.phase.unwrap_or_else(|| "unknown".to_owned());
        bail!("pod {name} has no address yet: it is {phase}");
    }
    let spec = pod.spec.as_ref();
    let end = End {
        addresses,
        node: spec.and_then(|spec| spec.node_name.clone()),
        is_pod: spec.is_none_or(|spec| spec.host_network != Some(true)),
        chosen: None,
    };
    Ok((end, pod))
}

/// Another node.
///
/// # Errors
/// There is none of that name, or Nodes cannot be listed.
pub async fn node(cluster: &Cluster, name: &str) -> anyhow::Result<End> {
    let query = Query::all().named(name);
    let mut nodes: Vec<Node> = cluster.list(&query).await?;
    nodes.retain(|node| node.metadata.name.as_deref() == Some(name));
    let Some(node) = nodes.pop() else {
        let mut names = Vec::new();
        let keep = |node: PartialObjectMeta<Node>| names.extend(node.meta().name.clone());
        cluster.each(&Query::all(), keep).await?;
        bail!("there is no node {name}{}", instead(name, &names));
    };
    let converted = crate::source::convert::node(&node).object;
    let addresses = converted.map(|node| node.addresses).unwrap_or_default();
    if addresses.is_empty() {
        bail!("Node {name} tells no address in status.addresses");
    }
    Ok(End {
        addresses,
        node: Some(name.to_owned()),
        ..End::default()
    })
}

/// One endpoint of a Service, for packets that come from it: a ready one of this node if there is
/// one.
///
/// # Errors
/// There is no such Service, or nothing serves it.
pub async fn endpoint_of(cluster: &Cluster, name: &ObjectName, here: &str) -> anyhow::Result<End> {
    let facts = Facts::of(cluster, &Asked::Service(name.clone())).await?;
    let is_ready = |ready: Option<bool>| ready.unwrap_or(true);
    let mut found: Vec<(bool, bool, Option<String>, IpAddr)> = Vec::new();
    for slice in &facts.slices {
        for own in slice.endpoints.iter().flatten() {
            let ready = is_ready(own.conditions.as_ref().and_then(|own| own.ready));
            let address = own.addresses.first().and_then(|own| own.parse().ok());
            let node = own.node_name.clone();
            found.extend(
                address
                    .map(|address| (!ready, node.as_deref() != Some(here), node.clone(), address)),
            );
        }
    }
    found.sort();
    let Some((_, _, node, _)) = found.first().cloned() else {
        bail!("Service {name} has no endpoint that a packet could come from");
    };
    // The first one of each family on that node.
    let on_node = found.iter().filter(|own| own.2 == node);
    let mut addresses: Vec<IpAddr> = Vec::new();
    for (_, _, _, address) in on_node {
        if !addresses
            .iter()
            .any(|own| own.is_ipv4() == address.is_ipv4())
        {
            addresses.push(*address);
        }
    }
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Ok(End {
        chosen: Some(format!(
            "svc/{name} as a source is its endpoint {}",
            list.join(", ")
        )),
        addresses,
        node,
        is_pod: true,
    })
}

/// A Service as a destination: for who comes from outside the address that is meant for them.
///
/// # Errors
/// There is no such Service, or it is one without frontends.
pub async fn service(
    cluster: &Cluster,
    name: &ObjectName,
    from_outside: bool,
) -> anyhow::Result<Target> {
    let facts = Facts::of(cluster, &Asked::Service(name.clone())).await?;
    let service = facts.services.first();
    let service = service.with_context(|| format!("there is no Service {name}"))?;
    match unproxied(service) {
        None => {}
        Some(Unproxied::Headless) => bail!(
            "Service {name} is headless: clients get the pods' addresses from DNS, and connect to \
             them without kube-proxy; {}",
            endpoints_of(&facts.slices)
        ),
        Some(Unproxied::ExternalName(to)) => bail!(
            "Service {name} is of type ExternalName: DNS answers with {to}, and no packet passes \
             kube-proxy"
        ),
        Some(Unproxied::OtherProxy(by)) => bail!(
            "Service {name} is left to another proxy, {by:?}, by its label \
             service.kubernetes.io/service-proxy-name"
        ),
        Some(Unproxied::NoClusterIp) => bail!("Service {name} has no cluster IP yet"),
    }
    let (kind, addresses) = frontends(service, from_outside);
    let ports = ports_of(service, kind);
    let chosen = from_outside.then(|| format!("clients outside reach svc/{name} by its {kind}"));
    Ok(Target {
        end: End {
            addresses,
            chosen,
            ..End::default()
        },
        ports,
        by_node_port: kind == Kind::NodePort,
    })
}

/// The kind of a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    LoadBalancer,
    External,
    NodePort,
    Cluster,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::LoadBalancer => "load-balancer IP",
            Self::External => "external IP",
            Self::NodePort => "node port on this node",
            Self::Cluster => "cluster IP, as it has no other address",
        })
    }
}

/// Node ports have no addresses of their own.
fn frontends(service: &Service, from_outside: bool) -> (Kind, Vec<IpAddr>) {
    let spec = service.spec.clone().unwrap_or_default();
    let parse = |all: Vec<String>| -> Vec<IpAddr> {
        all.iter().filter_map(|text| text.parse().ok()).collect()
    };
    let status = service.status.clone().unwrap_or_default();
    let ingress = status.load_balancer.unwrap_or_default().ingress;
    let ingress = ingress.unwrap_or_default().into_iter();
    // Others are for the balancer to answer.
    let ingress = ingress.filter(|own| own.ip_mode.as_deref() != Some("Proxy"));
    let balancer = parse(ingress.filter_map(|own| own.ip).collect());
    let external = parse(spec.external_ips.unwrap_or_default());
    let ports = spec.ports.unwrap_or_default();
    let has_node_port = ports.iter().any(|port| port.node_port.unwrap_or(0) != 0);
    match (balancer.is_empty(), external.is_empty(), has_node_port) {
        _ if !from_outside => {}
        (false, _, _) => return (Kind::LoadBalancer, balancer),
        (_, false, _) => return (Kind::External, external),
        (_, _, true) => return (Kind::NodePort, Vec::new()),
        _ => {}
    }
    let ips = spec.cluster_ips.unwrap_or_default();
    let ips = match ips.is_empty() {
        true => spec.cluster_ip.into_iter().collect(),
        false => ips,
    };
    (Kind::Cluster, parse(ips))
}

fn ports_of(service: &Service, kind: Kind) -> Vec<Offered> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter());
    let offered = ports.flatten().filter_map(|port| {
        let node_port = port.node_port.filter(|_| kind == Kind::NodePort);
        Some(Offered {
            name: port.name.clone().unwrap_or_default(),
            protocol: protocol_word(port.protocol.as_deref()),
            number: u16::try_from(port.port).ok()?,
            reached_by: node_port.and_then(|own| u16::try_from(own).ok()),
        })
    });
    offered.collect()
}

/// The ports of a pod's containers.
pub fn container_ports(pod: &Pod) -> Vec<Offered> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let ports = containers.flat_map(|own| own.ports.iter().flatten());
    let offered = ports.filter_map(|port| {
        Some(Offered {
            name: port.name.clone().unwrap_or_default(),
            protocol: protocol_word(port.protocol.as_deref()),
            number: u16::try_from(port.container_port).ok()?,
            reached_by: None,
        })
    });
    offered.collect()
}

fn protocol_word(api: Option<&str>) -> String {
    api.unwrap_or("TCP").to_lowercase()
}

impl Target {
    /// The port and protocol of a packet: as they are given, or the only ones that there are.
    ///
    /// # Errors
    /// None was given and there are several, or there is none of that name.
    pub fn choose(
        &self,
        destination: &Destination,
        protocol: Option<Protocol>,
    ) -> anyhow::Result<(u16, Protocol)> {
        let place = &destination.place;
        let of_protocol = |own: &&Offered| match protocol {
            Some(protocol) => own.protocol == protocol.to_string(),
            None => true,
        };
        let fitting: Vec<&Offered> = self.ports.iter().filter(of_protocol).collect();
        let found = match &destination.port {
            Some(Port::Number(number)) => {
                let own = fitting.iter().find(|own| own.number == *number);
                if own.is_none() && matches!(place, Place::Service(_)) {
                    return Err(self.no_such_port(destination, protocol));
                }
                let by_offer = own.and_then(|own| protocol_of(own));
                let reached_by = own.and_then(|own| own.reached_by);
                (reached_by.unwrap_or(*number), protocol.or(by_offer))
            }
            Some(Port::Name(name)) => {
                let own = fitting.iter().find(|own| own.name == *name);
                let own = own.ok_or_else(|| self.no_such_port(destination, protocol))?;
                own.as_chosen(protocol)
            }
            None => match *fitting.as_slice() {
                [one] => one.as_chosen(protocol),
                [] if self.ports.is_empty() => {
                    return Err(
                        UsageError::new(format!("DST {place} needs a port: {place}:PORT")).into(),
                    );
                }
                _ => {
                    let message =
                        format!("DST {place} needs a port; it has {}", self.list(protocol));
                    return Err(UsageError::new(message).into());
                }
            },
        };
        let (number, protocol) = found;
        Ok((number, protocol.unwrap_or(Protocol::Tcp)))
    }

    fn no_such_port(&self, destination: &Destination, protocol: Option<Protocol>) -> anyhow::Error {
        let port = match &destination.port {
            Some(port) => port.to_string(),
            None => String::new(),
        };
        let place = &destination.place;
        let list = self.list(protocol);
        anyhow!(UsageError::new(format!(
            "DST {place}:{port}: there is no such port; {place} has {list}"
        )))
    }

    fn list(&self, protocol: Option<Protocol>) -> String {
        let words = self.ports.iter().map(|own| match own.name.as_str() {
            "" => format!("{}/{}", own.number, own.protocol),
            name => format!("{}/{} ({name})", own.number, own.protocol),
        });
        let mut words: Vec<String> = words.collect();
        let more = words.len().saturating_sub(OFFERED);
        words.truncate(OFFERED);
        words.extend((more > 0).then(|| format!("{more} more")));
        match (words.is_empty(), protocol) {
            (true, _) => "none that is declared".to_owned(),
            (false, Some(protocol)) => {
                format!("{}, and --protocol is {protocol}", words.join(", "))
            }
            (false, None) => words.join(", "),
        }
    }
}

impl Offered {
    fn as_chosen(&self, protocol: Option<Protocol>) -> (u16, Option<Protocol>) {
        let number = self.reached_by.unwrap_or(self.number);
        (number, protocol.or(protocol_of(self)))
    }
}

fn protocol_of(own: &Offered) -> Option<Protocol> {
    Protocol::from_api(&own.protocol.to_uppercase())
}

/// Names that may have been meant.
fn instead(asked: &str, names: &[String]) -> String {
    let mut alike: Vec<(f64, &String)> = names
        .iter()
        .map(|name| (strsim::jaro(asked, name), name))
        .filter(|(score, _)| *score > ALIKE)
        .collect();
    alike.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(right.1)));
    let words: Vec<&str> = alike
        .iter()
        .take(3)
        .map(|(_, name)| name.as_str())
        .collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => format!("; did you mean {one}?"),
        [first @ .., last] => format!("; did you mean {} or {last}?", first.join(", ")),
    }
}

/// The addresses of endpoints, for who cannot connect to a Service.
fn endpoints_of(slices: &[EndpointSlice]) -> String {
    let all = slices
        .iter()
        .flat_map(|slice| slice.endpoints.iter().flatten());
    let all = all.filter_map(|own| own.addresses.first());
    let all: Vec<&str> = all.map(String::as_str).collect();
    match all.as_slice() {
        [] => "it has no endpoint now".to_owned(),
        few if few.len() <= OFFERED => format!("trace one of them: {}", few.join(", ")),
        many => {
            let first = many.get(..OFFERED).unwrap_or_default();
            format!("trace one of them: {}, …", first.join(", "))
        }
    }
}
