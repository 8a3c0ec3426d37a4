//! `make demo`: the two values of externalTrafficPolicy, measured with real connections.
//!
//! Three nodes with one, two and three pods; one Service per policy, both with the same pods;
//! the daemon on every node; a load balancer that follows the nodes' health checks, and a client
//! outside. What the program says of it itself is shown beside. With `--keep` everything stays until Enter or Ctrl-C.

mod explain;
mod listing;
mod measure;
mod policy;
mod report;
mod show;
mod workload;

use std::io::BufRead;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use e2e::cleanup::{self, ScratchDir};
use e2e::client::Outcome;
use e2e::{Bed, Daemon, Node, Pod, Vip, manifest, wait};

use measure::{Phase, health};
use policy::{POLICIES, Policy};
use show::Screen;

/// How long anything may take that waits for the daemon.
const LIMIT: Duration = Duration::from_secs(15);
/// The node that loses its pods.
const LOSER: &str = "node-1";

/// Measure both values of externalTrafficPolicy with real connections
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave the nodes there until Enter or Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// Everything; returns whether every figure was as expected.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let begun = Instant::now();
    let screen = Screen::new();
    // Absent before a missing binary could be noticed late.
    e2e::binary()?;
    let scratch = ScratchDir::create("demo")?;
    let bed = Bed::build(3)?;
    let pods = make_pods(&bed)?;
    screen.introduce(&bed, &pods);

    let manifests = scratch.path().join("manifests");
    std::fs::create_dir(&manifests).context("make the manifest directory")?;
    write_cluster(&manifests, &bed)?;
    write_endpoints(&manifests, &pods.iter().collect::<Vec<_>>())?;
    let mut daemons = start_daemons(&bed, &manifests, scratch.path())?;
    serve(&bed)?;

    let all: Vec<_> = pods.iter().collect();
    let before = Phase::measure(&bed, &all)?;
    screen.shares(&before, &all);
    let listing = bed.nodes()[1]
        .namespace()
        .exec(&["nft", "list", "table", "ip", "kube-proxy"])?;
    let explained = explain::ask(&bed, &manifests)?;
    screen.explained(&explained);

    let left: Vec<_> = pods.iter().filter(|pod| pod.node() != LOSER).collect();
    let noticed = lose_pods(&bed, &manifests, &left)?;
    let after = Phase::measure(&bed, &left)?;
    screen.health(&before, &after, noticed);
    screen.shares_after(&after, &left);
    for (daemon, node) in daemons.iter_mut().zip(bed.nodes()) {
        daemon
            .check()
            .with_context(|| format!("on {}", node.name()))?;
    }

    let problems = [before.problems(&all), after.problems(&left)].concat();
    let path = report::write(&before, &after, &all, &left, &problems)?;
    screen.look(&listing, &bed.nodes()[1]);
    screen.verdict(&problems, [&explained.page, &path], begun.elapsed());
    if !args.keep {
        screen.gone();
    } else {
        keep(&screen, &bed, &manifests, problems.is_empty())?;
    }
    Ok(problems.is_empty())
}

/// One pod on node-1, two on node-2, three on node-3.
fn make_pods(bed: &Bed) -> Result<Vec<Pod>> {
    let mut pods = Vec::new();
    for node in bed.nodes() {
        for letter in ["a", "b", "c"].iter().take(node.number().into()) {
            pods.push(node.pod(&format!("echo-{}{letter}", node.number()))?);
        }
    }
    Ok(pods)
}

fn write_cluster(manifests: &Path, bed: &Bed) -> Result<()> {
    let mut cluster = vec![manifest::service_cidr()];
    cluster.extend(bed.nodes().iter().map(manifest::node));
    manifest::write(manifests, "cluster", &cluster)?;
    let services: Vec<_> = POLICIES.iter().map(Policy::manifest).collect();
    manifest::write(manifests, "services", &services)
}

