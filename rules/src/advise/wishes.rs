//! Whether anybody needs the client's address.

use crate::model::{Service, TrafficPolicy};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a pod sees as the address of a client outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AddressKept {
    /// The client's.
    Kept,
    /// A node's.
    Replaced,
}

impl AddressKept {
    /// What an external traffic policy does (docs/reference.md#traffic-policies).
    pub fn under(policy: TrafficPolicy) -> Self {
        match policy {
            TrafficPolicy::Cluster => Self::Replaced,
            TrafficPolicy::Local => Self::Kept,
        }
    }
}

/// What is said of the need for the client's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAddress {
    /// Nothing: hints decide.
    #[default]
    Auto,
    /// The application reads it.
    Needed,
    /// Nobody does.
    NotNeeded,
}

/// What a Service's own words tell of the need for the client's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// What was asked for.
    pub asked: ClientAddress,
    /// Who reads the address at the pod, as far as that can be told.
    pub readers: Vec<String>,
    /// What brings the address along beside the connection's own: PROXY protocol.
    pub in_band: Option<String>,
    /// How many ranges of `loadBalancerSourceRanges` there are.
    pub source_ranges: usize,
}

/// Pods that pass the address on: their own allow lists, and the `X-Forwarded-For` of all that is
/// behind them, say what they see.
const INGRESSES: [&str; 12] = [
    "apisix",
    "contour",
    "emissary",
    "envoy",
    "haproxy",
    "ingress-nginx",
    "ingressgateway",
    "kong",
    "kubernetes-ingress",
    "nginx-gateway",
    "nginx-ingress",
    "traefik",
];
const NAMING_LABELS: [&str; 4] = ["app.kubernetes.io/name", "app", "istio", "k8s-app"];

impl Wishes {
    /// Reads a Service with its labels and annotations.
    pub fn of(
        service: &Service,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
        asked: ClientAddress,
    ) -> Self {
        let mut named = NAMING_LABELS.iter().filter_map(|label| labels.get(*label));
        let ingress = named.find(|name| INGRESSES.iter().any(|own| name.contains(own)));
        let readers = ingress.map(|name| {
            format!("{name} looks like an ingress or a gateway, which passes the address on")
        });
        let proxied = annotations.iter().find(|(key, value)| {
            let by_key = key.contains("proxy-protocol") || key.contains("proxyprotocol");
            let is_off = matches!(value.as_str(), "" | "false" | "none" | "off");
            (by_key && !is_off) || value.contains("proxy_protocol_v2.enabled=true")
        });
        Self {
            asked,
            readers: readers.into_iter().collect(),
            in_band: proxied.map(|(key, _)| format!("annotation {key}")),
            source_ranges: service.source_ranges.len(),
        }
    }

    /// Whether the connection has to keep the client's address, and what speaks for that.
    pub fn needed(&self, current: TrafficPolicy) -> (bool, String) {
        match self.asked {
            ClientAddress::Needed => {
                return (
                    true,
                    "The client's address is needed: --client-address".to_owned(),
                );
            }
            ClientAddress::NotNeeded => {
                return (
                    false,
                    "Nobody needs the client's address: --client-address".to_owned(),
                );
            }
            ClientAddress::Auto => {}
        }
        if let Some(how) = &self.in_band {
            return (
                false,
                format!("The balancer brings the client's address along by PROXY protocol ({how})"),
            );
        }
        if let Some(reader) = self.readers.first() {
            return (true, format!("The client's address is read: {reader}"));
        }
        match current {
            TrafficPolicy::Local => (
                true,
                "Local is set, which is mostly done for the client's address; \
                 if nobody reads it: --client-address=not-needed"
                    .to_owned(),
            ),
            TrafficPolicy::Cluster => (
                false,
                "Nothing tells that the client's address is read; if it is: \
                 --client-address=needed"
                    .to_owned(),
            ),
        }
    }
}
