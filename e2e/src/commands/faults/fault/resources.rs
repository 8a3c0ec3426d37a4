//! The daemon is given too little: descriptors, memory.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::wait;

use super::{Course, Fault, Scale};
use crate::faults::objects::idle;
use crate::faults::proxy::{Launch, Proxy};
use crate::faults::site::Site;

const PATIENCE: Duration = Duration::from_secs(40);

pub(super) fn faults() -> Vec<Fault> {
    vec![
        Fault::new("descriptors", Duration::from_secs(10), descriptors),
        Fault::new("memory", Duration::from_secs(15), memory),
    ]
}

/// 64 descriptors, and more clients at the health port than that.
fn descriptors(site: &mut Site, scale: Scale) -> Result<Course> {
    let words = ["prlimit", "--nofile=64:64"].map(str::to_owned);
    site.relaunch(Launch {
        wrapper: words.into(),
        ..site.usual()
    })?;
    site.follows(PATIENCE)?;
    let health = SocketAddr::new(IpAddr::V4(site.node().addresses().v4), 10256);
    let times = scale.choose(2, 20);
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        let connect = || TcpStream::connect_timeout(&health, Duration::from_secs(1));
        let flood: Vec<TcpStream> = site
            .bed
            .client()
            .run(|| (0..200).map_while(|_| connect().ok()).collect())?;
        ensure!(flood.len() > 64, "only {} connections came", flood.len());
        longest = longest.max(site.follows(PATIENCE)?);
        // Its watches have to come back meanwhile.
        site.api.reset_connections();
        longest = longest.max(site.follows(PATIENCE)?);
        drop(flood);
        wait::until("/livez", Duration::from_secs(15), || {
            let status = Proxy::health(site.node(), "/livez")?;
            ensure!(status == 200, "answers {status}");
            Ok(())
        })?;
    }
    site.relaunch(site.usual())?;
    site.follows(PATIENCE)?;
    Ok(Course {
        times,
        recovered: longest,
    })
}

/// It may not have one page more, has to take in much, and dies of it; a supervisor starts it again.
fn memory(site: &mut Site, scale: Scale) -> Result<Course> {
    const BIG: u16 = 120;
    let times = scale.choose(1, 10);
    let mut longest = Duration::ZERO;
    let endpoints: Vec<_> = (1..=250)
        .map(|host| Ipv4Addr::new(10, 244, 250, host))
        .collect();
    for _ in 0..times {
        allow_no_more(site.proxy()?)?;
        site.api
            .put_all((0..BIG).flat_map(|number| idle(number, &endpoints)));
        if site.proxy()?.ended(Duration::from_secs(30)).is_err() {
            bail!("it lives on without memory: the limit was not met");
        }
        let since = Instant::now();
        site.proxy = None;
        site.start()?;
        site.follows(PATIENCE)?;
        site.awaits_plan(PATIENCE)?;
        longest = longest.max(since.elapsed());
        for object in (0..BIG).flat_map(|number| idle(number, &[])) {
            site.api.delete(&object);
        }
        site.follows(PATIENCE)?;
    }
    Ok(Course {
        times,
        recovered: longest,
    })
}

/// Limits what a running process may write to, to what it has: address space that is only put by
/// does not count.
fn allow_no_more(proxy: &Proxy) -> Result<()> {
    let pid = proxy.pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: u64 = kilobytes.context("its data")?.parse()?;
    let bytes = kilobytes * 1024;
    let status = Command::new("prlimit")
        .args([
            "--pid",
            &pid.to_string(),
            &format!("--data={bytes}:{bytes}"),
        ])
        .status()
        .context("run prlimit")?;
    ensure!(status.success(), "prlimit: {status}");
    Ok(())
}
