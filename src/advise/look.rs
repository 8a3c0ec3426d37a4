//! From a question to an answer: what is looked up, and from where.

use super::advice::{Advice, Policies, PortName, WorkloadName};
use super::all::AdviceForAll;
use super::connections;
use super::nodes::nodes;
use super::picture::Drawing;
use super::remedies::Subject;
use super::workload::{self, Found};
use crate::inspect::{Asked, Cluster, Facts, Query, unproxied};
use crate::report::{Report, Source};
use crate::settings::Settings;
use crate::source::UNUSED_KIND;
use crate::world::{self, Loaded, World};
use anyhow::bail;
use k8s_openapi::api::core::v1::{Node, Service};
use rules::advise::{self, Balancer, ClientAddress, Nodes, Site, Wishes};
use rules::finding::Finding;
use rules::model::{ObjectName, ServicePort, TrafficPolicy};
use std::collections::BTreeMap;

/// What the flags ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The policy to compare with; the other one if none is given.
    pub to: Option<TrafficPolicy>,
    /// How the balancer spreads connections.
    pub balancer: Balancer,
    /// Whether the client's address is needed.
    pub client_address: ClientAddress,
    /// Name or number of the port; the first one if none is given.
    pub port: Option<String>,
}

/// Advice on one Service.
///
/// # Errors
/// There is no such Service, no proxy serves it, or nobody outside can reach it; objects cannot be
/// had.
pub async fn one(
    settings: &Settings,
    name: &ObjectName,
    question: &Question,
) -> anyhow::Result<Report<Advice>> {
    let cluster = Cluster::open(settings).await?;
    let facts = Facts::of(&cluster, &Asked::Service(name.clone())).await?;
    let mut sources = facts.sources(&cluster);
    let Some(service) = facts.services.first() else {
        bail!("there is no Service {name}");
    };
    if let Some(why) = unproxied(service) {
        bail!("Service {name} {why}");
    }
    let (world, problems) = facts.world(settings);
    tell(cluster.problems(), problems);
    let (nodes, unknown) = nodes(facts.nodes.iter().flatten(), &world);
    sources.extend(unknown);
    let (found, unseen) = workload::of(&cluster, &facts, service).await;
    sources.extend(unseen);
    let look = Look {
        world: &world,
        nodes: &nodes,
        service,
        workload: found.as_ref(),
        question,
    };
    let (mut advice, findings, port) = look.advice(name)?;
    let (open, source) = connections::open(&cluster, &world, name, port);
    advice.connections_open = open;
    sources.push(source);
    let report = Report::new(&*settings.node_name, sources, advice, findings);
    Ok(report)
}

/// A row for each Service that clients outside have a way to, in a namespace or in all.
///
/// # Errors
/// Objects cannot be had, or the namespace has no Service.
pub async fn all(
    settings: &Settings,
    namespace: Option<&str>,
    question: &Question,
) -> anyhow::Result<Report<AdviceForAll>> {
    let cluster = Cluster::open(settings).await?;
    let Loaded {
        world,
        mut problems,
    } = world::load(settings, world::Nodes::All).await?;
    // Files may well have workloads, too: they are what advice on one Service is about.
    problems.retain(|problem| !problem.contains(UNUSED_KIND));
    tell(&[], problems);
    let services = world.state().services();
    let is_asked = |service: &rules::model::Service| {
        namespace.is_none_or(|namespace| *service.name.namespace == *namespace)
    };
    if let Some(namespace) = namespace
        && !services.into_iter().any(is_asked)
    {
        // It has none, or none that a proxy serves; the first is an error with the names that
        // there are.
        Facts::of(&cluster, &Asked::Namespace(namespace.to_owned())).await?;
    }
    let mut sources = vec![Source::fresh(cluster.source())];
    let known = match cluster.list::<Node>(&Query::all()).await {
        Ok(known) => known,
        Err(unseen) => {
            let what = format!("{}: {}", cluster.source(), unseen.what);
            sources.push(Source::unseen(what, unseen.to_string()));
            Vec::new()
        }
    };
    let (nodes, unknown) = nodes(known.iter(), &world);
    sources.extend(unknown);
    let services = advise::overview(world.state(), &nodes, question.balancer, namespace);
    let findings = services.iter().filter_map(advise::Summary::finding);
    let findings = findings.collect();
    let data = AdviceForAll {
        namespace: namespace.map(str::to_owned),
        balancer: question.balancer,
        services,
    };
    Ok(Report::new(&*settings.node_name, sources, data, findings))
}

/// What is wrong with files and objects goes to the log: explain has it in its findings.
fn tell(of_files: &[String], of_objects: Vec<String>) {
    for problem in of_files.iter().chain(&of_objects) {
        tracing::warn!("{problem}");
    }
}

/// All that an answer is made of.
struct Look<'a> {
    world: &'a World,
    nodes: &'a Nodes,
    service: &'a Service,
    workload: Option<&'a Found>,
    question: &'a Question,
}

