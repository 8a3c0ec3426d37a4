//! The wall clock is wrong by an hour, now this way, now that: changes go on, and health is told
//! as it is.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::wait;

use super::{Course, Fault, Scale};
use crate::faults::inject::{Inject, Plan};
use crate::faults::proxy::{Launch, Proxy};
use crate::faults::site::Site;

const PATIENCE: Duration = Duration::from_secs(40);

pub(super) fn faults() -> Vec<Fault> {
    vec![
        Fault::new("clock", Duration::from_secs(5), changes),
        // After its sync period at the latest.
        Fault::new("clock-and-health", Duration::from_secs(15), health),
    ]
}

/// Seconds by which it is wrong, one after the other.
const OFFSETS: [i64; 4] = [3600, -3600, 7200, 0];
/// How many they are.
const STEPS: u32 = 4;

fn changes(site: &mut Site, scale: Scale) -> Result<Course> {
    let inject = Inject::new(site.directory.path())?;
    site.relaunch(inject.launch(site.usual())?)?;
    site.follows(PATIENCE)?;
    let rounds: u32 = scale.choose(1, 25);
    let mut longest = Duration::ZERO;
    for _ in 0..rounds {
        for offset in OFFSETS {
            inject.set_clock(offset)?;
            longest = longest.max(site.follows(PATIENCE)?);
            for path in ["/livez", "/healthz"] {
                let status = Proxy::health(site.node(), path)?;
                ensure!(status == 200, "{path} answers {status} at {offset} s");
            }
        }
    }
    site.relaunch(site.usual())?;
    site.follows(PATIENCE)?;
    Ok(Course {
        times: rounds * STEPS,
        recovered: longest,
    })
}

/// The kernel takes nothing any more: 503 in time, whatever the clock says, until it does again.
fn health(site: &mut Site, _: Scale) -> Result<Course> {
    let mut inject = Inject::new(site.directory.path())?;
    let launch = inject.launch(site.usual())?;
    site.relaunch(Launch {
        flags: vec!["--iptables-sync-period=5s".to_owned()],
        ..launch
    })?;
    site.follows(PATIENCE)?;
    inject.plan(&Plan::new("batch", 1, 1_000_000, "refuse 1"))?;
    inject.set_clock(-3600)?;
    let (number, _) = site.mark();
    let is = |site: &Site, wanted: u16| -> Result<()> {
        let status = Proxy::health(site.node(), "/livez")?;
        ensure!(status == wanted, "answers {status}");
        Ok(())
    };
    // Twice the sync period, and what a busy machine adds.
    wait::until("/livez to answer 503", Duration::from_secs(20), || {
        is(site, 503)
    })?;
    ensure!(inject.is_done(), "no transaction was met");
    for offset in OFFSETS {
        inject.set_clock(offset)?;
        is(site, 503)?;
    }
    let since = Instant::now();
    inject.clear()?;
    let recovered = site.awaits((number, since), PATIENCE)?;
    wait::until("/livez to answer 200", Duration::from_secs(5), || {
        is(site, 200)
    })?;
    site.relaunch(site.usual())?;
    site.follows(PATIENCE)?;
    Ok(Course {
        times: STEPS,
        recovered,
    })
}
