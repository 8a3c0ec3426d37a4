//! One Service: what is told of it.

use super::here::Here;
use crate::inspect::{Cluster, Facts, Unseen, name_of, unproxied};
use crate::settings::Settings;
use crate::world::World;
use k8s_openapi::api::core::v1::Service;
use rules::explain::{
    Explanation, FrontendExplained, KernelState, Known, Place, Wanted, endpoints, findings, health,
    is_external, wanted,
};
use rules::finding::Finding;
use rules::model::{Family, Frontend, Node, ObjectName};
use rules::nft::explain::{
    Asked, Clients, Excerpt, Standpoint, answers, differences, excerpt, owner, serving,
};
use rules::nft::ruleset::SetId;
use rules::nft::{Kernel as _, Planner, Table};
use rules::{Config, NodeportAddresses, plan};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;

/// One family's rules as they should be, for the Services that are known.
pub(super) struct Planned {
    family: Family,
    config: Config,
    table: Table,
    /// The node's addresses.
    addresses: Vec<IpAddr>,
}

impl Planned {
    /// Both families.
    pub(super) fn all(world: &World, here: &Here) -> Vec<Self> {
        let standpoint = world.here();
        let addresses = match here.addresses() {
            Some(addresses) => addresses.to_vec(),
            None => standpoint.stated_addresses(),
        };
        let planned = Family::ALL.into_iter().map(|family| {
            let config = standpoint.config(family);
            let mut planner = Planner::new(config.clone());
            let view = standpoint.view();
            let mut table = Table::new();
            if let Some(pending) = planner.prepare_seen(view, &addresses, Default::default) {
                // It is the first one, into a table that takes what the kernel takes.
                table.apply(&pending.transaction).ok();
            }
            Self {
                family,
                config,
                table,
                addresses: addresses.clone(),
            }
        });
        planned.collect()
    }

    fn excerpt(&self, asked: &Asked) -> Excerpt {
        let read: Result<Excerpt, Infallible> = excerpt(&mut &self.table, asked);
        match read {
            Ok(excerpt) => excerpt,
            Err(never) => match never {},
        }
    }
}

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
        let every: Vec<Frontend> = frontends.iter().map(|own| own.frontend).collect();
        let (family, addresses) = (planned.family, &planned.addresses);
        let mut asked = Asked::of(&planned.config, &plan, every);
        let nodeports = &planned.config.nodeport_addresses;
        asked.nodeport_addresses = nodeports.choose(family, addresses);
        let should = planned.excerpt(&asked);
        let sources = plan.sources.as_ref();
        let allowed = sources.map(|own| &own.allowed[..]).unwrap_or_default();
        let clients = Clients::new(&planned.config, addresses, allowed);
        let table = should.clone().into_table();
        let answers = answers(&table, addresses, &clients);
        for own in frontends {
            let holder = self
                .world
                .state()
                .asking_for(&own.frontend)
                .first()
                .copied();
            let held_by = holder.filter(|holder| **holder != name);
            let (chain, meaning) = serving(&should, &own.frontend);
            let answer = |from| answers.answer(from, &own.frontend);
            told.frontends.push(FrontendExplained {
                kind: own.kind,
                family: family.label().to_owned(),
                address: own.frontend.address,
                protocol: own.frontend.protocol.to_string(),
                port: own.frontend.port,
                port_name: own.port_name.clone(),
                chain,
                meaning,
                held_by: held_by.map(ToString::to_string),
                outside: answer(Standpoint::Outside),
                pods: answer(Standpoint::Pod),
                node: answer(Standpoint::Node),
            });
        }
        if let Some(held) = here.held(family, &asked) {
            let mut found = match held.other {
                Some(other) => vec![other],
                None => differences(&should, &held.excerpt, &asked, family, addresses, &clients),
            };
            found.extend(held.foreign.iter().map(|own| format!("not ours: {own}")));
            // Without the ranges nobody knows what the chain should say of them.
            let unsure = self.facts.cidrs.is_err();
            found.retain(|text| !(unsure && text.starts_with("chain check-cluster-ips")));
            told.kernel.push(KernelState {
                family: family.label().to_owned(),
                as_it_should: Some(found.is_empty()),
                differences: found,
            });
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
            nodeport_addresses: families.iter().map(|own| nodeport_addresses(own)).collect(),
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

fn nodeport_addresses(planned: &Planned) -> (Family, Option<Vec<IpAddr>>) {
    let chosen = match &planned.config.nodeport_addresses {
        // Of a node whose addresses are not known nothing can be said.
        NodeportAddresses::Within(_) if planned.addresses.is_empty() => None,
        addresses => addresses.choose(planned.family, &planned.addresses),
    };
    (planned.family, chosen)
}

/// Finds Services that want an address of these: those that the kernel's elements name, where it
/// can be read, and else by a look at all Services. Only worth it where there are addresses that
/// the API server does not keep unique.
pub(super) async fn find_rivals(
    cluster: &Cluster,
    facts: &mut Facts,
    settings: &Settings,
    here: &mut Here,
) -> Option<Unseen> {
    let services: Vec<ObjectName> = facts.services.iter().map(name_of).collect();
    let (world, _) = facts.world(settings);
    let state = world.state();
    let known = services.iter().filter_map(|name| state.service(name));
    let external = known
        .clone()
        .any(|service| !service.external_ips.is_empty() || !service.load_balancer_ips.is_empty());
    if cluster.is_files() {
        return facts.find_rivals(cluster).await.err();
    }
    if !external {
        return None;
    }
    let mut others = BTreeSet::new();
    for family in Family::ALL {
        let frontends = known.clone().flat_map(|service| wanted(service, family));
        let asked = Asked {
            frontends: frontends.map(|own| own.frontend).collect(),
            ..Asked::default()
        };
        if asked.frontends.is_empty() {
            continue;
        }
        let Some(held) = here.held(family, &asked) else {
            return facts.find_rivals(cluster).await.err();
        };
        for set in [SetId::Services, SetId::NoEndpoints] {
            let elements = held.excerpt.parts.sets.get(&set);
            let elements = elements.into_iter().flat_map(|set| set.elements.values());
            others.extend(elements.filter_map(|own| Some(owner(own)?.0)));
        }
    }
    for name in others.iter().filter(|name| !services.contains(name)) {
        match cluster.one::<Service>(&name.namespace, &name.name).await {
            Ok(rival) => facts.rivals.extend(rival),
            Err(unseen) => return Some(unseen),
        }
    }
    None
}
