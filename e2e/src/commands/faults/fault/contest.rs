//! Others who want the tables for themselves, for a while: no war, and all is well after it.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{Process, wait};

use super::{Course, Fault, Scale};
use crate::faults::proxy::Proxy;
use crate::faults::site::Site;

const PATIENCE: Duration = Duration::from_secs(100);

pub(super) fn faults() -> Vec<Fault> {
    vec![
        // The longest pause that an antagonist is met with.
        Fault::new("contest-antagonist", Duration::from_secs(65), antagonist)
            .touching(|target| target.is_ipv6),
        // The longest pause while changes wait for the table.
        Fault::new("contest-owner", Duration::from_secs(10), owner)
            .touching(|target| target.is_ipv6)
            .unhooking(true),
        Fault::new("contest-second-daemon", Duration::from_secs(10), second).touching(|_| false),
    ]
}

/// The same edit again and again, as often as it is undone and more.
fn antagonist(site: &mut Site, scale: Scale) -> Result<Course> {
    // A daemon that has met none yet.
    site.relaunch(site.usual())?;
    site.follows(PATIENCE)?;
    let node = site.node().namespace();
    let before = site.expected()?;
    let end = Instant::now() + Duration::from_secs(scale.choose(8, 120));
    let mut times = 0;
    while Instant::now() < end {
        let words = "flush map ip6 kube-proxy services";
        node.exec(&["nft", words])?;
        times += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    let since = Instant::now();
    site.awaits_tables(&before, PATIENCE)?;
    let recovered = since.elapsed();
    let contested = |event: &serde_json::Value| event["reason"] == "RulesContested";
    wait::until("a Warning on the Node", Duration::from_secs(10), || {
        ensure!(site.api.events().iter().any(contested), "none came");
        Ok(())
    })?;
    site.relaunch(site.usual())?;
    site.follows(PATIENCE)?;
    Ok(Course { times, recovered })
}

/// A process makes the table its own, so that nobody else may touch it, until it ends.
fn owner(site: &mut Site, scale: Scale) -> Result<Course> {
    let times = scale.choose(1, 5);
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        let script = "(echo 'delete table ip6 kube-proxy'; \
                      echo 'add table ip6 kube-proxy { flags owner; }'; sleep 3) | nft -i";
        let mut command: Command = site.node().namespace().command("sh");
        command.args(["-c", script]);
        let log = site.directory.path().join("owner.log");
        let mut owner = Process::start("nft", &mut command, &log)?;
        wait::until("the table to be owned", Duration::from_secs(3), || {
            let words = ["nft", "list", "table", "ip6", "kube-proxy"];
            let listing = site.node().namespace().exec(&words)?;
            ensure!(listing.contains("flags owner"), "it is not");
            Ok(())
        })?;
        site.mark();
        owner.wait(PATIENCE)?;
        let since = Instant::now();
        site.awaits_plan(PATIENCE)?;
        longest = longest.max(since.elapsed());
        site.follows(PATIENCE)?;
    }
    Ok(Course {
        times,
        recovered: longest,
    })
}

/// Another one of ours on the same node, as when an old pod lingers.
fn second(site: &mut Site, scale: Scale) -> Result<Course> {
    let times = scale.choose(1, 10);
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        let mut other = Proxy::start(site.node(), &site.launch, site.directory.path())?;
        for pods in [2, 1, 2, 1] {
            site.busy(pods);
            longest = longest.max(site.follows(PATIENCE)?);
        }
        other.check().context("the second daemon")?;
        other.terminate()?;
        longest = longest.max(site.follows(PATIENCE)?);
    }
    Ok(Course {
        times,
        recovered: longest,
    })
}
