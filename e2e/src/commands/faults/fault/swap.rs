//! Upstream's kube-proxy takes over from ours and ours from upstream's, again and again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::controlplane;

use super::{Course, Fault, Scale};
use crate::faults::proxy::Launch;
use crate::faults::site::Site;

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn faults() -> Vec<Fault> {
    vec![Fault::new(
        "swap-with-upstream",
        Duration::from_secs(15),
        swap,
    )]
}

pub(super) fn swap(site: &mut Site, scale: Scale) -> Result<Course> {
    let upstream = Launch {
        program: Some(controlplane::program("kube-proxy")?),
        ..site.usual()
    };
    let times = scale.choose(2, 20);
    let mut longest = Duration::ZERO;
    for round in 0..times {
        site.relaunch(upstream.clone())?;
        site.follows(PATIENCE).context("upstream's kube-proxy")?;
        site.busy(1 + round as usize % 2);
        site.relaunch(site.usual())?;
        let since = Instant::now();
        site.follows(PATIENCE)?;
        site.awaits_plan(PATIENCE)?;
        longest = longest.max(since.elapsed());
    }
    site.busy(1);
    Ok(Course {
        times,
        recovered: longest,
    })
}
