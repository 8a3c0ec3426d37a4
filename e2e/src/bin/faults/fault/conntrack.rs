//! The kernel's table of connections is full.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::flows::{self, Flow, TCP};

use super::{Course, Fault, Scale};
use crate::site::Site;

/// How long what fills it stays, seconds: it has to be in before the first goes.
const STAYS: u32 = 40;

pub(super) fn faults() -> Vec<Fault> {
    // No new connection has a place while it is full, whatever the Service.
    let fault = Fault::new("conntrack-full", Duration::from_secs(10), full);
    vec![fault.touching(|_| true)]
}

fn full(site: &mut Site, _: Scale) -> Result<Course> {
    let node = site.node().namespace();
    let path = "/proc/sys/net/netfilter/nf_conntrack_max";
    let most: u64 = node
        .run(|| std::fs::read_to_string(path))??
        .trim()
        .parse()?;
    ensure!(
        most <= 4 << 20,
        "{path} is {most}: to fill that takes too long"
    );
    let begun = Instant::now();
    // Refused as soon as it is full.
    let refused = flows::insert_for(node, (0..u32::MAX).map(flow), STAYS);
    let refused = refused.err().context("it is never full")?;
    let count = flows::count(node)?;
    ensure!(count >= most, "{count} of {most} flows: {refused:#}");
    // Changes go on: the connection to the API server has its place.
    site.busy(2);
    site.awaits_plan(Duration::from_secs(10))?;
    site.busy(1);
    site.awaits_plan(Duration::from_secs(10))?;
    let count = flows::count(site.node().namespace())?;
    ensure!(
        count >= most,
        "only {count} of {most} flows were there to the end"
    );
    let end = begun + Duration::from_secs(u64::from(STAYS));
    std::thread::sleep(end.saturating_duration_since(Instant::now()));
    let recovered = site.follows(Duration::from_secs(60))?;
    Ok(Course {
        times: 1,
        recovered,
    })
}

/// A connection that the kernel may not give up for a newer one.
fn flow(number: u32) -> Flow {
    let source = IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + number / 50_000));
    let port = 1024 + u16::try_from(number % 50_000).unwrap_or(0);
    let end = |last| SocketAddr::new(Ipv4Addr::new(198, 18, 0, last).into(), 443);
    Flow {
        protocol: TCP,
        source: SocketAddr::new(source, port),
        destination: end(1),
        answers: end(1),
    }
}
