//! The API server's machine vanishes without a word, in each phase of a connection; another one
//! is at its address at once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::address::CONTROL;
use e2e::fakeapi::{Behaviour, Kind, PORT};
use e2e::{ip, wait};

use super::{Course, Fault, Scale};
use crate::faults::dns::Dns;
use crate::faults::forward_proxy::ForwardProxy;
use crate::faults::proxy::Launch;
use crate::faults::site::{Site, server};

/// Silence is noticed within 30 s; then comes the first pause of a backoff.
const LIMIT: Duration = Duration::from_secs(35);
/// When to give up.
const PATIENCE: Duration = Duration::from_secs(90);
/// A request is on its way within this.
const SOON: Duration = Duration::from_secs(30);

pub(super) fn faults() -> Vec<Fault> {
    // Without HTTP/2 there are as many connections as watches, and no PING tells of their end.
    let old: [(&str, Phase); 4] = [
        ("no-headers", no_headers),
        ("half-list", half_list),
        ("idle-watch", idle_watch),
        ("pooled", pooled),
    ];
    let phases: [(&str, Phase); 10] = [
        ("dns", dns),
        ("connect", connect),
        ("tls", tls),
        ("no-headers", no_headers),
        ("half-list", half_list),
        ("idle-watch", idle_watch),
        ("pooled", pooled),
        ("no-route", no_route),
        ("proxy-connect", proxy_connect),
        ("proxy-idle-watch", proxy_idle_watch),
    ];
    let phases = phases.map(|(name, phase)| fault(name, false, phase));
    let old = old.map(|(name, phase)| fault(&format!("http1-{name}"), true, phase));
    phases.into_iter().chain(old).collect()
}

/// What happens in one phase; how long until the daemon follows again.
type Phase = fn(&mut Site) -> Result<Duration>;

fn fault(name: &str, http1: bool, phase: Phase) -> Fault {
    let run = move |site: &mut Site, scale: Scale| repeat(site, scale, http1, phase);
    Fault::new(&format!("half-open-{name}"), LIMIT, run).waiting()
}

fn repeat(site: &mut Site, scale: Scale, http1: bool, phase: Phase) -> Result<Course> {
    let times = scale.choose(1, 3);
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        site.api.behave(|behaviour| behaviour.http1 = http1);
        site.relaunch(site.usual())?;
        site.follows(SOON)?;
        longest = longest.max(phase(site)?);
    }
    site.api
        .behave(|behaviour| *behaviour = Behaviour::default());
    site.relaunch(site.usual())?;
    site.follows(SOON)?;
    Ok(Course {
        times,
        recovered: longest,
    })
}

/// All of it vanishes now; how long until the daemon follows the server that took its place.
fn replaced(site: &mut Site) -> Result<Duration> {
    site.api
        .behave(|behaviour| *behaviour = Behaviour::default());
    let since = Instant::now();
    site.api.vanish()?;
    let (number, _) = site.mark();
    site.awaits((number, since), PATIENCE)
}