impl<'a> Look<'a> {
    fn advice(&self, name: &ObjectName) -> anyhow::Result<(Advice, Vec<Finding>, &'a ServicePort)> {
        let state = self.world.state();
        let Some(service) = state.service(name) else {
            bail!("Service {name} cannot be used; the log says why");
        };
        if !advise::is_external(service) {
            bail!(
                "Service {name} is of type ClusterIP without external IPs: no client outside \
                 reaches it, and externalTrafficPolicy means nothing (internalTrafficPolicy is \
                 for clients in the cluster)"
            );
        }
        let distinct = advise::distinct_ports(state, name);
        let port = self.port(&service.ports, &distinct, name)?;
        let family = advise::primary_family(service);
        let Some(site) = Site::new(state, name, port, family, self.nodes) else {
            bail!("there is no Service {name}");
        };
        let current = service.external_policy;
        let balancer = self.question.balancer;
        let empty = BTreeMap::new();
        let labels = self.service.metadata.labels.as_ref().unwrap_or(&empty);
        let annotations = self.service.metadata.annotations.as_ref();
        let wishes = Wishes::of(
            service,
            labels,
            annotations.unwrap_or(&empty),
            self.question.client_address,
        );
        let policies = Policies {
            cluster: advise::outlook(&site, TrafficPolicy::Cluster, balancer),
            local: advise::outlook(&site, TrafficPolicy::Local, balancer),
        };
        let verdict = advise::verdict(&site, &wishes, &policies.cluster, &policies.local);
        let findings = advise::findings(&site, &wishes, policies.under(current));
        let workload = self.workload.map(|found| &found.workload);
        let subject = Subject {
            service: name,
            port,
            health_port: service.health_check_node_port,
            workload: self.workload,
        };
        let suggestions = advise::suggestions(&site, &verdict, workload, balancer);
        let remedies = suggestions.iter().map(|own| subject.remedy(own)).collect();
        let then = advise::other(current);
        let to = self.question.to.unwrap_or(advise::other(current));
        let advice = Advice {
            service: name.to_string(),
            kind: service.kind.to_string(),
            port: PortName {
                name: port.name.to_string(),
                number: port.port,
                protocol: port.protocol.to_string(),
                node_port: port.node_port,
            },
            family: family.to_string(),
            current: format!("{current:?}"),
            to: format!("{to:?}"),
            balancer,
            client_address: self.question.client_address,
            workload: self.workload.map(|found| WorkloadName {
                kind: found.workload.kind.name().to_owned(),
                namespace: found.workload.namespace.clone(),
                name: found.workload.name.clone(),
                replicas: found.replicas,
            }),
            policies,
            connections_open: None,
            drains: match workload.is_some_and(|own| !own.kind.leaves_at_a_drain()) {
                true => Vec::new(),
                false => advise::drains(&site, balancer),
            },
            verdict,
            remedies,
            notes: self.notes(&site, &distinct, port),
            drawing: Drawing::new(&site, [current, then], balancer),
        };
        Ok((advice, findings, port))
    }

    /// The port that is asked for.
    fn port(
        &self,
        all: &'a [ServicePort],
        distinct: &[&'a ServicePort],
        name: &ObjectName,
    ) -> anyhow::Result<&'a ServicePort> {
        let Some(asked) = &self.question.port else {
            let first = distinct.first().copied().or(all.first());
            return first.ok_or_else(|| anyhow::anyhow!("Service {name} has no port"));
        };
        let is_it = |port: &&ServicePort| *port.name == **asked || asked.parse() == Ok(port.port);
        if let Some(port) = all.iter().find(is_it) {
            return Ok(port);
        }
        let names = all.iter().map(|port| match &*port.name {
            "" => port.port.to_string(),
            name => format!("{name} ({})", port.port),
        });
        let names: Vec<String> = names.collect();
        bail!(
            "Service {name} has no port {asked}; it has {}",
            names.join(", ")
        )
    }

    fn notes(&self, site: &Site<'_>, distinct: &[&ServicePort], port: &ServicePort) -> Vec<String> {
        let mut notes = Vec::new();
        let others = distinct.iter().filter(|own| **own != port);
        let others: Vec<String> = others.map(|own| own.port.to_string()).collect();
        if distinct.len() > 1 && !others.is_empty() {
            notes.push(format!(
                "ports {} have other endpoints than {}: --port",
                others.join(", "),
                port.port
            ));
        }
        if site.is_hinted() {
            notes.push(
                "topology hints count under Cluster: each node sends to the endpoints meant for it"
                    .to_owned(),
            );
        }
        match self.workload {
            None => notes
                .push("what runs the pods is not known: remedies for it are missing".to_owned()),
            Some(found) if !found.workload.kind.leaves_at_a_drain() => notes
                .push("the pods are a DaemonSet's: a drain leaves them where they are".to_owned()),
            Some(_) => {}
        }
        notes
    }
}
