//! How a Service and its ports are planned: which frontends they have, and who serves them.

use super::{Balance, FrontendKind, PortPlan, ServicePlan, Serving, Sources};
use crate::config::Config;
use crate::limits;
use crate::model::{Family, Frontend, Service, ServicePort, TrafficPolicy};
use crate::select::{Needs, Place, Selection, Selector, local_ready_addresses};
use crate::state::{Entry, View, claims};
use crate::{HealthCheck, State};
use foldhash::HashSet;
use std::net::IpAddr;

/// Plans a Service; `None` if it is not there or has nothing in this family.
pub(super) fn service(config: &Config, view: View<'_>, entry: &Entry) -> Option<ServicePlan> {
    let service = entry.service.as_deref()?;
    let of_family = |address: &IpAddr| Family::of(*address) == config.family;
    let cluster_ips: Box<[_]> = service
        .cluster_ips
        .iter()
        .copied()
        .filter(of_family)
        .collect();
    if cluster_ips.is_empty() {
        return None;
    }
    let place = Place {
        node: &config.node_name,
        zone: view.zone,
    };
    let mut plan = ServicePlan {
        cluster_ips,
        ..ServicePlan::default()
    };
    let mut taken = HashSet::default();
    let mut numbers = HashSet::default();
    let mut ports = Vec::with_capacity(service.ports.len());
    let mut selector = Selector::new(
        (service.ports.len(), limits::addresses(service)),
        config.family,
        &entry.slices,
        place,
    );
    for port in &service.ports {
        // A repeated one has been complained of when the Service came.
        if !numbers.insert((port.protocol, port.port)) {
            continue;
        }
        let mut build = PortBuild {
            config,
            state: view.state,
            service,
            port,
        };
        ports.push(build.plan(&mut taken, &mut plan, &mut selector));
    }
    plan.ports = ports;
    plan.sources = Sources::of(config, view.state.claims(), service);
    plan.health = service.health_check_node_port.map(|port| HealthCheck {
        port,
        local_endpoints: local_ready_addresses(config.family, &entry.slices, place),
    });
    Some(plan)
}

/// What planning one port reads.
struct PortBuild<'a> {
    config: &'a Config,
    state: &'a State,
    service: &'a Service,
    port: &'a ServicePort,
}

impl PortBuild<'_> {
    /// docs/reference.md#traffic-policies.
    fn plan(
        &mut self,
        taken: &mut HashSet<Frontend>,
        totals: &mut ServicePlan,
        selector: &mut Selector<'_>,
    ) -> PortPlan {
        let (frontends, kinds) = self.frontends(taken);
        let is_internal = |kind: &FrontendKind| *kind == FrontendKind::ClusterIp;
        let needs = self.needs(!kinds.iter().all(is_internal));
        let selection = selector.select(self.port, needs);
        self.count_missing(&selection, totals);

        let inside = self.internal_serving(&selection);
        let outside = self.external_serving(&selection);
        let serving = kinds.iter().map(|kind| match is_internal(kind) {
            true => inside,
            false => outside,
        });
        let frontends: Box<[_]> = frontends.into_iter().zip(serving).collect();
        PortPlan {
            name: self.port.name.clone(),
            protocol: self.port.protocol,
            number: self.port.port,
            balance: self.balance(&selection),
            affinity: self.service.session_affinity,
            frontends,
            kinds,
            cluster: selection.cluster,
            local: selection.local,
            hairpin: selection.on_this_node.into(),
            refused_on_localhost: self.config.localhost.refuses(self.port.protocol),
            listed: selection.listed,
        }
    }

    /// Clients are remembered as far as that does not ask too much of the kernel.
    fn balance(&self, selection: &Selection) -> Balance {
        let ports = self.service.ports.len();
        let endpoints = selection.cluster.len().max(selection.local.len());
        match self.service.session_affinity {
            Some(_) if ports > limits::PORTS_WITH_CHAINS => Balance::Random,
            Some(seconds) if endpoints <= limits::remembering_of_each(ports) => {
                Balance::Remembered { seconds }
            }
            Some(_) => Balance::SourceHash,
            None => Balance::Random,
        }
    }

    /// The frontends of this family that this Service serves, each once, with what they are to it.
    fn frontends(&self, taken: &mut HashSet<Frontend>) -> (Vec<Frontend>, Box<[FrontendKind]>) {
        let family = self.config.family;
        let all = claims::frontends(self.service, self.port)
            .filter(|(own, _)| own.address.is_none_or(|ip| Family::of(ip) == family))
            .filter(|(own, _)| self.state.claims().owns(&self.service.name, own))
            .filter(|(own, _)| taken.insert(*own));
        let (frontends, kinds): (Vec<_>, Vec<_>) = all.unzip();
        (frontends, kinds.into())
    }

    fn needs(&self, reachable_from_outside: bool) -> Needs {
        let internal_local = self.service.internal_policy == TrafficPolicy::Local;
        let external_local = self.service.external_policy == TrafficPolicy::Local;
        Needs {
            cluster: !internal_local || reachable_from_outside,
            local: internal_local || (external_local && reachable_from_outside),
        }
    }

    fn internal_serving(&self, selection: &Selection) -> Serving {
        match self.service.internal_policy {
            _ if !selection.any => Serving::Reject,
            TrafficPolicy::Cluster => Serving::Cluster { masquerade: false },
            TrafficPolicy::Local if selection.local.is_empty() => Serving::Drop,
            TrafficPolicy::Local => Serving::Local,
        }
    }

    fn external_serving(&self, selection: &Selection) -> Serving {
        match self.service.external_policy {
            _ if !selection.any => Serving::Reject,
            TrafficPolicy::Cluster => Serving::Cluster { masquerade: true },
            TrafficPolicy::Local => Serving::ExternalLocal,
        }
    }

    fn count_missing(&self, selection: &Selection, totals: &mut ServicePlan) {
        if !selection.any || !selection.local.is_empty() {
            return;
        }
        let service = self.service;
        if service.internal_policy == TrafficPolicy::Local {
            totals.no_local_internal += 1;
        }
        let external = service.kind.is_external() || !service.external_ips.is_empty();
        if service.external_policy == TrafficPolicy::Local && external {
            totals.no_local_external += 1;
        }
    }
}
