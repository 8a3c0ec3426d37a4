//! What is explained: Services by their names, or whoever has an address.

use crate::inspect::{Asked, Cluster, Query, Unseen, name_of};
use crate::pflag::UsageError;
use crate::source::convert::SERVICE_NAME;
use anyhow::bail;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use rules::model::{ObjectName, Protocol};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The namespace of a Service that is named without one.
const DEFAULT_NAMESPACE: &str = "default";

/// About what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Services by their names.
    Services(Asked),
    /// Whoever has an address.
    Address(Address),
}

/// An address that clients connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    ip: IpAddr,
    /// `None` for any.
    port: Option<u16>,
    /// `None` for any.
    protocol: Option<Protocol>,
}

impl Target {
    /// `NAMESPACE/NAME`, `NAME`, `NAMESPACE/`, `ADDRESS`, `ADDRESS:PORT` or `ADDRESS:PORT/PROTOCOL`, with
    /// the namespace of a flag; without a word, all Services of that namespace.
    ///
    /// # Errors
    /// It is none of these.
    pub fn parse(word: Option<&str>, namespace: Option<&str>) -> Result<Self, UsageError> {
        let Some(word) = word.filter(|word| !word.is_empty()) else {
            return match namespace {
                Some(namespace) => Ok(Self::Services(Asked::Namespace(namespace.to_owned()))),
                None => {
                    Err(UsageError::new("a Service is missing".to_owned()).advise(FORMS.to_owned()))
                }
            };
        };
        if let Some(address) = Address::parse(word) {
            return Ok(Self::Address(address?));
        }
        let service = |namespace: &str, name: &str| {
            Self::Services(Asked::Service(ObjectName::new(namespace, name)))
        };
        match word.split_once('/') {
            None => Ok(service(namespace.unwrap_or(DEFAULT_NAMESPACE), word)),
            Some((own, _)) if namespace.is_some_and(|given| given != own) => Err(UsageError::new(
                format!("{word} names namespace {own}, and --namespace another one"),
            )),
            Some((own, "")) if !own.is_empty() => {
                Ok(Self::Services(Asked::Namespace(own.to_owned())))
            }
            Some((own, name)) if !own.is_empty() && !name.contains('/') => Ok(service(own, name)),
            Some(_) => {
                Err(UsageError::new(format!("{word} is no Service")).advise(FORMS.to_owned()))
            }
        }
    }
}

const FORMS: &str = "Give NAMESPACE/NAME, a NAMESPACE/ for all of its Services, or \
                     ADDRESS:PORT[/PROTOCOL] of a cluster IP, load balancer, external IP or pod.";

impl Address {
    /// `None` if it is no address at all.
    fn parse(word: &str) -> Option<Result<Self, UsageError>> {
        let (place, protocol) = match word.split_once('/') {
            Some((place, protocol)) => (place, Some(protocol)),
            None => (word, None),
        };
        let (ip, port) = match (place.parse::<IpAddr>(), place.parse::<SocketAddr>()) {
            (Ok(ip), _) => (ip, None),
            (_, Ok(both)) => (both.ip(), Some(both.port())),
            _ => {
                let (ip, _) = place.rsplit_once(':')?;
                let ip = ip.trim_start_matches('[').trim_end_matches(']');
                ip.parse::<IpAddr>().ok()?;
                let error = UsageError::new(format!("{word} has no port from 1 to 65535"));
                return Some(Err(error));
            }
        };
        if port == Some(0) {
            let error = UsageError::new(format!("{word} has no port from 1 to 65535"));
            return Some(Err(error));
        }
        let protocol = match protocol {
            None => None,
            Some(text) => match Protocol::from_api(&text.to_uppercase()) {
                Some(protocol) if !text.is_empty() => Some(protocol),
                _ => {
                    let text = format!("{word} has no protocol of tcp, udp and sctp");
                    return Some(Err(UsageError::new(text)));
                }
            },
        };
        Some(Ok(Self { ip, port, protocol }))
    }

    /// Whether the text of an object's field is the address.
    fn is(&self, text: &str) -> bool {
        text.parse() == Ok(self.ip)
    }

    fn has_port(&self, port: i32, protocol: Option<&str>) -> bool {
        let same_port = self.port.is_none_or(|own| i32::from(own) == port);
        let protocol = Protocol::from_api(protocol.unwrap_or_default());
        same_port && self.protocol.is_none_or(|own| Some(own) == protocol)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.ip, port).fmt(f)?,
            None => self.ip.fmt(f)?,
        }
        match self.protocol {
            Some(protocol) => write!(f, "/{protocol}"),
            None => Ok(()),
        }
    }
}

/// Whose an address is.
pub(super) struct Found {
    pub(super) service: ObjectName,
    pub(super) words: String,
}

/// What fits an address, from the best on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    ClusterIp,
    Balancer,
    External,
    NodePort,
    OtherPort,
}

