//! `kube-proxy explain`: Services in words, from the objects, the kernel's table and other nodes'
//! health check ports.

mod address;
mod here;
mod nodes;
mod page;
mod planned;
mod rivals;
mod service;

pub use address::Target;

use crate::inspect::{Asked, Cluster, Facts, unproxied};
use crate::mode::Mode;
use crate::report::{Report, Source};
use crate::settings::Settings;
use anyhow::bail;
use here::Here;
use planned::Planned;
use rules::explain::Explanation;
use rules::model::ObjectName;
use schemars::JsonSchema;
use serde::Serialize;

/// What `explain` answers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanations {
    /// What an address was found to be; `null` if a Service or namespace was asked about.
    pub found: Option<String>,
    /// The Services, in the order of their names.
    pub services: Vec<Explanation>,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// About what.
    pub target: Target,
    /// Ask the health check ports of nodes.
    pub ask_nodes: bool,
}

/// Looks at everything that is asked about.
///
/// # Errors
/// There is no such Service, none that a proxy serves, or the objects cannot be had.
pub async fn explain(
    settings: &Settings,
    request: &Request,
) -> anyhow::Result<Report<Explanations>> {
    let cluster = Cluster::open(settings).await?;
    let (asked, found) = match &request.target {
        Target::Services(asked) => (asked.clone(), None),
        Target::Address(address) => {
            let found = address::find(&cluster, address).await?;
            (Asked::Service(found.service), Some(found.words))
        }
    };
    let mut facts = Facts::of(&cluster, &asked).await?;
    if let (Asked::Service(name), [only]) = (&asked, facts.services.as_slice())
        && let Some(why) = unproxied(only)
    {
        bail!("Service {name} {why}; {}", instead(name));
    }
    let mut here = Here::look(settings, &facts);
    let mut sources = facts.sources(&cluster);
    let mode = Mode::of(settings);
    let unseen = {
        let (world, _) = facts.world(settings);
        let planned = Planned::all(&world, mode, &here);
        rivals::find(&cluster, &mut facts, &planned, &mut here, &world).await
    };
    let unseen = unseen.map(|unseen| {
        let name = format!("{}: {}", cluster.source(), unseen.what);
        Source::unseen(name, unseen.to_string())
    });
    sources.extend(unseen);
    let (world, mut problems) = facts.world(settings);
    problems.extend(cluster.problems().iter().cloned());
    let planned = Planned::all(&world, mode, &here);
    let (mut services, mut findings) = (Vec::new(), Vec::new());
    for raw in &facts.services {
        let case = service::Case {
            facts: &facts,
            raw,
            world: &world,
            planned: &planned,
            problems: &problems,
        };
        let mut told = case.told(&mut here);
        if request.ask_nodes {
            nodes::ask(&mut told).await;
        }
        findings.extend(case.findings(&told));
        services.push(told);
    }
    sources.push(here.source());
    let data = Explanations { found, services };
    Ok(Report::new(&*settings.node_name, sources, data, findings))
}

/// What shows the endpoints of a Service that no proxy serves.
fn instead(name: &ObjectName) -> String {
    let ObjectName { namespace, name } = name;
    format!(
        "see kubectl get service,endpointslices -n {namespace} -l kubernetes.io/service-name={name}"
    )
}

#[cfg(test)]
mod tests;
