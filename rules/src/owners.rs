//! Whose the frontends are that somebody saw packets go to: the way back from an address and a
//! port to Services. Costs what the Services have that are met, whatever else there is.

use crate::config::Config;
use crate::model::{EndpointAddr, Frontend, ObjectName, Protocol};
use crate::plan::{self, PortPlan};
use crate::state::View;
use foldhash::HashMap;
use std::sync::Arc;

/// A Service port that was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The Service.
    pub service: ObjectName,
    /// The port's name, empty if it has none.
    pub name: Arc<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`.
    pub number: u16,
    /// Those of the frontends that were asked for.
    pub frontends: Vec<Frontend>,
    /// Who serves it from this node, under either policy; sorted.
    pub endpoints: Vec<EndpointAddr>,
}

/// The Service ports that these frontends are, in no order. A node port is asked for with the
/// address that the client used, as packets have it; a Service's own address comes before node
/// ports, in the rules too. Frontends of nobody are left out.
pub fn owned(config: &Config, view: View<'_>, frontends: &[Frontend]) -> Vec<Owned> {
    let mut by_service: HashMap<&ObjectName, HashMap<Frontend, Vec<Frontend>>> = HashMap::default();
    for asked in frontends {
        let node_port = Frontend {
            address: None,
            ..*asked
        };
        let claimed = [*asked, node_port].into_iter();
        let owner =
            { claimed }.find_map(|claimed| Some((claimed, view.state.claims().owner(&claimed)?)));
        if let Some((claimed, service)) = owner {
            let of_service = by_service.entry(service).or_default();
            of_service.entry(claimed).or_default().push(*asked);
        }
    }
    let mut all = Vec::new();
    for (service, mut claimed) in by_service {
        let plan = plan::plan(config, view, service);
        for port in plan.map(|plan| plan.ports).unwrap_or_default() {
            let frontends = port.frontends.iter();
            let met = frontends.filter_map(|(frontend, _)| claimed.remove(frontend));
            let met: Vec<Frontend> = met.flatten().collect();
            if !met.is_empty() {
                all.push(of_port(service, port, met));
            }
        }
    }
    all
}

fn of_port(service: &ObjectName, port: PortPlan, frontends: Vec<Frontend>) -> Owned {
    let mut endpoints = port.cluster;
    endpoints.extend(port.local);
    endpoints.sort_unstable();
    endpoints.dedup();
    Owned {
        service: service.clone(),
        name: port.name,
        protocol: port.protocol,
        number: port.number,
        frontends,
        endpoints,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Endpoint, EndpointPort, EndpointSlice, Family, Hints, Service, ServicePort,
    };
    use crate::{Change, State};

    fn frontend(address: &str, port: u16) -> Frontend {
        Frontend {
            address: Some(address.parse().expect("an address")),
            protocol: Protocol::Tcp,
            port,
        }
    }

    fn backend(address: &str) -> EndpointAddr {
        EndpointAddr {
            address: address.parse().expect("an address"),
            port: 8080,
        }
    }

    #[test]
    fn frontends_lead_back_to_service_ports_and_who_serves_them() {
        let mut state = State::new();
        let port = |name: &str, port, node_port| ServicePort {
            name: name.into(),
            protocol: Protocol::Tcp,
            port,
            node_port,
        };
        state.apply(Change::Service(Service {
            name: ObjectName::new("shop", "web"),
            cluster_ips: vec!["10.96.0.1".parse().expect("an address")],
            ports: vec![port("http", 80, Some(30080)), port("admin", 81, None)],
            ..Service::default()
        }));
        let pod = |address: &str, ready| Endpoint {
            address: address.parse().expect("an address"),
            node: Some("n1".into()),
            ready,
            serving: ready,
            terminating: false,
            hints: Hints::default(),
        };
        state.apply(Change::Slice(EndpointSlice {
            name: ObjectName::new("shop", "web-1"),
            service: ObjectName::new("shop", "web"),
            family: Family::V4,
            last_change_trigger: None,
            ports: vec![EndpointPort {
                name: "http".into(),
                protocol: Protocol::Tcp,
                port: 8080,
            }],
            endpoints: vec![
                pod("10.244.0.2", true),
                pod("10.244.0.1", true),
                pod("10.244.0.3", false),
            ],
        }));
        let asked = [
            frontend("10.96.0.1", 80),
            frontend("192.0.2.1", 30080),
            frontend("192.0.2.7", 30080),
            frontend("10.96.0.1", 81),
            // Of nobody: another port, and another address.
            frontend("10.96.0.1", 82),
            frontend("10.96.0.2", 80),
        ];
        let config = Config::new(Family::V4, "n1");
        let mut found = owned(&config, state.view(), &asked);
        found.sort_by_key(|port| port.number);
        let [http, admin] = &mut found[..] else {
            panic!("{found:?}");
        };
        http.frontends.sort_unstable();
        assert_eq!(http.frontends, asked[..3]);
        assert_eq!(
            http.endpoints,
            [backend("10.244.0.1"), backend("10.244.0.2")]
        );
        assert_eq!((&*admin.name, &*admin.endpoints), ("admin", &[][..]));
    }
}
