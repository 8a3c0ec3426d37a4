//! From a cluster state that shows a difference to a small one that still does.

use std::fmt::Write;

use anyhow::Result;

use crate::conformance::spec::{
    Endpoint, Family, Ingress, Kind, PODS, Place, Policy, Service, State,
};

/// The smallest state, found step by step, for which `differs` holds as it does for `state`;
/// after `checks` of them, the smallest so far.
pub(crate) fn shrink(
    mut state: Vec<Service>,
    mut checks: usize,
    mut differs: impl FnMut(&[Service]) -> Result<bool>,
) -> Result<Vec<Service>> {
    'smaller: loop {
        for candidate in simpler(&state) {
            if checks == 0 {
                return Ok(state);
            }
            checks -= 1;
            if differs(&candidate)? {
                state = candidate;
                continue 'smaller;
            }
        }
        return Ok(state);
    }
}

/// Every state that is simpler by one step, those with fewer Services first.
fn simpler(state: &[Service]) -> Vec<Vec<Service>> {
    let mut candidates = Vec::new();
    if state.len() > 1 {
        // All but one, for each one; halves first where there are many.
        candidates.push(state[..state.len() / 2].to_vec());
        candidates.push(state[state.len() / 2..].to_vec());
        if state.len() > 2 {
            candidates.extend((0..state.len()).map(|at| without(state, at)));
        }
    }
    for (at, service) in state.iter().enumerate() {
        for simpler in simpler_services(service) {
            let mut candidate = state.to_vec();
            candidate[at] = simpler;
            candidates.push(candidate);
        }
    }
    candidates
}

fn without<T: Clone>(items: &[T], at: usize) -> Vec<T> {
    let mut items = items.to_vec();
    items.remove(at);
    items
}

fn simpler_services(service: &Service) -> Vec<Service> {
    let mut candidates = Vec::new();
    let mut with = |change: &dyn Fn(&mut Service)| {
        let mut candidate = service.clone();
        change(&mut candidate);
        if candidate != *service {
            candidates.push(candidate);
        }
    };
    if service.ports.len() > 1 {
        for at in 0..service.ports.len() {
            with(&|service| service.ports = without(&service.ports, at));
        }
    }
    for at in 0..service.endpoints.len() {
        with(&|service| service.endpoints = without(&service.endpoints, at));
    }
    with(&|service| service.families = vec![Family::V4]);
    with(&|service| service.families = vec![Family::V6]);
    with(&|service| service.affinity = None);
    with(&|service| service.ranges.clear());
    for at in 0..service.ranges.len() {
        with(&|service| service.ranges = without(&service.ranges, at));
    }
    with(&|service| service.external_ips = None);
    with(&|service| service.kind = Kind::ClusterIp);
    if service.kind == Kind::LoadBalancer {
        with(&|service| service.kind = Kind::NodePort);
    }
    with(&|service| service.ingress = Ingress::None);
    with(&|service| service.internal = Policy::Cluster);
    with(&|service| service.external = Policy::Cluster);
    with(&|service| service.other_proxy = false);
    for at in 0..service.endpoints.len() {
        with(&|service| service.endpoints[at].zones.clear());
        with(&|service| service.endpoints[at].nodes.clear());
        with(&|service| service.endpoints[at].slice = 0);
        with(&|service| service.endpoints[at].place = Place::Real);
        with(&|service| service.endpoints[at].state = State::Ready);
    }
    candidates
}

/// The state in a few lines, for a reader.
pub(crate) fn show(state: &[Service]) -> String {
    state
        .iter()
        .map(show_service)
        .collect::<Vec<_>>()
        .join("\n")
}

fn show_service(service: &Service) -> String {
    let mut text = format!("{} {:?} {:?}", service.name, service.kind, service.families);
    for port in &service.ports {
        let protocol = port.protocol.name();
        write!(text, " {protocol}:{}->{}", port.port, port.target).ok();
    }
    write!(
        text,
        " internal={:?} external={:?}",
        service.internal, service.external
    )
    .ok();
    if service.external_ips.is_some() {
        text.push_str(" external-ips");
    }
    if service.kind == Kind::LoadBalancer {
        write!(
            text,
            " ingress={:?} ranges={:?}",
            service.ingress, service.ranges
        )
        .ok();
    }
    if let Some(timeout) = service.affinity {
        write!(text, " affinity={timeout}").ok();
    }
    if service.other_proxy {
        text.push_str(" another-proxy");
    }
    for endpoint in &service.endpoints {
        text.push_str(&show_endpoint(endpoint));
    }
    text
}

fn show_endpoint(endpoint: &Endpoint) -> String {
    let (name, _) = PODS[endpoint.pod];
    let mut text = format!("\n    {name} {:?}", endpoint.state);
    if endpoint.place != Place::Real {
        write!(text, " node={:?}", endpoint.place).ok();
    }
    for (what, names) in [("zones", &endpoint.zones), ("nodes", &endpoint.nodes)] {
        if !names.is_empty() {
            write!(text, " {what}={names:?}").ok();
        }
    }
    if endpoint.slice != 0 {
        write!(text, " slice={}", endpoint.slice).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::random;

    #[test]
    fn only_what_makes_the_difference_is_left() {
        let differs = |state: &[Service]| {
            Ok(state.iter().any(|service| {
                let drains = |endpoint: &Endpoint| endpoint.state == State::Serving;
                service.external == Policy::Local && service.endpoints.iter().any(drains)
            }))
        };
        let state = (0..)
            .map(random::state)
            .find(|state| state.len() > 4 && differs(state).expect("no error"));
        let small = shrink(state.expect("a seed that differs"), 1000, differs).expect("no error");
        assert_eq!(small.len(), 1);
        assert_eq!((small[0].ports.len(), small[0].endpoints.len()), (1, 1));
        assert_eq!(small[0].kind, Kind::ClusterIp);
        assert_eq!(small[0].endpoints[0].zones.len(), 0);
        assert!(show(&small).contains("Serving"));
    }

    #[test]
    fn it_ends_when_the_checks_are_spent() {
        let state = random::state(3);
        let mut checks = 0;
        let same = shrink(state.clone(), 2, |_| {
            checks += 1;
            Ok(false)
        });
        assert_eq!(same.expect("no error"), state);
        assert_eq!(checks, 2);
    }
}
