//! Services that are larger than what a node programs for one (see `limits`).

use super::problems::{Problem, ProblemKind};
use crate::limits;
use crate::model::{EndpointSlice, Family, Service};
use ipnet::IpNet;

/// Leaves out of a Service what is too much of addresses × ports.
pub(super) fn cut_frontends(service: &mut Service) -> Option<Problem> {
    let has_node_port = service.ports.iter().any(|port| port.node_port.is_some());
    let own = service.cluster_ips.len() + usize::from(has_node_port);
    let balancer = service.load_balancer_ips.len();
    let external = service.external_ips.len();
    let ports = service.ports.len();
    if ports.saturating_mul(own + balancer + external) <= limits::FRONTENDS {
        return None;
    }
    let room = (limits::FRONTENDS / ports.max(1)).saturating_sub(own);
    // One of each family is what most have.
    service.load_balancer_ips.truncate(room.max(2));
    let balancer_left = service.load_balancer_ips.len();
    service
        .external_ips
        .truncate(room.saturating_sub(balancer_left));
    let addresses = own + balancer_left + service.external_ips.len();
    service.ports.truncate(limits::FRONTENDS / addresses.max(1));
    let lost = [
        (external - service.external_ips.len(), "external IPs"),
        (balancer - balancer_left, "load-balancer IPs"),
        (ports - service.ports.len(), "ports"),
    ];
    let lost = lost.iter().filter(|(count, _)| *count > 0);
    let lost: Vec<String> = lost
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let note = format!(
        "its {ports} ports at {} addresses are more than {}; not served are the last {}",
        own + balancer + external,
        limits::FRONTENDS,
        lost.join(", ")
    );
    Some(left_out(service, note))
}

/// Leaves source ranges out of a Service that has too many of them.
pub(super) fn cut_sources(service: &mut Service) -> Option<Problem> {
    let all = service.source_ranges.len();
    if all <= limits::SOURCE_RANGES {
        return None;
    }
    let mut ranges = IpNet::aggregate(&service.source_ranges.to_vec());
    let left = ranges.len();
    ranges.truncate(limits::SOURCE_RANGES);
    service.source_ranges = ranges.into();
    let lost = left.checked_sub(limits::SOURCE_RANGES + 1)? + 1;
    let note = format!(
        "its {all} source ranges are more than {}; of its addresses in order, the last {lost} \
         ranges are not let in",
        limits::SOURCE_RANGES
    );
    Some(left_out(service, note))
}

/// What a Service with these slices loses, in words.
pub(super) fn of_endpoints(service: &Service, slices: &[EndpointSlice]) -> Option<Problem> {
    let ports = service.ports.len();
    let notes = Family::ALL.into_iter().filter_map(|family| {
        let of_family = slices.iter().filter(|own| own.family == family);
        let endpoints: usize = of_family.map(|own| own.endpoints.len()).sum();
        let (each, remembering) = (
            limits::endpoints_of_each(ports, limits::addresses(service)),
            limits::remembering_of_each(ports),
        );
        if endpoints > each {
            Some(format!(
                "{endpoints} endpoints of {family} at {ports} ports are more than a node takes; \
                 on each a port is served by {each} of them"
            ))
        } else if service.session_affinity.is_some() && ports > limits::PORTS_WITH_CHAINS {
            Some(format!(
                "{ports} ports are more than the {} that may have session affinity; clients are \
                 not remembered",
                limits::PORTS_WITH_CHAINS
            ))
        } else if service.session_affinity.is_some() && endpoints > remembering {
            Some(format!(
                "{endpoints} endpoints of {family} at {ports} ports are more than the {} that \
                 remember clients; a client keeps its endpoint until one comes or goes",
                limits::REMEMBERING
            ))
        } else {
            None
        }
    });
    let notes: Vec<String> = notes.collect();
    (!notes.is_empty()).then(|| left_out(service, notes.join("; ")))
}

