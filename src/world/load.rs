//! All objects at once, for commands that answer and end.

use super::World;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::source::{self, ClientOptions, Manifests};
use anyhow::Context;
use std::path::Path;

/// Which Nodes a command wants to see from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// The one that the settings name.
    Own,
    /// Every Node of the cluster.
    All,
}

/// A world with its objects.
#[derive(Debug)]
pub struct Loaded {
    /// The objects.
    pub world: World,
    /// What is wrong with them, a line each. Of those that an API server has, what they lack by
    /// themselves is told by the log.
    pub problems: Vec<String>,
}

/// Loads the objects from where the settings say: a directory of manifests, or an API server.
///
/// # Errors
/// The directory cannot be read, or a list not be had.
pub async fn load(settings: &Settings, nodes: Nodes) -> anyhow::Result<Loaded> {
    match &settings.source.manifests {
        Some(directory) => from_manifests(settings, directory, nodes),
        None => from_api_server(settings, nodes).await,
    }
}

fn from_manifests(settings: &Settings, directory: &Path, nodes: Nodes) -> anyhow::Result<Loaded> {
    let mut loaded = Loaded::new(settings);
    let mut manifests = Manifests::new(directory, &settings.node_name);
    if nodes == Nodes::All {
        manifests = manifests.with_all_nodes();
    }
    let mut conflicts = Vec::new();
    let found = manifests
        .load(&mut |change| conflicts.extend(loaded.world.apply(change).problems))
        .with_context(|| format!("reading --manifests {}", directory.display()))?;
    let found = found.iter().map(ToString::to_string);
    loaded.problems.extend(found);
    let conflicts = conflicts.iter().map(ToString::to_string);
    loaded.problems.extend(conflicts);
    Ok(loaded)
}

async fn from_api_server(settings: &Settings, nodes: Nodes) -> anyhow::Result<Loaded> {
    let mut loaded = Loaded::new(settings);
    // Counted as the daemon counts, and shown to nobody.
    let metrics = Metrics::new().context("registering the metrics")?;
    let client = source::client(&ClientOptions::from(settings), metrics.rest()).await?;
    let own = (nodes == Nodes::Own).then_some(&*settings.node_name);
    let Loaded { world, problems } = &mut loaded;
    source::list(client, own, metrics.watch(), &mut |change| {
        let applied = world.apply(change);
        problems.extend(applied.problems.iter().map(ToString::to_string));
    })
    .await?;
    Ok(loaded)
}

impl Loaded {
    fn new(settings: &Settings) -> Self {
        Self {
            world: World::new(settings),
            problems: Vec::new(),
        }
    }
}
