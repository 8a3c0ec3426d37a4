//! All that is known of some Services.

use super::asked::Asked;
use super::cluster::Cluster;
use super::names::NotFound;
use super::objects::{is_selected_by, name_of, selector_of};
use super::query::{Query, Unseen};
use crate::report;
use crate::settings::Settings;
use crate::source::convert::{self, SERVICE_NAME};
use crate::source::intern::Interner;
use crate::source::objects;
use crate::world::World;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use rules::Change;
use rules::model::ObjectName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// The Services that are asked about, and what belongs to them.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Those that are asked about, in the order of their names; there is one at least.
    pub services: Vec<Service>,
    /// Others that want an address of theirs; see [`Facts::find_rivals`].
    pub rivals: Vec<Service>,
    /// Their EndpointSlices.
    pub slices: Vec<EndpointSlice>,
    /// All Nodes, without their images.
    pub nodes: Result<Vec<Node>, Unseen>,
    /// All ServiceCIDRs.
    pub cidrs: Result<Vec<ServiceCIDR>, Unseen>,
    /// The pods that their selectors choose, and for [`Asked::Service`] no others.
    pub pods: Result<Vec<Pod>, Unseen>,
    /// That nothing follows where a pod is missing: the objects stand in files, which seldom have
    /// pods, and none of these is one.
    pub files_without_pods: bool,
}

impl Facts {
    /// Asks for everything, at once as far as that goes.
    ///
    /// # Errors
    /// There is no such Service ([`NotFound`]), or Services or EndpointSlices cannot be listed
    /// ([`Unseen`]).
    pub async fn of(cluster: &Cluster, asked: &Asked) -> anyhow::Result<Self> {
        let all = asked.query();
        let everywhere = Query::all();
        let slices_of = match asked {
            Asked::Service(name) => all.clone().labels([(SERVICE_NAME, &*name.name)]),
            _ => all.clone(),
        };
        let named = match asked {
            Asked::Service(name) => all.clone().named(&name.name),
            _ => all.clone(),
        };
        let (services, slices, nodes, cidrs) = tokio::join!(
            cluster.list::<Service>(&named),
            cluster.list::<EndpointSlice>(&slices_of),
            nodes(cluster),
            cluster.list::<ServiceCIDR>(&everywhere),
        );
        let mut services = services?;
        if let Asked::Service(name) = asked {
            // An API server that does not know the selector tells more.
            services.retain(|service| name_of(service) == *name);
        }
        if services.is_empty() {
            return Err(NotFound::instead_of(cluster, asked).await?.into());
        }
        services.iter_mut().for_each(|own| strip(&mut own.metadata));
        services.sort_by_cached_key(name_of);
        let mut slices = slices?;
        let names: BTreeSet<ObjectName> = services.iter().map(name_of).collect();
        slices.retain(|slice| service_of(slice).is_some_and(|name| names.contains(&name)));
        let pods = match (asked, services.first().and_then(selector_of)) {
            (Asked::Service(_), None) => Ok(Vec::new()),
            (Asked::Service(_), Some(selector)) => {
                let labels = selector.iter().map(|(key, own)| (&**key, &**own));
                cluster.list(&all.labels(labels)).await
            }
            _ => cluster.list(&all).await,
        };
        let files_without_pods = cluster.is_files()
            && matches!(cluster.list::<Pod>(&everywhere).await, Ok(all) if all.is_empty());
        Ok(Self {
            services,
            rivals: Vec::new(),
            slices,
            nodes,
            cidrs,
            pods: pods.map(|mut pods: Vec<Pod>| {
                pods.iter_mut().for_each(|pod| strip(&mut pod.metadata));
                pods
            }),
            files_without_pods,
        })
    }

    /// Finds other Services that have an address of one of these: as many as there are are listed,
    /// and few are kept. The API server keeps cluster IPs and node ports unique, so it is only
    /// worth it for Services with external addresses, and for manifests.
    ///
    /// # Errors
    /// Services cannot be listed.
    pub async fn find_rivals(&mut self, cluster: &Cluster) -> Result<(), Unseen> {
        let names: BTreeSet<ObjectName> = self.services.iter().map(name_of).collect();
        let places: BTreeSet<String> = self.services.iter().flat_map(places).collect();
        let mut rivals = Vec::new();
        let keep = |mut service: Service| {
            let is_rival = !names.contains(&name_of(&service))
                && places_of(&service, |place| places.contains(place));
            if is_rival {
                strip(&mut service.metadata);
                rivals.push(service);
            }
        };
        cluster.each(&Query::all(), keep).await?;
        self.rivals = rivals;
        Ok(())
    }

