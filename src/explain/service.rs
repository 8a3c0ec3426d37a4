//! One Service: what is told of it.

use super::here::Here;
use super::planned::{Planned, Subject};
use crate::inspect::{Facts, name_of, unproxied};
use crate::world::World;
use k8s_openapi::api::core::v1::Service;
use rules::explain::{
    Explanation, FrontendExplained, Known, Place, Wanted, endpoints, findings, health, is_external,
    wanted,
};
use rules::finding::Finding;
use rules::model::{Family, Frontend, Node, ObjectName};
use rules::plan;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A Service and all that is known.
pub(super) struct Case<'a> {
    pub(super) facts: &'a Facts,
    pub(super) raw: &'a Service,
    pub(super) world: &'a World,
    pub(super) planned: &'a [Planned],
    pub(super) problems: &'a [String],
}

impl Case<'_> {
    fn name(&self) -> ObjectName {
        name_of(self.raw)
    }

    /// What is told of it, all but what other nodes answer.
    pub(super) fn told(&self, here: &mut Here) -> Explanation {
        let mut told = self.of_objects();
        let Some(service) = self.world.state().service(&self.name()) else {
            return told;
        };
        told.internal_policy = service.internal_policy.into();
        told.external_policy = is_external(service).then(|| service.external_policy.into());
        told.session_affinity_seconds = service.session_affinity;
        let nodes = self.world.node_objects();
        let pods = self.pod_names();
        for planned in self.planned {
            let place = self.place(planned, &nodes);
            let frontends = wanted(service, planned.family);
            if frontends.is_empty() {
                continue;
            }
            told.endpoints.extend(endpoints(place, &self.name(), &pods));
            if told.health.is_none() {
                told.health = health(place, &self.name());
            }
            self.frontends(&mut told, planned, frontends, here);
        }
        told
    }

    /// What the objects say by themselves.
    fn of_objects(&self) -> Explanation {
        let spec = self.raw.spec.as_ref();
        let kind = spec.and_then(|spec| spec.type_.clone());
        let ranges = spec.and_then(|spec| spec.load_balancer_source_ranges.clone());
        let selector = spec.and_then(|spec| spec.selector.clone());
        Explanation {
            service: self.name().to_string(),
            kind: kind.unwrap_or_else(|| "ClusterIP".to_owned()),
            source_ranges: ranges.unwrap_or_default(),
            selector: selector.unwrap_or_default(),
            unproxied: unproxied(self.raw).map(|why| why.to_string()),
            ..Explanation::default()
        }
    }

    fn place<'a>(&'a self, planned: &'a Planned, nodes: &'a [&'a Node]) -> Place<'a> {
        Place {
            view: self.world.here().view(),
            config: &planned.config,
            nodes,
        }
    }

    /// Pods by their addresses, as the EndpointSlices name them.
    fn pod_names(&self) -> BTreeMap<IpAddr, String> {
        let mut names = BTreeMap::new();
        for slice in self.facts.slices_of(&self.name()) {
            for endpoint in slice.endpoints.iter().flatten() {
                let target = endpoint.target_ref.as_ref();
                let pod = target.filter(|own| own.kind.as_deref() == Some("Pod"));
                let name = pod.and_then(|own| own.name.as_deref());
                let address = endpoint.addresses.first().and_then(|own| own.parse().ok());
                if let (Some(name), Some(address)) = (name, address) {
                    names.insert(address, format!("{}/{name}", self.name().namespace));
                }
            }
        }
        names
    }

    /// The frontends of a family, and what the kernel holds of them.
    fn frontends(
        &self,
        told: &mut Explanation,
        planned: &Planned,
        frontends: Vec<Wanted>,
        here: &mut Here,
    ) {
        let name = self.name();
        let view = self.world.here().view();
        let Some(plan) = plan::plan(&planned.config, view, &name) else {
            return;
        };
        let subject = Subject {
            name: &name,
            plan: &plan,
            frontends: &frontends,
        };
        let rules = planned.told(&subject, here);
        for (own, served) in frontends.iter().zip(rules.frontends) {
            let asking = self.world.state().asking_for(&own.frontend);
            let held_by = asking.first().filter(|holder| ***holder != name);
            told.frontends.push(FrontendExplained {
                kind: own.kind,
                family: planned.family.label().to_owned(),
                address: own.frontend.address,
                protocol: own.frontend.protocol.to_string(),
                port: own.frontend.port,
                port_name: own.port_name.clone(),
                chain: served.chain,
                meaning: served.meaning,
                held_by: held_by.map(ToString::to_string),
                outside: served.outside,
                pods: served.pods,
                node: served.node,
            });
        }
        told.rules.extend(rules.lines);
        if let Some(mut kernel) = rules.kernel {
            // Without the ranges nobody knows what the chain should say of them.
            let unsure = self.facts.cidrs.is_err();
            let differences = &mut kernel.differences;
            differences.retain(|text| !(unsure && text.starts_with("chain check-cluster-ips")));
            kernel.as_it_should = Some(differences.is_empty());
            told.kernel.push(kernel);
        }
    }

    /// What is wrong with it.
    pub(super) fn findings(&self, told: &Explanation) -> Vec<Finding> {
        let name = self.name();
        let Some(service) = self.world.state().service(&name) else {
            return Vec::new();
        };
        let nodes = self.world.node_objects();
        let families = self.planned.iter().filter(|planned| {
            let mut ips = service.cluster_ips.iter();
            ips.any(|ip| Family::of(*ip) == planned.family)
        });
        let families: Vec<&Planned> = families.collect();
        let places: Vec<Place<'_>> = families
            .iter()
            .map(|planned| self.place(planned, &nodes))
            .collect();
        let spec = self.raw.spec.as_ref();
        let pods = self.facts.pods_of(self.raw).ok().map(|pods| pods.len());
        let known = Known {
            pods: pods.filter(|_| !told.selector.is_empty() && !self.facts.files_without_pods),
            traffic_distribution: spec.and_then(|spec| spec.traffic_distribution.clone()),
            nodeport_addresses: families
                .iter()
                .map(|own| own.nodeport_addresses())
                .collect(),
            losers: self.losers(&name, service),
            problems: self.problems.to_vec(),
        };
        findings(&places, &name, told, &known)
    }

    /// Services that ask for a frontend that this one has.
    fn losers(
        &self,
        name: &ObjectName,
        service: &rules::model::Service,
    ) -> Vec<(String, ObjectName)> {
        let frontends = Family::ALL.into_iter();
        let frontends = frontends.flat_map(|family| wanted(service, family));
        let mut losers = Vec::new();
        let mut seen = BTreeSet::new();
        for own in frontends {
            let asking = self.world.state().asking_for(&own.frontend);
            if asking.first() != Some(&name) {
                continue;
            }
            for loser in &asking[1..] {
                if seen.insert((own.frontend, (*loser).clone())) {
                    losers.push((words(&own.frontend), (*loser).clone()));
                }
            }
        }
        losers
    }
}

fn words(frontend: &Frontend) -> String {
    let (port, protocol) = (frontend.port, frontend.protocol);
    match frontend.address {
        Some(address) => format!("{}/{protocol}", std::net::SocketAddr::new(address, port)),
        None => format!("node port {port}/{protocol}"),
    }
}
