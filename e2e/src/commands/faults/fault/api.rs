//! The API server goes, comes back, and drops its watches.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::wait;

use super::{Course, Fault, Scale};
use crate::faults::site::Site;

pub(super) fn faults() -> Vec<Fault> {
    vec![
        // Its longest pause between two attempts, and what its start takes.
        Fault::new("api-gone", Duration::from_secs(60), gone).waiting(),
        Fault::new("api-gone-and-compacted", Duration::from_secs(60), compacted).waiting(),
        // These live for less than a second, so they come again with the same pauses.
        Fault::new("watches-end", Duration::from_secs(35), |site, scale| {
            dropped(site, scale, |site| site.api.end_watches())
        })
        .waiting(),
        Fault::new("watches-reset", Duration::from_secs(35), |site, scale| {
            dropped(site, scale, |site| site.api.reset_connections())
        })
        .waiting(),
    ]
}

/// Gone while everything changes; the changes are there once it is back.
fn gone(site: &mut Site, scale: Scale) -> Result<Course> {
    away(site, scale.choose(20, 600), |_| {})
}

/// The same, and nobody remembers what happened meanwhile.
fn compacted(site: &mut Site, scale: Scale) -> Result<Course> {
    away(site, scale.choose(5, 120), |site| site.api.compact())
}

fn away(site: &mut Site, seconds: u64, before_it_is_back: impl Fn(&Site)) -> Result<Course> {
    site.api.close();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut pods = 2;
    while Instant::now() < end {
        site.busy(pods);
        site.mark();
        pods = 3 - pods;
        std::thread::sleep(Duration::from_millis(500));
        site.proxy()?.check()?;
    }
    site.busy(1);
    let (number, _) = site.mark();
    before_it_is_back(site);
    let back = Instant::now();
    site.api.open();
    let recovered = site.awaits((number, back), Duration::from_secs(90))?;
    site.awaits_plan(Duration::from_secs(20))?;
    Ok(Course {
        times: 1,
        recovered: recovered.max(back.elapsed()),
    })
}

/// Every watch is lost again and again, with a change right after.
fn dropped(site: &mut Site, scale: Scale, how: impl Fn(&Site)) -> Result<Course> {
    // Two of them are known to be back by the new Service, the others are awaited.
    const WATCHES: u32 = 4;
    let rounds = scale.choose(4, 250);
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        let before = site.api.requests();
        how(site);
        longest = longest.max(site.follows(Duration::from_secs(60))?);
        wait::until("all watches", Duration::from_secs(60), || {
            let now = site.api.requests();
            let came = now.watches - before.watches;
            ensure!(came >= u64::from(WATCHES), "only {came} came");
            Ok(())
        })?;
        site.busy(1 + round as usize % 2);
    }
    site.busy(1);
    // The next fault meets one without pauses.
    site.relaunch(site.usual())?;
    site.follows(Duration::from_secs(20))?;
    Ok(Course {
        times: rounds * WATCHES,
        recovered: longest,
    })
}