/// Looks through all Services, and if none has it, through all EndpointSlices.
pub(super) async fn find(cluster: &Cluster, address: &Address) -> anyhow::Result<Found> {
    let mut best: Option<(Fit, ObjectName)> = None;
    let look = |service: Service| {
        let Some(fit) = fit(address, &service) else {
            return;
        };
        let found = (fit, name_of(&service));
        if best.as_ref().is_none_or(|best| found < *best) {
            best = Some(found);
        }
    };
    cluster.each(&Query::all(), look).await?;
    if let Some((fit, service)) = best {
        let words = match fit {
            Fit::ClusterIp => format!("{address} is a cluster IP of Service {service}"),
            Fit::Balancer => format!("{address} is a load-balancer IP of Service {service}"),
            Fit::External => format!("{address} is an external IP of Service {service}"),
            Fit::NodePort => {
                format!("{address} is the node port of Service {service} on that address")
            }
            Fit::OtherPort => format!(
                "{address} is an address of Service {service}, which has no such port: \
                 connections to it are refused"
            ),
        };
        return Ok(Found { service, words });
    }
    match endpoint(cluster, address).await? {
        Some(service) => Ok(Found {
            words: format!("{address} is an endpoint of Service {service}"),
            service,
        }),
        None => bail!(
            "no Service and no endpoint has {address}; `kube-proxy trace outside {address}` shows what \
             the rules do with it"
        ),
    }
}

fn fit(address: &Address, service: &Service) -> Option<Fit> {
    let spec = service.spec.as_ref()?;
    let ports = || spec.ports.iter().flatten();
    let balancer = service
        .status
        .as_ref()
        .and_then(|own| own.load_balancer.as_ref());
    let ingress = balancer.and_then(|own| own.ingress.as_ref());
    let mut ingress = ingress
        .into_iter()
        .flatten()
        .filter_map(|own| own.ip.as_ref());
    let mut cluster_ips = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    let mut external = spec.external_ips.iter().flatten();
    let fit = match () {
        () if cluster_ips.any(|own| address.is(own)) => Fit::ClusterIp,
        () if ingress.any(|own| address.is(own)) => Fit::Balancer,
        () if external.any(|own| address.is(own)) => Fit::External,
        () => {
            // Any address may be a node's.
            let mut node_ports = ports().filter(|port| port.node_port.is_some_and(|own| own > 0));
            let is_it = node_ports.any(|port| {
                let number = port.node_port.unwrap_or_default();
                address.port.is_some() && address.has_port(number, port.protocol.as_deref())
            });
            return is_it.then_some(Fit::NodePort);
        }
    };
    let has_it = ports().any(|port| address.has_port(port.port, port.protocol.as_deref()));
    Some(if has_it { fit } else { Fit::OtherPort })
}

/// A Service that has the address as one of its endpoints.
async fn endpoint(cluster: &Cluster, address: &Address) -> Result<Option<ObjectName>, Unseen> {
    let mut found = None;
    let look = |slice: EndpointSlice| {
        let labels = slice.metadata.labels.as_ref();
        let Some(service) = labels.and_then(|labels| labels.get(SERVICE_NAME)) else {
            return;
        };
        let mut ports = slice.ports.iter().flatten();
        let has_port = address.port.is_none()
            || ports.any(|port| {
                let number = port.port.unwrap_or_default();
                address.has_port(number, port.protocol.as_deref())
            });
        let mut addresses = slice
            .endpoints
            .iter()
            .flatten()
            .flat_map(|own| &own.addresses);
        if has_port && addresses.any(|own| address.is(own)) {
            found = Some(ObjectName::new(name_of(&slice).namespace, service.as_str()));
        }
    };
    cluster.each(&Query::all(), look).await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_target() {
        let service = |namespace: &str, name: &str| {
            Target::Services(Asked::Service(ObjectName::new(namespace, name)))
        };
        let all = |namespace: &str| Target::Services(Asked::Namespace(namespace.to_owned()));
        let address = |ip: &str, port, protocol| {
            let ip = ip.parse().expect("an address");
            Target::Address(Address { ip, port, protocol })
        };
        for (word, namespace, expected) in [
            (Some("shop/web"), None, service("shop", "web")),
            (Some("web"), None, service("default", "web")),
            (Some("web"), Some("shop"), service("shop", "web")),
            (Some("shop/web"), Some("shop"), service("shop", "web")),
            (Some("shop/"), None, all("shop")),
            (None, Some("shop"), all("shop")),
            (Some("10.96.0.1"), None, address("10.96.0.1", None, None)),
            (
                Some("10.96.0.1:80"),
                None,
                address("10.96.0.1", Some(80), None),
            ),
            (
                Some("10.96.0.1:53/UDP"),
                None,
                address("10.96.0.1", Some(53), Some(Protocol::Udp)),
            ),
            (
                Some("[fd00::1]:80/tcp"),
                None,
                address("fd00::1", Some(80), Some(Protocol::Tcp)),
            ),
        ] {
            let parsed = Target::parse(word, namespace).expect("a target");
            assert_eq!(parsed, expected, "{word:?} {namespace:?}");
        }
    }

    #[test]
    fn what_is_no_target_says_what_would_be() {
        for (word, namespace, expected) in [
            (None, None, "a Service is missing"),
            (Some("a/b/c"), None, "a/b/c is no Service"),
            (Some("/b"), None, "/b is no Service"),
            (Some("a/b"), Some("c"), "a/b names namespace a"),
            (Some("10.0.0.1:0"), None, "no port from 1 to 65535"),
            (Some("10.0.0.1:70000"), None, "no port from 1 to 65535"),
            (
                Some("10.0.0.1:80/icmp"),
                None,
                "no protocol of tcp, udp and sctp",
            ),
            (
                Some("10.0.0.1:80/"),
                None,
                "no protocol of tcp, udp and sctp",
            ),
        ] {
            let error = Target::parse(word, namespace).expect_err("no target");
            let error = error.to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
