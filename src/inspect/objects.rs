//! Services and their labels.

use k8s_openapi::api::core::v1::{Pod, Service};
use rules::model::ObjectName;
use std::collections::BTreeMap;
use std::fmt;

/// The label of Services that another proxy serves.
const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";

/// Namespace and name of an object.
pub fn name_of<K: kube::Resource>(object: &K) -> ObjectName {
    crate::source::convert::object_name(object.meta())
}

/// The labels of a Service's pods; `None` if it has no selector, so that somebody else writes
/// its EndpointSlices.
pub fn selector_of(service: &Service) -> Option<&BTreeMap<String, String>> {
    let selector = service.spec.as_ref()?.selector.as_ref()?;
    (!selector.is_empty()).then_some(selector)
}

/// Whether a pod has all labels of a selector.
pub fn is_selected_by(pod: &Pod, selector: &BTreeMap<String, String>) -> bool {
    let none = BTreeMap::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&none);
    let has = |(key, value)| labels.get(key) == Some(value);
    selector.iter().all(has)
}

/// Why no kube-proxy has rules for a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproxied {
    /// `clusterIP: None`.
    Headless,
    /// `type: ExternalName`, with the name.
    ExternalName(String),
    /// The label `service.kubernetes.io/service-proxy-name`, with its value.
    OtherProxy(String),
    /// No cluster IP yet.
    NoClusterIp,
}

/// Why a Service gets no rules; `None` if it does (docs/reference.md#services-and-slices).
pub fn unproxied(service: &Service) -> Option<Unproxied> {
    let labels = service.metadata.labels.iter();
    let mut labels = labels.flatten();
    if let Some((_, proxy)) = labels.find(|(key, _)| *key == PROXY_NAME) {
        return Some(Unproxied::OtherProxy(proxy.clone()));
    }
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        let name = spec.external_name.clone().unwrap_or_default();
        return Some(Unproxied::ExternalName(name));
    }
    match spec.cluster_ip.as_deref() {
        Some("None") => Some(Unproxied::Headless),
        None | Some("") => Some(Unproxied::NoClusterIp),
        Some(_) => None,
    }
}

impl fmt::Display for Unproxied {
    /// To follow `Service a/b`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Headless => f.write_str(
                "is headless (clusterIP: None): no proxy has rules for it, clients get its \
                 endpoints' addresses by DNS",
            ),
            Self::ExternalName(name) => write!(
                f,
                "is an ExternalName: no proxy has rules for it, DNS answers with {name}"
            ),
            Self::OtherProxy(proxy) => write!(
                f,
                "is served by the proxy {proxy} (label service.kubernetes.io/service-proxy-name)"
            ),
            Self::NoClusterIp => {
                f.write_str("has no cluster IP yet: the API server has to give it one first")
            }
        }
    }
}
