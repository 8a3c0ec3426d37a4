//! The daemon dies without a warning, at every step of a sync.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Course, Fault, Scale};
use crate::faults::inject::{Inject, Plan};
use crate::faults::site::Site;

/// A restart on a busy machine, lists, and the first sync.
const LIMIT: Duration = Duration::from_secs(15);

pub(super) fn faults() -> Vec<Fault> {
    vec![
        Fault::new("kill-at-start", LIMIT, |site, scale| {
            at_each_call(site, scale, Moment::Start)
        }),
        Fault::new("kill-at-change", LIMIT, |site, scale| {
            at_each_call(site, scale, Moment::Change)
        }),
        Fault::new("kill-any-time", LIMIT, any_time),
    ]
}

/// When calls are counted from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Start,
    Change,
}

/// Dies before and after the first netlink call, then the second, until a whole sync is through
/// without it; then the rest of the times at calls in turn.
fn at_each_call(site: &mut Site, scale: Scale, moment: Moment) -> Result<Course> {
    let times = scale.choose(20, 200);
    let mut inject = Inject::new(site.directory.path())?;
    let mut longest = Duration::ZERO;
    let (mut done, mut call) = (0, 0);
    while done < times {
        let before = call % 2 == 0;
        let nth = call / 2 + 1;
        let action = if before { "die-before" } else { "die-after" };
        let plan = Plan::new("any", nth, 1, action);
        let was_killed = killed(site, &mut inject, moment, &plan)?;
        if was_killed {
            longest = longest.max(repaired(site)?);
            done += 1;
            call += 1;
        } else {
            ensure!(call > 0, "no call was met");
            call = 0;
        }
        site.busy(1 + done as usize % 2);
    }
    site.busy(1);
    site.relaunch(site.usual())?;
    site.follows(Duration::from_secs(20))?;
    Ok(Course {
        times,
        recovered: longest,
    })
}

/// Lets the daemon run into the plan; false if it did not.
fn killed(site: &mut Site, inject: &mut Inject, moment: Moment, plan: &Plan) -> Result<bool> {
    let launch = inject.launch(site.usual())?;
    match moment {
        Moment::Start => {
            inject.plan(plan)?;
            site.relaunch(launch)?;
        }
        Moment::Change => {
            inject.clear()?;
            site.relaunch(launch)?;
            site.follows(Duration::from_secs(20))?;
            inject.plan(plan)?;
        }
    }
    // What it does on its way to this is what it may die of.
    let followed = site.follows(Duration::from_secs(8));
    let proxy = site.proxy()?;
    match followed {
        // As far as the plan goes all is done.
        Ok(_) if proxy.check().is_ok() => Ok(false),
        _ => {
            proxy.ended(Duration::from_secs(1))?;
            ensure!(inject.is_done(), "it ended, but not by the plan");
            site.proxy = None;
            Ok(true)
        }
    }
}

/// Starts it again, as a supervisor does; how long until all is well.
fn repaired(site: &mut Site) -> Result<Duration> {
    let since = Instant::now();
    site.launch = site.usual();
    site.start()?;
    site.follows(LIMIT * 2)?;
    site.awaits_plan(LIMIT)?;
    Ok(since.elapsed())
}

/// Dies at moments that have nothing to do with what it does, amid changes.
fn any_time(site: &mut Site, scale: Scale) -> Result<Course> {
    let times = scale.choose(8, 100);
    let mut longest = Duration::ZERO;
    for round in 0..times {
        let end = Instant::now() + Duration::from_millis(u64::from(round) * 37 % 400);
        let mut pods = 0;
        while Instant::now() < end {
            site.busy(1 + pods % 2);
            site.mark();
            pods += 1;
            std::thread::sleep(Duration::from_millis(7));
        }
        site.proxy()?.kill()?;
        longest = longest.max(repaired(site)?);
    }
    site.busy(1);
    Ok(Course {
        times,
        recovered: longest,
    })
}
