//! One or many traces over the same facts: each is looked at once, and only if it is needed.

use super::held::{Held, Unheld};
use crate::inspect::Cluster;
use crate::mode::Mode;
use crate::netlink::interfaces;
use crate::report::Source;
use crate::settings::Settings;
use crate::world::{self, Loaded, Nodes};
use anyhow::{Context, anyhow};
use rules::model::Family;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Facts that traces have in common.
pub struct Session {
    /// The settings of the daemon, or those that were given.
    pub settings: Settings,
    /// Never look at the kernel's rules.
    planned_only: bool,
    cluster: Option<Cluster>,
    world: Option<Loaded>,
    kernel: BTreeMap<Family, Result<Arc<Held>, Unheld>>,
    planned: BTreeMap<(Arc<str>, Family), Arc<Held>>,
}

impl Session {
    /// Nothing is looked at yet.
    pub fn new(settings: Settings, planned_only: bool) -> Self {
        Self {
            settings,
            planned_only,
            cluster: None,
            world: None,
            kernel: BTreeMap::new(),
            planned: BTreeMap::new(),
        }
    }

    /// This node's name.
    pub fn here(&self) -> Arc<str> {
        self.settings.node_name.clone()
    }

    /// Where objects are asked for.
    ///
    /// # Errors
    /// There is neither an API server nor a directory.
    pub async fn cluster(&mut self) -> anyhow::Result<&Cluster> {
        if self.cluster.is_none() {
            self.cluster = Some(Cluster::open(&self.settings).await?);
        }
        self.cluster.as_ref().context("no place for objects")
    }

    /// All objects.
    ///
    /// # Errors
    /// They cannot be loaded.
    pub async fn world(&mut self) -> anyhow::Result<&Loaded> {
        if self.world.is_none() {
            self.world = Some(world::load(&self.settings, Nodes::All).await?);
        }
        self.world.as_ref().context("no objects")
    }

    /// The rules of a node: the kernel's if it is this one and they can be read, or else those
    /// that are planned.
    ///
    /// # Errors
    /// Neither is to be had; the error says why.
    pub async fn held(&mut self, node: &str, family: Family) -> anyhow::Result<Arc<Held>> {
        let is_here = node == &*self.here();
        if !is_here || self.planned_only {
            return self.plan(node, family).await;
        }
        let kernel = self.kernel.entry(family);
        let mode = Mode::of(&self.settings);
        let read = || Held::by_kernel(family, mode).map(Arc::new);
        match kernel.or_insert_with(read).clone() {
            Ok(held) => Ok(held),
            // Who asks for the kernel's rules is not answered by others.
            Err(unheld @ Unheld::OtherVersion { .. }) => Err(unheld.into()),
            Err(unheld) => self
                .plan(node, family)
                .await
                .map_err(|error| anyhow!("{unheld}; and nothing is planned instead: {error:#}")),
        }
    }

    async fn plan(&mut self, node: &str, family: Family) -> anyhow::Result<Arc<Held>> {
        let key: (Arc<str>, Family) = (node.into(), family);
        if let Some(held) = self.planned.get(&key) {
            return Ok(held.clone());
        }
        let is_here = node == &*self.here();
        let mode = Mode::of(&self.settings);
        let world = &self.world().await?.world;
        let standpoint = match (is_here, world.seen_from(node)) {
            (_, Some(standpoint)) => standpoint,
            (true, None) => world.here(),
            (false, None) => {
                let names = world.nodes();
                let names: Vec<&str> = names.iter().take(5).map(|name| &**name).collect();
                return Err(anyhow!(
                    "there is no node {node}; there is {}",
                    if names.is_empty() {
                        "none".to_owned()
                    } else {
                        names.join(", ")
                    }
                ));
            }
        };
        // Only the node itself knows all of its addresses; elsewhere the interfaces are others'.
        let interfaces = interfaces::local().unwrap_or_default();
        let stated = standpoint.stated_addresses();
        let is_this_machine = is_here && stated.iter().any(|own| interfaces.contains(own));
        let interfaces = is_this_machine.then_some(interfaces.as_slice());
        let held = Arc::new(Held::planned(standpoint, family, mode, interfaces)?);
        self.planned.insert(key, held.clone());
        Ok(held)
    }

    /// The addresses of all nodes and the ranges of pods, as far as they are known without asking
    /// for more than was asked for already.
    pub fn known_addresses(&self) -> Vec<IpAddr> {
        let world = self.world.iter().map(|loaded| &loaded.world);
        let names = world.flat_map(|world| {
            let names = world.nodes().into_iter();
            names.filter_map(|name| Some(world.seen_from(&name)?.stated_addresses()))
        });
        names.flatten().collect()
    }

    /// Why the kernel's rules are not those that were followed.
    pub fn kernel_error(&self) -> String {
        let mut errors = self.kernel.values().filter_map(|held| held.as_ref().err());
        match errors.next() {
            Some(unheld) => unheld.to_string(),
            None => "--planned or another node was asked for".to_owned(),
        }
    }

    /// What was looked at, and what could not be.
    pub fn sources(&self) -> Vec<Source> {
        let mut sources = Vec::new();
        if self.planned_only {
            let why = "--planned asks for the rules that the objects ask for";
            sources.push(Source::unseen("kernel", why));
        }
        for (family, held) in &self.kernel {
            sources.push(match held {
                Ok(held) => Source::fresh(held.name(*family)),
                Err(unheld) => {
                    let name = format!("kernel: table {}", family.nft());
                    Source::unseen(name, unheld.to_string())
                }
            });
        }
        if let Some(cluster) = &self.cluster {
            sources.push(Source::fresh(cluster.source()));
        } else if self.world.is_some() {
            let name = match self.settings.source.manifests {
                Some(_) => "manifests",
                None => "api",
            };
            sources.push(Source::fresh(name));
        }
        sources
    }
}