    /// The world of these Services, with the Nodes and ranges as far as they are known; and what is
    /// wrong with the objects, a line each.
    pub fn world(&self, settings: &Settings) -> (World, Vec<String>) {
        let mut world = World::new(settings);
        let mut problems = Vec::new();
        let mut interner = Interner::default();
        let mut apply = |change: Option<Change>, label: String, found: Vec<String>| {
            problems.extend(found.iter().map(|problem| format!("{label}: {problem}")));
            let applied = change.map(|change| world.apply(change));
            let applied = applied.into_iter().flat_map(|applied| applied.problems);
            problems.extend(applied.map(|problem| problem.to_string()));
        };
        for cidr in self.cidrs.iter().flatten() {
            let found = convert::service_cidr(cidr);
            let label = format!("ServiceCIDR {}", cidr.name_any());
            apply(found.object.map(Change::ServiceCidr), label, found.problems);
        }
        for node in self.nodes.iter().flatten() {
            let found = convert::node(node);
            let label = format!("Node {}", node.name_any());
            apply(found.object.map(Change::Node), label, found.problems);
        }
        for service in self.services.iter().chain(&self.rivals) {
            let label = format!("Service {}", name_of(service));
            match reduced::<objects::Service>(service) {
                Ok(reduced) if super::unproxied(service).is_none() => {
                    let found = convert::service(&reduced);
                    apply(found.object.map(Change::Service), label, found.problems);
                }
                Ok(_) => {}
                Err(error) => apply(None, label, vec![error.to_string()]),
            }
        }
        for slice in &self.slices {
            let label = format!("EndpointSlice {}", name_of(slice));
            match reduced::<objects::EndpointSlice>(slice) {
                Ok(reduced) => {
                    let found = convert::endpoint_slice(&reduced, &mut interner);
                    apply(found.object.map(Change::Slice), label, found.problems);
                }
                Err(error) => apply(None, label, vec![error.to_string()]),
            }
        }
        (world, problems)
    }

    /// The EndpointSlices of one of the Services.
    pub fn slices_of(&self, service: &ObjectName) -> impl Iterator<Item = &EndpointSlice> {
        let is_of = move |slice: &&EndpointSlice| service_of(slice).as_ref() == Some(service);
        self.slices.iter().filter(is_of)
    }

    /// The pods that a Service selects; none if it has no selector.
    ///
    /// # Errors
    /// Pods could not be listed.
    pub fn pods_of(&self, service: &Service) -> Result<Vec<&Pod>, &Unseen> {
        let pods = self.pods.as_ref()?;
        let Some(selector) = selector_of(service) else {
            return Ok(Vec::new());
        };
        let namespace = name_of(service).namespace;
        let is_of =
            |pod: &&Pod| *name_of(*pod).namespace == *namespace && is_selected_by(pod, selector);
        Ok(pods.iter().filter(is_of).collect())
    }

    /// What was looked at and what could not be, for a report. `cluster` is where from.
    pub fn sources(&self, cluster: &Cluster) -> Vec<report::Source> {
        let unseen = [
            self.nodes.as_ref().err(),
            self.cidrs.as_ref().err(),
            self.pods.as_ref().err(),
        ];
        let name = cluster.source();
        let unseen = unseen.into_iter().flatten().map(|unseen| {
            report::Source::unseen(format!("{name}: {}", unseen.what), unseen.to_string())
        });
        std::iter::once(report::Source::fresh(name))
            .chain(unseen)
            .collect()
    }
}

/// All Nodes without what makes them large.
async fn nodes(cluster: &Cluster) -> Result<Vec<Node>, Unseen> {
    let mut nodes = Vec::new();
    let keep = |mut node: Node| {
        strip(&mut node.metadata);
        if let Some(status) = &mut node.status {
            status.images = None;
            status.volumes_attached = None;
            status.volumes_in_use = None;
        }
        nodes.push(node);
    };
    cluster.each(&Query::all(), keep).await?;
    Ok(nodes)
}

fn strip(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
}

/// The Service that a slice is of.
fn service_of(slice: &EndpointSlice) -> Option<ObjectName> {
    let service = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    Some(ObjectName::new(name_of(slice).namespace, service.as_str()))
}

/// The same object with the fields that rules are made of.
fn reduced<T: DeserializeOwned>(object: &impl Serialize) -> serde_json::Result<T> {
    serde_json::from_value(serde_json::to_value(object)?)
}

/// The places that a Service wants for itself: addresses, and node ports.
fn places(service: &Service) -> Vec<String> {
    let mut all = Vec::new();
    places_of(service, |place| {
        all.push(place.to_owned());
        false
    });
    all
}

/// Whether one of them is such.
fn places_of(service: &Service, mut is_such: impl FnMut(&str) -> bool) -> bool {
    let Some(spec) = &service.spec else {
        return false;
    };
    let balancer = service
        .status
        .as_ref()
        .and_then(|own| own.load_balancer.as_ref());
    let ingress = balancer.and_then(|own| own.ingress.as_ref());
    let ingress = ingress
        .into_iter()
        .flatten()
        .filter_map(|own| own.ip.as_ref());
    let cluster_ips = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    let external = spec.external_ips.iter().flatten();
    let mut addresses = cluster_ips.chain(external).chain(ingress);
    if addresses.any(|address| address != "None" && is_such(address)) {
        return true;
    }
    let mut ports = spec
        .ports
        .iter()
        .flatten()
        .filter_map(|port| port.node_port);
    ports.any(|port| port != 0 && is_such(&format!("node port {port}")))
}
