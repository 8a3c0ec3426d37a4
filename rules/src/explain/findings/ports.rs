//! Whether anybody serves each port: KP101, KP103, KP106, KP107, KP108.

use super::{Case, some};
use crate::explain::data::EndpointExplained;
use crate::explain::endpoints::Place;
use crate::explain::slices::{Mismatch, mismatch, quoted};
use crate::finding::{Code, Finding, Severity};
use crate::model::{Family, ServicePort};
use std::collections::BTreeMap;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(selector(case));
    for place in case.places {
        for port in &case.service.ports {
            found.extend(of_port(case, *place, port));
        }
    }
    found
}

/// KP106.
fn selector(case: &Case<'_>) -> Option<Finding> {
    if case.known.pods != Some(0) || case.told.selector.is_empty() {
        return None;
    }
    let pairs = case.told.selector.iter();
    let pairs: Vec<String> = pairs.map(|(key, own)| format!("{key}={own}")).collect();
    let namespace = &case.service.name.namespace;
    let finding = Finding::new(
        Code::SelectorMatchesNoPod,
        Severity::Error,
        format!("no pod has the labels {}", pairs.join(",")),
        format!(
            "compare the selector with the pods' labels: kubectl get pods -n {namespace} --show-labels"
        ),
    );
    Some(finding.about(case.object()))
}

fn of_port(case: &Case<'_>, place: Place<'_>, port: &ServicePort) -> Option<Finding> {
    let family = place.config.family;
    let entry = place.view.state.entry(&case.service.name)?;
    if let Some(mismatch) = mismatch(port, family, &entry.slices, &case.service.ports) {
        return Some(ports_disagree(case, port, mismatch));
    }
    let of_port = |own: &&EndpointExplained| {
        *own.port_name == *port.name
            && own.protocol == port.protocol.to_string()
            && Family::of(own.address) == family
    };
    let endpoints: Vec<&EndpointExplained> = case.told.endpoints.iter().filter(of_port).collect();
    if endpoints.iter().any(|own| own.ready && own.port.is_some()) {
        return None;
    }
    let fallback = |own: &&EndpointExplained| own.serving && own.terminating;
    let terminating = endpoints.iter().copied().filter(fallback).count();
    let label = label(port, place, case);
    let finding = match terminating {
        0 => Finding::new(
            Code::NoReadyEndpoint,
            Severity::Error,
            format!("no endpoint serves port {label}: connections are refused"),
            nobody(case),
        ),
        count => Finding::new(
            Code::OnlyTerminating,
            Severity::Warning,
            format!(
                "port {label} is served by {count} endpoint{} that terminate{}; after that nobody serves it",
                if count == 1 { "" } else { "s" },
                if count == 1 { "s" } else { "" },
            ),
            "see why no new pod becomes ready: kubectl describe pod; keep some by maxUnavailable: 0"
                .to_owned(),
        ),
    };
    let mut finding = finding.about(case.object());
    finding.evidence = evidence(&endpoints);
    Some(finding)
}

/// What to do if nobody serves.
fn nobody(case: &Case<'_>) -> String {
    let namespace = &case.service.name.namespace;
    let name = &case.service.name.name;
    let pairs = case.told.selector.iter();
    let pairs: Vec<String> = pairs.map(|(key, own)| format!("{key}={own}")).collect();
    match pairs.join(",") {
        none if none.is_empty() => format!(
            "the Service has no selector, so somebody has to write its EndpointSlices: kubectl get \
             endpointslices -n {namespace} -l kubernetes.io/service-name={name}"
        ),
        pairs => {
            format!("see why its pods are not ready: kubectl get pods -n {namespace} -l {pairs}")
        }
    }
}

/// Endpoints by why they do not serve.
fn evidence(endpoints: &[&EndpointExplained]) -> Vec<String> {
    if endpoints.is_empty() {
        return vec!["its EndpointSlices have no endpoint".to_owned()];
    }
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for own in endpoints {
        let reason = match &own.left_out {
            Some(reason) => reason.as_str(),
            None => "terminates, and serves for want of ready ones",
        };
        let node = own.node.as_deref().unwrap_or("no node");
        let what = own
            .pod
            .as_deref()
            .map_or(String::new(), |pod| format!("{pod}, "));
        let text = format!("{} ({what}{node})", own.address);
        by_reason.entry(reason).or_default().push(text);
    }
    let lines = by_reason.into_iter();
    lines
        .map(|(reason, all)| format!("{reason}: {}", some(all).join(", ")))
        .collect()
}

/// KP107 and KP108.
fn ports_disagree(case: &Case<'_>, port: &ServicePort, mismatch: Mismatch) -> Finding {
    let number = format!("{}/{}", port.port, port.protocol);
    let name = quoted(&port.name);
    let finding = match mismatch {
        Mismatch::NamedOtherwise { name: other, port } => {
            let other = quoted(&other);
            Finding::new(
                Code::PortNamesDiffer,
                Severity::Error,
                format!("port {number} is {name} in the Service and {other} in its EndpointSlices, so nobody serves it"),
                "give both the same name (ports[].name): names are all that connects them",
            )
            .because(format!("the EndpointSlices have port {port}, {other}"))
        }
        Mismatch::Missing(offered) => {
            let offered = match offered.as_slice() {
                [] => "no port".to_owned(),
                all => format!("the ports {}", all.join(", ")),
            };
            Finding::new(
                Code::PortNotInSlices,
                Severity::Error,
                format!("its EndpointSlices have no port for {number}, {name}, so nobody serves it"),
                "if targetPort is a name, a container port needs that name; protocols have to be the same",
            )
            .because(format!("the EndpointSlices have {offered}"))
        }
    };
    finding.about(case.object())
}

/// A port in words; with its family where there are two.
fn label(port: &ServicePort, place: Place<'_>, case: &Case<'_>) -> String {
    let mut label = format!("{}/{}", port.port, port.protocol);
    if !port.name.is_empty() {
        label = format!("{label} ({})", port.name);
    }
    if case.places.len() > 1 {
        label = format!("{label} of {}", place.config.family);
    }
    label
}