/// Names are asked for and nobody answers, for a while.
fn dns(site: &mut Site) -> Result<Duration> {
    let dns = Dns::start(site.bed.control(), CONTROL.v4.into())?;
    let resolver = site.directory.path().join("resolv.conf");
    std::fs::write(&resolver, format!("nameserver {}\n", CONTROL.v4))?;
    let name = format!("kubernetes.default.svc:{PORT}");
    // In a mount namespace of its own, which `ip netns exec` makes.
    let script = format!(
        "mount --bind {} /etc/resolv.conf && exec \"$@\"",
        resolver.display()
    );
    let launch = Launch {
        kubeconfig: site.api.kubeconfig("by-name", &name, None)?,
        wrapper: vec!["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()],
        ..Launch::default()
    };
    site.relaunch(launch)?;
    wait::until("a query", SOON, || {
        ensure!(dns.queries() > 0, "none came");
        Ok(())
    })?;
    // Longer than a resolver waits by itself.
    std::thread::sleep(Duration::from_secs(12));
    let since = Instant::now();
    dns.answer();
    let (number, _) = site.mark();
    site.awaits((number, since), PATIENCE)
}

/// The first packet of a connection is lost, and those that repeat it.
fn connect(site: &mut Site) -> Result<Duration> {
    let control = site.bed.control();
    control.nft(&format!(
        "table inet deaf {{\ncounter syn {{ }}\nchain in {{\ntype filter hook input priority -300;\n\
         tcp dport {PORT} counter name syn drop\n}}\n}}\n"
    ))?;
    site.relaunch(site.usual())?;
    let control = site.bed.control();
    wait::until("an attempt to connect", SOON, || {
        let counter = control.exec(&["nft", "list", "counter", "inet", "deaf", "syn"])?;
        ensure!(!counter.contains("packets 0 "), "none came");
        Ok(())
    })?;
    std::thread::sleep(Duration::from_secs(20));
    let since = Instant::now();
    control.nft("delete table inet deaf")?;
    let (number, _) = site.mark();
    site.awaits((number, since), PATIENCE)
}

/// The connection is there, and TLS has no answer.
fn tls(site: &mut Site) -> Result<Duration> {
    site.api.behave(|behaviour| behaviour.mute = true);
    site.api.reset_connections();
    site.relaunch(site.usual())?;
    wait::until("a connection", SOON, || {
        ensure!(site.api.connections() > 0, "none came");
        Ok(())
    })?;
    // Its first word is on the way.
    std::thread::sleep(Duration::from_millis(500));
    replaced(site)
}

/// A watch is asked for and not answered.
fn no_headers(site: &mut Site) -> Result<Duration> {
    site.api
        .behave(|behaviour| behaviour.no_headers = Kind::ALL.to_vec());
    let before = site.api.requests().watches;
    site.api.end_watches();
    wait::until("requests", SOON, || {
        let came = site.api.requests().watches - before;
        ensure!(came >= Kind::ALL.len() as u64, "only {came} came");
        Ok(())
    })?;
    replaced(site)
}

/// A list breaks off in its middle.
fn half_list(site: &mut Site) -> Result<Duration> {
    site.api.behave(|behaviour| {
        behaviour.no_streams = true;
        behaviour.half_list = Some(Kind::EndpointSlices);
    });
    let before = site.api.requests().lists;
    site.relaunch(site.usual())?;
    wait::until("lists", SOON, || {
        let came = site.api.requests().lists - before;
        ensure!(came >= Kind::ALL.len() as u64, "only {came} came");
        Ok(())
    })?;
    std::thread::sleep(Duration::from_millis(500));
    replaced(site)
}

/// Nothing has to be said, and then nobody is there to say it.
fn idle_watch(site: &mut Site) -> Result<Duration> {
    site.follows(SOON)?;
    std::thread::sleep(Duration::from_secs(2));
    replaced(site)
}

/// Between two requests on the same connection.
fn pooled(site: &mut Site) -> Result<Duration> {
    site.follows(SOON)?;
    let since = Instant::now();
    site.api.vanish_between_requests()?;
    let (number, _) = site.mark();
    site.awaits((number, since), PATIENCE)
}

/// No packet leaves the node for a while, and nothing says so; the connections could go on then.
fn no_route(site: &mut Site) -> Result<Duration> {
    let control = site.bed.control();
    ip(control, "link set eth0 down")?;
    std::thread::sleep(Duration::from_secs(20));
    ip(control, "link set eth0 up")?;
    let since = Instant::now();
    let (number, _) = site.mark();
    site.awaits((number, since), PATIENCE)
}

fn through(site: &Site) -> Result<Launch> {
    let proxy = format!("http://{}:{}", CONTROL.v4, ForwardProxy::PORT);
    Ok(Launch {
        kubeconfig: site.api.kubeconfig("by-proxy", &server(), Some(&proxy))?,
        ..Launch::default()
    })
}

fn forward_proxy(site: &Site) -> Result<ForwardProxy> {
    let target = SocketAddr::new(CONTROL.v4.into(), PORT);
    ForwardProxy::start(site.bed.control(), CONTROL.v4.into(), target)
}

/// A forward proxy takes the connection and says nothing to CONNECT.
fn proxy_connect(site: &mut Site) -> Result<Duration> {
    let proxy = forward_proxy(site)?;
    proxy.set_mute(true);
    let launch = through(site)?;
    site.relaunch(launch)?;
    wait::until("a connection to the proxy", SOON, || {
        ensure!(!proxy.clients().is_empty(), "none came");
        Ok(())
    })?;
    let since = Instant::now();
    proxy.set_mute(false);
    let (number, _) = site.mark();
    let took = site.awaits((number, since), PATIENCE)?;
    site.relaunch(site.usual())?;
    Ok(took)
}

/// A forward proxy vanishes, with the watches through it.
fn proxy_idle_watch(site: &mut Site) -> Result<Duration> {
    let proxy = forward_proxy(site)?;
    let launch = through(site)?;
    site.relaunch(launch)?;
    site.follows(SOON)?;
    let since = Instant::now();
    proxy.vanish()?;
    let (number, _) = site.mark();
    let took = site.awaits((number, since), PATIENCE)?;
    site.relaunch(site.usual())?;
    Ok(took)
}
