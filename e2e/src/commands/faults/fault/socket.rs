//! What the kernel may answer to netlink when it is short of something, at a moment when a change
//! is under way.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Course, Fault, Scale};
use crate::faults::inject::{Inject, Plan};
use crate::faults::site::Site;

/// A few tries, each a while after the one before.
const LIMIT: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(60);

/// Error numbers of Linux.
const ERRORS: [(&str, i32); 5] = [
    ("enobufs", 105),
    ("ebusy", 16),
    ("enomem", 12),
    ("eintr", 4),
    ("eperm", 1),
];

pub(super) fn faults() -> Vec<Fault> {
    let mut faults: Vec<_> = ERRORS
        .into_iter()
        .map(|(name, errno)| {
            let run = move |site: &mut Site, scale: Scale| fails(site, scale, errno);
            Fault::new(&format!("socket-{name}"), LIMIT, run)
        })
        .collect();
    faults.push(Fault::new("socket-interrupted-list", LIMIT, interrupted));
    faults.push(Fault::new(
        "socket-lost-notifications",
        Duration::from_secs(1),
        overrun,
    ));
    faults
}

/// Each call on the way of a change fails once, and three times in a row.
fn fails(site: &mut Site, scale: Scale, errno: i32) -> Result<Course> {
    let mut inject = Inject::new(site.directory.path())?;
    site.relaunch(inject.launch(site.usual())?)?;
    site.follows(PATIENCE)?;
    let mut times = 0;
    let mut longest = Duration::ZERO;
    for _ in 0..scale.choose(1, 10) {
        for (call, action) in [("batch", "fail"), ("answer", "fail"), ("batch", "refuse")] {
            for count in [1, 3] {
                let plan = Plan::new(call, 1, count, &format!("{action} {errno}"));
                inject.plan(&plan)?;
                longest = longest.max(site.follows(PATIENCE)?);
                ensure!(inject.is_done(), "{call} {action} met no call");
                inject.clear()?;
                site.awaits_plan(LIMIT)?;
                times += count;
            }
        }
    }
    site.relaunch(site.usual())?;
    site.follows(PATIENCE)?;
    Ok(Course {
        times,
        recovered: longest,
    })
}

/// The lists of a start say that what they list changed meanwhile.
fn interrupted(site: &mut Site, scale: Scale) -> Result<Course> {
    let mut inject = Inject::new(site.directory.path())?;
    let times = scale.choose(2, 20);
    let mut longest = Duration::ZERO;
    for round in 0..times {
        inject.plan(&Plan::new("list", 1, 1 + round % 3, "interrupt"))?;
        let launch = inject.launch(site.usual())?;
        let since = Instant::now();
        site.relaunch(launch)?;
        let (number, _) = site.mark();
        longest = longest.max(site.awaits((number, since), PATIENCE)?);
        ensure!(inject.is_done(), "no list was met");
    }
    site.relaunch(site.usual())?;
    site.follows(PATIENCE)?;
    Ok(Course {
        times,
        recovered: longest,
    })
}

/// The notifications of someone's edit are lost, as in an overrun: the socket says that, no more.
fn overrun(site: &mut Site, scale: Scale) -> Result<Course> {
    let mut inject = Inject::new(site.directory.path())?;
    site.relaunch(inject.launch(site.usual())?)?;
    site.follows(PATIENCE)?;
    // More in a row would be met with pauses.
    let times = scale.choose(1, 6);
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        let before = site.expected()?;
        site.awaits_tables(&before, PATIENCE)?;
        inject.plan(&Plan::new("notification", 1, 1, "fail 105"))?;
        let since = Instant::now();
        site.node()
            .namespace()
            .nft("add rule ip kube-proxy filter-forward counter")?;
        site.awaits_tables(&before, Duration::from_secs(8))?;
        longest = longest.max(since.elapsed());
        ensure!(inject.is_done(), "no notification was met");
        inject.clear()?;
    }
    site.relaunch(site.usual())?;
    site.follows(PATIENCE)?;
    Ok(Course {
        times,
        recovered: longest,
    })
}
