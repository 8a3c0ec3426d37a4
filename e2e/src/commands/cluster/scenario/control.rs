//! Who follows may be away for a while: the rules stay.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Stream, wait};
use serde_json::json;

use super::{from, outside};
use crate::cluster::fixture::Cluster;

/// While the API server is away everything stays; once it is back the daemon follows again.
pub(super) fn api_server_restart(cluster: &mut Cluster) -> Result<()> {
    cluster.run("web", &[1, 2])?;
    let service = cluster.serve("web", &json!({"type": "NodePort"}))?;
    let target = service.node_targets(&cluster.bed.nodes()[2])[0];
    outside(cluster).reaches(target, &["web-1", "web-2"])?;

    let stream = Stream::start(cluster.bed.client(), target)?;
    cluster.control.kill_api_server()?;
    std::thread::sleep(Duration::from_secs(3));
    cluster.check_daemons()?;
    cluster.api = cluster.control.restart_api_server(cluster.bed.control())?;
    cluster.run("web", &[3])?;
    // Controllers and daemons come back by their own backoffs.
    wait::until("the new pod", Duration::from_secs(60), || {
        outside(cluster)
            .reaches(target, &["web-1", "web-2", "web-3"])
            .map(drop)
    })?;
    let tally = stream.stop()?;
    ensure!(
        tally.failures.is_empty(),
        "connections failed: {:?}",
        tally.failures
    );
    // Each watch of each daemon comes back by a backoff of its own, as long as upstream's; what
    // follows counts on all of them.
    cluster.run("late", &[1])?;
    let late = cluster.serve("late", &json!({"type": "NodePort"}))?;
    for node in cluster.bed.nodes() {
        let target = late.node_targets(node)[0];
        wait::until("a later Service", Duration::from_secs(60), || {
            outside(cluster).reaches(target, &["late-1"]).map(drop)
        })?;
    }
    Ok(())
}

/// SIGTERM ends the daemon within a second and leaves its rules; the next one takes them over
/// without a lost connection, and catches up.
pub(super) fn daemon_restart(cluster: &mut Cluster) -> Result<()> {
    cluster.run("web", &[1, 2, 3])?;
    let service = cluster.serve("web", &json!({"type": "NodePort"}))?;
    let nodes = cluster.bed.nodes();
    let outer = service.node_targets(&nodes[0])[0];
    let inner = *service.cluster_targets().last().context("no cluster IP")?;
    let all = ["web-1", "web-2", "web-3"];
    outside(cluster).reaches(outer, &all)?;
    from(cluster.pods[0].namespace(), "web-1").reaches(inner, &all)?;

    let streams = [
        Stream::start(cluster.bed.client(), outer)?,
        Stream::start(cluster.pods[0].namespace(), inner)?,
    ];
    for _ in 0..3 {
        let took = cluster.take_daemon(0)?.terminate()?;
        ensure!(took < Duration::from_secs(1), "SIGTERM took {took:.1?}");
        std::thread::sleep(Duration::from_millis(500));
        cluster.start_daemon(0)?;
        std::thread::sleep(Duration::from_millis(500));
    }
    for stream in streams {
        let tally = stream.stop()?;
        ensure!(
            tally.answered() > 100,
            "only {} connections",
            tally.answered()
        );
        ensure!(
            tally.failures.is_empty(),
            "connections failed: {:?}",
            tally.failures
        );
    }

    // What changed meanwhile is noticed.
    cluster.take_daemon(0)?.terminate()?;
    cluster.forget_pod(1)?;
    std::thread::sleep(Duration::from_secs(1));
    cluster.start_daemon(0)?;
    outside(cluster)
        .reaches(outer, &["web-1", "web-3"])
        .map(drop)
}
