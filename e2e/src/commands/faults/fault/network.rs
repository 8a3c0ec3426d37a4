//! The way to the API server is bad, but there is one.

use std::time::Duration;

use anyhow::Result;
use e2e::fakeapi::{Behaviour, PORT};

use super::{Course, Fault, Scale};
use crate::faults::site::Site;

const PATIENCE: Duration = Duration::from_secs(90);

pub(super) fn faults() -> Vec<Fault> {
    vec![
        Fault::new("api-lossy", Duration::from_secs(30), lossy).waiting(),
        Fault::new("api-slow", Duration::from_secs(20), slow).waiting(),
    ]
}

/// Every fifth packet is lost, each way.
fn lossy(site: &mut Site, scale: Scale) -> Result<Course> {
    let lost = "numgen random mod 100 < 20 drop";
    site.bed.control().nft(&format!(
        "table inet lossy {{\n\
         chain in {{ type filter hook input priority -300; tcp dport {PORT} {lost}; }}\n\
         chain out {{ type filter hook output priority -300; tcp sport {PORT} {lost}; }}\n}}\n"
    ))?;
    let times = scale.choose(5, 100);
    let mut longest = Duration::ZERO;
    for round in 0..times {
        longest = longest.max(site.follows(PATIENCE)?);
        if round % 2 == 0 {
            site.api.end_watches();
        }
    }
    site.bed.control().nft("delete table inet lossy")?;
    Ok(Course {
        times,
        recovered: longest,
    })
}

/// Every answer takes two seconds, from the start on.
fn slow(site: &mut Site, scale: Scale) -> Result<Course> {
    site.api
        .behave(|behaviour| behaviour.delay = Duration::from_secs(2));
    let times = scale.choose(2, 20);
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        site.relaunch(site.usual())?;
        longest = longest.max(site.follows(PATIENCE)?);
        site.api.end_watches();
        longest = longest.max(site.follows(PATIENCE)?);
    }
    site.api
        .behave(|behaviour| *behaviour = Behaviour::default());
    Ok(Course {
        times,
        recovered: longest,
    })
}
