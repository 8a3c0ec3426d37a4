//! `make chart`: the Helm chart is linted, rendered with several sets of values, and what comes out
//! is applied to a real API server that refuses what it doesn't know. The DaemonSet's pod is run on
//! a node of the bed, with the image of `make image`. The alerts are tested by promtool, and what
//! they and the dashboard ask for is looked up in a running daemon's metrics.

mod apply;
mod helm;
mod metrics;
mod pod;
mod service;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use e2e::cleanup::ScratchDir;
use e2e::container::Engine;
use e2e::controlplane::ControlPlane;
use e2e::{Bed, target_directory};

use pod::Place;
use service::Served;

use crate::report::Cases;

/// The values whose pods are run, and their DaemonSets' names: in mode nftables, and iptables.
const RUN: [&str; 2] = ["run", "iptables"];

/// Lint, render and apply the Helm chart, and run its pod
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write deploy/kube-proxy-rs.yaml instead
    #[arg(long)]
    manifest: bool,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    match args.manifest {
        true => write_manifest().map(|()| true),
        false => check(),
    }
}

/// A file of the checkout.
fn checkout(path: &str) -> PathBuf {
    let target = target_directory();
    target.parent().unwrap_or(&target).join(path)
}

fn write_manifest() -> Result<()> {
    let path = checkout(helm::MANIFEST);
    let text = helm::manifest()?;
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}

/// Whether no case failed.
fn check() -> Result<bool> {
    let mut cases = Cases::new();
    let rendered = cases.group("helm lint and helm template", render)?;
    let refused = files("e2e/chart/refused")?;
    cases.group("wrong values are refused", |cases| {
        for values in &refused {
            cases.case(&stem(values), || helm::refuses(values));
        }
    });
    cases.group("what is kept in two places is the same", |cases| {
        cases.case(helm::MANIFEST, helm::manifest_is_current);
        cases.case("the version", helm::version_is_the_programs);
    });
    cases.group(
        "alerts fire as tested, and a daemon has each metric",
        |cases| {
            cases.case("alerts", metrics::check_alerts);
            cases.case("names in alerts and dashboard", metrics::check_names);
        },
    );
    in_a_cluster(&mut cases, &rendered)?;
    Ok(cases.end())
}

/// What each set of values comes to, by its name.
fn render(cases: &mut Cases) -> Result<Vec<(String, String)>> {
    let mut rendered = Vec::new();
    for values in files("e2e/chart/values")? {
        let name = stem(&values);
        cases.case(&format!("lint {name}"), || helm::lint(&values));
        if let Some(text) = cases.case(&format!("template {name}"), || helm::template(&values)) {
            rendered.push((name, text));
        }
    }
    Ok(rendered)
}

/// Applies it all, then runs the pod of [`RUN`], and that of kubeadm's DaemonSet.
fn in_a_cluster(cases: &mut Cases, rendered: &[(String, String)]) -> Result<()> {
    let directory = ScratchDir::create("chart")?;
    let bed = Bed::build(1)?;
    let (_plane, api) = ControlPlane::start(bed.control(), directory.path(), None)?;
    cases.group("applied with strict validation of fields", |cases| {
        apply::all(cases, &api, rendered);
    });
    let engine = Engine::load(&checkout(&archive()?))?;
    let served = Served::create(&api, &bed)?;
    let place = Place {
        api: &api,
        bed: &bed,
        engine: &engine,
        files: directory.path(),
        served: &served,
    };
    for name in RUN {
        let title = format!("the pod of DaemonSet {name}, on a node");
        cases.group(&title, |cases| {
            pod::run(cases, &place, name, &["readinessProbe", "livenessProbe"]);
        });
    }
    cases.group("kubeadm's DaemonSet with our image", |cases| {
        cases.case("apply", || apply::stream(&api, &swapped(&engine)?));
        pod::run(cases, &place, "kube-proxy", &[]);
        // It names no mode.
        cases.case("iptables-save has upstream's chains", || {
            served.has_chains()
        });
    });
    Ok(())
}

/// kubeadm's objects after `kubectl set image`.
fn swapped(engine: &Engine) -> Result<String> {
    const UPSTREAM: &str = "image: registry.k8s.io/kube-proxy:v";
    let text = std::fs::read_to_string(checkout("e2e/chart/kubeadm.yaml"))?;
    let start = text.find(UPSTREAM).context("no image of upstream's")?;
    let image = text[start..].lines().next().unwrap_or_default();
    Ok(text.replace(image, &format!("image: {}", engine.name()?)))
}

/// The image of this machine's architecture.
fn archive() -> Result<String> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("there is no image for {other}"),
    };
    Ok(format!("target/image/kube-proxy-rs-{architecture}.tar"))
}

/// The files of a directory, by name.
fn files(directory: &str) -> Result<Vec<PathBuf>> {
    let directory = checkout(directory);
    let entries =
        std::fs::read_dir(&directory).with_context(|| format!("list {}", directory.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}