fn write_endpoints(manifests: &Path, pods: &[&Pod]) -> Result<()> {
    manifest::write(manifests, "workload", &workload::manifests(pods))?;
    let slices: Vec<_> = POLICIES
        .iter()
        .flat_map(|policy| manifest::endpoint_slices(policy.service, pods))
        .collect();
    manifest::write(manifests, "endpointslices", &slices)
}

fn start_daemons(bed: &Bed, manifests: &Path, logs: &Path) -> Result<Vec<Daemon>> {
    let directory = manifests.to_str().context("directory name is not UTF-8")?;
    let source = ["--manifests", directory];
    let mut daemons = bed
        .nodes()
        .iter()
        .map(|node| Daemon::start(node, &source, logs))
        .collect::<Result<Vec<_>>>()?;
    for (daemon, node) in daemons.iter_mut().zip(bed.nodes()) {
        daemon.wait_live(node)?;
        let what = format!("node port of {}", node.name());
        wait::until(&what, LIMIT, || answers(bed, node))
            .with_context(|| format!("log of {}:\n{}", node.name(), daemon.tail(20)))?;
    }
    Ok(daemons)
}

/// That the client reaches a pod by the node port of policy Cluster: the rules are there.
fn answers(bed: &Bed, node: &Node) -> Result<()> {
    let target = SocketAddr::new(IpAddr::V4(node.addresses().v4), POLICIES[0].node_port);
    match bed.client().dial(target)? {
        Outcome::Answered(_) => Ok(()),
        other => bail!("{target}: {other}"),
    }
}

/// Lets the load balancer serve both Services on all nodes.
fn serve(bed: &Bed) -> Result<()> {
    let vips = POLICIES.map(|policy| Vip {
        address: policy.address(),
        health_port: policy.health_port,
    });
    bed.balancer().serve(&vips);
    for policy in POLICIES {
        in_service(bed, policy, &[1, 2, 3])?;
    }
    Ok(())
}

fn in_service(bed: &Bed, policy: Policy, expected: &[usize]) -> Result<Duration> {
    let what = format!("nodes in service for policy {}", policy.name);
    wait::until(&what, LIMIT, || {
        match bed.balancer().in_service(policy.address()) {
            nodes if nodes == expected => Ok(()),
            nodes => bail!("{nodes:?} instead of {expected:?}"),
        }
    })
}

/// When a node's loss of its pods was noticed, from the change of the manifests on.
struct Noticed {
    /// The node's health check port answered 503.
    by_node: Duration,
    /// The load balancer took the node out.
    by_balancer: Duration,
}

fn lose_pods(bed: &Bed, manifests: &Path, left: &[&Pod]) -> Result<Noticed> {
    let [cluster, local] = POLICIES;
    let start = Instant::now();
    write_endpoints(manifests, left)?;
    wait::until("node-1 answers 503", LIMIT, || {
        match health(bed, local)?.get(LOSER) {
            Some(503) => Ok(()),
            other => bail!("{other:?}"),
        }
    })?;
    let by_node = start.elapsed();
    in_service(bed, local, &[2, 3])?;
    let by_balancer = start.elapsed();
    // The other nodes' daemons read the same files in their own time.
    let target = SocketAddr::new(IpAddr::V4(cluster.address().v4), Policy::PORT);
    wait::until("no connection goes to node-1's pod", LIMIT, || {
        let tally = bed.client().measure(target, 120)?;
        match tally
            .pods
            .keys()
            .find(|pod| !left.iter().any(|p| p.name() == *pod))
        {
            None => Ok(()),
            Some(pod) => bail!("{pod} answered"),
        }
    })?;
    Ok(Noticed {
        by_node,
        by_balancer,
    })
}

/// Waits for Enter or a signal.
fn keep(screen: &Screen, bed: &Bed, manifests: &Path, good: bool) -> Result<()> {
    screen.kept(bed, manifests);
    cleanup::exit_code_on_signal(i32::from(!good));
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line)? == 0 {
        // No terminal to press Enter on: until a signal comes.
        loop {
            std::thread::park();
        }
    }
    Ok(())
}
