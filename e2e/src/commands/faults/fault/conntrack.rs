//! The kernel's table of connections is full.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::client::{Outcome, dial};
use e2e::flows::{self, Flow, TCP};

use super::{Course, Fault, Scale};
use crate::faults::objects::{NEW, Service};
use crate::faults::site::Site;

/// How long what fills it stays, seconds: it has to be in before the first goes.
const STAYS: u32 = 40;

pub(super) fn faults() -> Vec<Fault> {
    // No new connection has a place while it is full, whatever the Service.
    let fault = Fault::new("conntrack-full", Duration::from_secs(10), full);
    vec![fault.touching(|_| true)]
}

fn full(site: &mut Site, _: Scale) -> Result<Course> {
    let path = "/proc/sys/net/netfilter/nf_conntrack_max";
    let node = site.node().namespace();
    let most: u32 = node
        .run(|| std::fs::read_to_string(path))??
        .trim()
        .parse()?;
    ensure!(
        most <= 4 << 20,
        "{path} is {most}: to fill that takes too long"
    );
    // So that the connection to the API server has its place: at first it is older than the hooks.
    site.follows(Duration::from_secs(20))?;
    let begun = Instant::now();
    let mut next = 0;
    for pods in [2, 1] {
        fill(site, &mut next)?;
        site.busy(pods);
        site.awaits_plan(Duration::from_secs(10))?;
    }
    let end = begun + Duration::from_secs(u64::from(STAYS));
    let left = end.saturating_duration_since(Instant::now());
    ensure!(!left.is_zero(), "it took longer than it stayed full");
    std::thread::sleep(left);
    let recovered = site.follows(Duration::from_secs(60))?;
    Ok(Course {
        times: 1,
        recovered,
    })
}

/// Adds flows from the number `next` on until there is no place for a new connection: others end
/// all the time.
fn fill(site: &Site, next: &mut u32) -> Result<()> {
    let node = site.node().namespace();
    let target = SocketAddr::new(
        site.node().addresses().v4.into(),
        Service::Calm.node_port(NEW),
    );
    for _ in 0..20 {
        let numbers = std::iter::from_fn(|| {
            *next += 1;
            Some(*next)
        });
        // Refused as soon as it is full.
        let refused = flows::insert_for(node, numbers.map(flow), STAYS);
        refused.err().context("it is never full")?;
        let client = site.bed.client();
        let patience = Duration::from_millis(300);
        if !matches!(client.run(|| dial(target, patience))?, Outcome::Answered(_)) {
            return Ok(());
        }
    }
    bail!(
        "new connections are answered, with {} flows",
        flows::count(node)?
    )
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
