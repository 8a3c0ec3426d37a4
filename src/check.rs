//! `kube-proxy check`: what is to be said of this node before a proxy runs on it, or another one.
//! What is seen is gathered here; what it means, `rules::check` decides.

mod features;
mod gather;
mod kernel;
mod metrics;

use crate::mode::Mode;
use crate::netlink::{Nftables, OpenError};
use crate::report::{Data, Page, Report, Source, Table};
use crate::settings::Settings;
use crate::world::{self, Loaded, Nodes, World};
use anyhow::{Context, bail};
use rules::check::{Cluster, From, Group, Status};
use rules::model::Family;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// Without Services a node can be checked as well: an API server is waited for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was checked.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Check {
    /// The mode that is to be switched from; `null` if none was named.
    pub from: Option<From>,
    /// Checks, by what they are about.
    pub groups: Vec<Group>,
}

/// Checks this node for a proxy of a mode; `from` asks for a switch to mode nftables.
///
/// # Errors
/// This process may not look (NET_ADMIN), or the Services that a switch has to do with cannot be
/// had.
pub fn report(
    settings: &Settings,
    mode: Mode,
    from: Option<From>,
) -> anyhow::Result<Report<Check>> {
    if let Err(OpenError::NotPermitted) = Nftables::open() {
        bail!(
            "check: the capability NET_ADMIN is missing, without which the kernel shows no rules; \
             run it as root on the node, or in the DaemonSet's pod by kubectl exec"
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let mut sources = vec![Source::fresh("kernel")];
    let world = runtime.block_on(load(settings, from, &mut sources))?;
    let metrics = runtime.block_on(metrics::counted(settings.metrics_bind_address));
    let (facts, unseen) = gather::facts(settings, mode, metrics);
    sources.extend(unseen);
    let cluster = world.as_ref().map(|world| cluster(world, settings, &facts));
    let (groups, mut findings) = rules::check::check(&facts, cluster.as_ref(), from);
    for finding in &mut findings {
        finding.node = Some(settings.node_name.to_string());
    }
    let data = Check { from, groups };
    Ok(Report::new(&*settings.node_name, sources, data, findings))
}

/// The objects; none if there are none to be had and nobody asked for what depends on them.
async fn load(
    settings: &Settings,
    from: Option<From>,
    sources: &mut Vec<Source>,
) -> anyhow::Result<Option<World>> {
    let name = match settings.source.manifests {
        Some(_) => "manifests",
        None => "api",
    };
    let loading = world::load(settings, Nodes::Own);
    let loaded = match tokio::time::timeout(PATIENCE, loading).await {
        Ok(loaded) => loaded,
        Err(_) => Err(anyhow::anyhow!(
            "the API server has not answered for {} s",
            PATIENCE.as_secs()
        )),
    };
    match (loaded, from) {
        (Ok(Loaded { world, problems }), _) => {
            for problem in problems {
                tracing::warn!("{problem}");
            }
            sources.push(Source::fresh(name));
            Ok(Some(world))
        }
        (Err(error), Some(from)) => Err(error.context(format!(
            "check --from {from}: Services, of --manifests DIR or of an API server"
        ))),
        (Err(error), None) => {
            sources.push(Source::unseen(name, format!("{error:#}")));
            Ok(None)
        }
    }
}

/// What a switch has to do with, of all that there is.
fn cluster<'a>(world: &'a World, settings: &Settings, facts: &rules::check::Facts) -> Cluster<'a> {
    let here = world.here();
    let local: &[std::net::IpAddr] = facts.addresses.as_deref().unwrap_or_default();
    let listed = |family| {
        (
            family,
            here.config(family).nodeport_addresses.choose(family, local),
        )
    };
    let ipvs = &settings.config.ipvs;
    Cluster {
        services: world.state().services().collect(),
        node_port_addresses: Family::ALL.map(listed).to_vec(),
        ipvs_scheduler: ipvs.scheduler.clone(),
        ipvs_excludes: ipvs
            .exclude_cidrs
            .as_ref()
            .is_some_and(|all| !all.is_empty()),
    }
}

impl Data for Check {
    const KIND: &'static str = "Check";

    fn page(&self, _wide: bool) -> Page {
        let mut page = Page::new(match self.from {
            Some(from) => format!("Check of this node for a switch from mode {from} to nftables"),
            None => "Check of this node".to_owned(),
        });
        for group in &self.groups {
            let mut table = Table::new(["check", "status", "seen"]);
            for check in &group.checks {
                let codes: Vec<String> = check.codes.iter().map(ToString::to_string).collect();
                let status = match codes.is_empty() {
                    true => check.status.to_string(),
                    false => format!("{} {}", check.status, codes.join(" ")),
                };
                table.row([check.name.clone(), status, check.detail.clone()]);
            }
            page.heading(group.name.clone());
            page.table(table);
        }
        if let Some(from) = self.from {
            page.text(match self.is_ready() {
                true => format!("Nothing is in the way of a switch from mode {from}."),
                false => format!("Not ready for a switch from mode {from}: see the errors."),
            });
        }
        page
    }
}

impl Check {
    /// No check found an error.
    fn is_ready(&self) -> bool {
        let mut checks = self.groups.iter().flat_map(|group| &group.checks);
        checks.all(|check| check.status != Status::Error)
    }
}

#[cfg(test)]
mod tests;
