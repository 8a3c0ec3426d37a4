//! EndpointSlices.

use super::{Converted, exact, has_label, object_name, port, protocol};
use crate::config::parse_ip;
use crate::source::intern::Interner;
use crate::source::objects as api;
use rules::model::{Endpoint, EndpointPort, EndpointSlice, Family, Hints, ObjectName};

/// The label that names an EndpointSlice's Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
const HEADLESS: &str = "service.kubernetes.io/headless";
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// Converts an EndpointSlice (docs/reference.md#services-and-slices). Those of headless
/// Services, of no Service, and with host names get no rules.
pub fn endpoint_slice(
    slice: &api::EndpointSlice,
    intern: &mut Interner,
) -> Converted<EndpointSlice> {
    let labels = slice.metadata.labels.as_ref();
    let service = labels
        .and_then(|labels| labels.get(SERVICE_NAME))
        .filter(|name| !name.is_empty());
    let (Some(service), false) = (service, has_label(&slice.metadata, HEADLESS)) else {
        return Converted::nothing();
    };
    let family = match slice.address_type.as_str() {
        "IPv4" => Family::V4,
        "IPv6" => Family::V6,
        "FQDN" => return Converted::nothing(),
        other => {
            let problems = vec![format!(
                "addressType: {other:?} is none of IPv4, IPv6, FQDN"
            )];
            return Converted::new(None, problems);
        }
    };
    let mut problems = Vec::new();
    let name = object_name(&slice.metadata);
    let object = EndpointSlice {
        service: ObjectName::new(name.namespace.clone(), service.as_str()),
        name,
        family,
        ports: ports(slice, intern, &mut problems),
        endpoints: endpoints(slice, family, intern, &mut problems),
        last_change_trigger: trigger_time(slice, &mut problems),
    };
    Converted::new(Some(object), problems)
}

/// A port without a name is the unnamed one, as the API server would complete it.
/// One without a number is no error: it means "none in particular".
fn ports(
    slice: &api::EndpointSlice,
    intern: &mut Interner,
    problems: &mut Vec<String>,
) -> Vec<EndpointPort> {
    let ports = slice.ports.iter().flatten().enumerate();
    exact(ports.filter_map(|(at, own)| {
        let number = own.port?;
        let name = own.name.as_deref().unwrap_or_default();
        let protocol = protocol(
            format_args!("ports[{at}].protocol"),
            own.protocol.as_ref(),
            problems,
        );
        let port = port(format_args!("ports[{at}].port"), number, problems);
        Some(EndpointPort {
            name: intern.get(name),
            protocol: protocol?,
            port: port?,
        })
    }))
}

fn endpoints(
    slice: &api::EndpointSlice,
    family: Family,
    intern: &mut Interner,
    problems: &mut Vec<String>,
) -> Vec<Endpoint> {
    let list = slice.endpoints.iter().flatten().enumerate();
    exact(list.filter_map(|(at, own)| {
        let Some(text) = own.addresses.first() else {
            problems.push(format!("endpoints[{at}].addresses: is empty"));
            return None;
        };
        let Some(address) = parse_ip(text).filter(|ip| Family::of(*ip) == family) else {
            problems.push(format!(
                "endpoints[{at}].addresses[0]: {text:?} is not an {family} address"
            ));
            return None;
        };
        let conditions = own.conditions.as_ref();
        let condition =
            |get: fn(&api::EndpointConditions) -> Option<bool>| conditions.and_then(get);
        Some(Endpoint {
            address,
            node: own.node_name.as_ref().map(|node| intern.get(node)),
            ready: condition(|own| own.ready).unwrap_or(true),
            serving: condition(|own| own.serving).unwrap_or(true),
            terminating: condition(|own| own.terminating).unwrap_or(false),
            hints: own
                .hints
                .as_ref()
                .map(|own| hints(own, intern))
                .unwrap_or_default(),
        })
    }))
}

fn hints(hints: &api::EndpointHints, intern: &mut Interner) -> Hints {
    let zones = hints.for_zones.iter().flatten().map(|zone| &zone.name);
    let zones: Vec<_> = zones.map(|name| intern.get(name)).collect();
    let nodes = hints.for_nodes.iter().flatten().map(|node| &node.name);
    let nodes: Vec<_> = nodes.map(|name| intern.get(name)).collect();
    Hints::new(zones, nodes)
}

fn trigger_time(slice: &api::EndpointSlice, problems: &mut Vec<String>) -> Option<i64> {
    let text = slice.metadata.annotations.as_ref()?.get(TRIGGER_TIME)?;
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Some(time.as_millisecond()),
        Err(_) => {
            problems.push(format!(
                "annotation {TRIGGER_TIME}: {text:?} is not an RFC 3339 time"
            ));
            None
        }
    }
}