fn left_out(service: &Service, note: String) -> Problem {
    Problem {
        service: service.name.clone(),
        kind: ProblemKind::LeftOut,
        text: format!("Service {}: {note}", service.name),
        note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Endpoint, Hints, ObjectName, Protocol, ServicePort};
    use std::net::IpAddr;

    fn addresses(count: usize) -> Vec<IpAddr> {
        let address = |n: usize| IpAddr::from(u32::try_from(n).expect("few").to_be_bytes());
        (1..=count).map(address).collect()
    }

    fn service(ports: u16, external: usize, balancer: usize, node_ports: bool) -> Service {
        let port = |n: u16| ServicePort {
            name: format!("p{n}").into(),
            protocol: Protocol::Tcp,
            port: n,
            node_port: node_ports.then_some(n),
        };
        Service {
            name: ObjectName::new("default", "web"),
            cluster_ips: addresses(1),
            external_ips: addresses(external),
            load_balancer_ips: addresses(balancer),
            ports: (1..=ports).map(port).collect(),
            ..Service::default()
        }
    }

    #[test]
    fn what_is_too_much_goes_in_order() {
        // Ports, external IPs, load-balancer IPs and node ports; then what is left.
        let rows = [
            ((10, 3000, 2, true), (10, 3000, 2), None),
            ((10_000, 0, 1, true), (10_000, 0, 1), None),
            (
                (20, 50_000, 1, true),
                (20, 1635, 1),
                Some("the last 48365 external IPs"),
            ),
            (
                (100, 1000, 1000, false),
                (100, 0, 326),
                Some("the last 1000 external IPs, 674 load-balancer IPs"),
            ),
            (
                (60_000, 5, 5, true),
                (8192, 0, 2),
                Some("the last 5 external IPs, 3 load-balancer IPs, 51808 ports"),
            ),
            (
                (40_000, 0, 0, false),
                (32_768, 0, 0),
                Some("the last 7232 ports"),
            ),
        ];
        for ((ports, external, balancer, node_ports), left, lost) in rows {
            let mut own = service(ports, external, balancer, node_ports);
            let problem = cut_frontends(&mut own);
            let is = (
                own.ports.len(),
                own.external_ips.len(),
                own.load_balancer_ips.len(),
            );
            assert_eq!(is, left, "{ports} ports");
            assert_eq!(problem.is_some(), lost.is_some(), "{ports} ports");
            if let (Some(problem), Some(lost)) = (problem, lost) {
                assert!(problem.note.ends_with(lost), "{problem}");
                assert!(
                    problem.text.starts_with("Service default/web: "),
                    "{problem}"
                );
                assert_eq!(cut_frontends(&mut own), None, "it fits now");
            }
        }
    }

    #[test]
    fn too_many_source_ranges_let_nobody_else_in() {
        let ranges = |step: usize, count: usize| -> Vec<IpNet> {
            let every = addresses(step * count).into_iter().step_by(step);
            every.map(IpNet::from).collect()
        };
        // Neighbours are few ranges, whatever they are written as.
        let rows = [
            (2, limits::SOURCE_RANGES, limits::SOURCE_RANGES, None),
            (1, 1 << 16, 17, None),
            (
                2,
                limits::SOURCE_RANGES + 1,
                limits::SOURCE_RANGES,
                Some("the last 1 ranges are not let in"),
            ),
            (
                2,
                70_000,
                limits::SOURCE_RANGES,
                Some("the last 50000 ranges are not let in"),
            ),
        ];
        for (step, count, left, told) in rows {
            let mut own = service(1, 0, 1, false);
            own.source_ranges = ranges(step, count).into();
            let wanted = own.source_ranges.clone();
            let note = cut_sources(&mut own).map(|problem| problem.note);
            assert_eq!(own.source_ranges.len(), left, "{count} by {step}");
            let known = |range: &IpNet| wanted.iter().any(|own| range.contains(own));
            assert!(own.source_ranges.iter().take(100).all(known));
            match told {
                None => assert_eq!(note, None),
                Some(end) => assert!(note.is_some_and(|note| note.ends_with(end)), "{count}"),
            }
        }
    }

    #[test]
    fn too_many_endpoints_are_told() {
        let slice = |count: usize| EndpointSlice {
            name: ObjectName::new("default", "web-x"),
            service: ObjectName::new("default", "web"),
            family: Family::V4,
            ports: Vec::new(),
            endpoints: addresses(count).into_iter().map(endpoint).collect(),
            last_change_trigger: None,
        };
        let rows = [
            (1, false, 5000, None),
            (1, false, 65_537, Some("a port is served by 65536 of them")),
            (100, false, 656, Some("a port is served by 655 of them")),
            (600, false, 110, Some("a port is served by 109 of them")),
            (600, true, 10, Some("clients are not remembered")),
            (1, true, 1024, None),
            (
                1,
                true,
                1025,
                Some("a client keeps its endpoint until one comes or goes"),
            ),
            (
                20,
                true,
                52,
                Some("a client keeps its endpoint until one comes or goes"),
            ),
        ];
        for (ports, sticky, endpoints, told) in rows {
            let mut own = service(ports, 0, 0, false);
            own.session_affinity = sticky.then_some(60);
            let problem = of_endpoints(&own, &[slice(endpoints)]);
            let note = problem.map(|problem| problem.note);
            let ends = note
                .as_ref()
                .zip(told)
                .is_some_and(|(note, end)| note.ends_with(end));
            assert!(ends || (note.is_none() && told.is_none()), "{note:?}");
        }
    }

    fn endpoint(address: IpAddr) -> Endpoint {
        Endpoint {
            address,
            node: None,
            ready: true,
            serving: true,
            terminating: false,
            hints: Hints::default(),
        }
    }
}
