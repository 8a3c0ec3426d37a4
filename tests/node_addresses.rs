//! Node ports and health checks follow the interfaces' addresses at once: the
//! daemon runs, and addresses come and go.

use anyhow::{Context, Result, ensure};
use e2e::address::{ECHO_PORT, Pair, cluster_ip, node};
use e2e::client::Outcome;
use e2e::{Bed, Daemon, Namespace, ip, manifest, wait};
use kube_proxy::netlink::interfaces;
use rules::model::Family;
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Far longer than an event and a sync take, and far shorter than the hour until all is looked at
/// anew.
const LIMIT: Duration = Duration::from_secs(30);
const NODE_PORT: u16 = 30080;
const HEALTH_PORT: u16 = 32000;

struct Rig {
    // Before the bed, so that it ends first.
    daemon: Daemon,
    bed: Bed,
    _pod: e2e::Pod,
    dir: PathBuf,
}

impl Rig {
    /// A node whose Service answers on 192.168.0.0/16 and fd00:60::/32.
    fn new(name: &str) -> Result<Self> {
        let bed = Bed::build(1)?;
        let own = &bed.nodes()[0];
        let pod = own.pod("echo-1")?;
        let dir = std::env::temp_dir().join(format!("kpr-{}-{name}", std::process::id()));
        let objects = dir.join("objects");
        std::fs::create_dir_all(&objects)?;
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "echo", "namespace": "default"},
            "spec": {
                "type": "LoadBalancer",
                "externalTrafficPolicy": "Local",
                "healthCheckNodePort": HEALTH_PORT,
                "clusterIP": cluster_ip(10).v4,
                "clusterIPs": cluster_ip(10).both(),
                "ipFamilies": ["IPv4", "IPv6"],
                "ports": [{"name": "echo", "port": 80, "nodePort": NODE_PORT}],
            },
        });
        let mut list = manifest::endpoint_slices("echo", &[&pod]);
        list.extend([service, manifest::node(own)]);
        manifest::write(&objects, "objects", &list)?;
        let objects = objects.to_str().context("a path")?.to_owned();
        let source = [
            "--manifests",
            &objects,
            "--nodeport-addresses",
            "192.168.0.0/16,fd00:60::/32",
        ];
        let mut daemon = Daemon::start(own, &source, &dir)?;
        daemon.wait_live(own)?;
        let rig = Self {
            daemon,
            bed,
            _pod: pod,
            dir,
        };
        for address in node(1).both() {
            rig.until_served(address, LIMIT)?;
        }
        Ok(rig)
    }

    fn ip(&self, command: &str) -> Result<()> {
        ip(self.bed.nodes()[0].namespace(), command)
    }

    fn answers(&self, address: IpAddr) -> Result<()> {
        let listed = self.listed(address)?;
        ensure!(listed, "{address} is not in nodeport-ips");
        let client = self.bed.client();
        let outcome = client.dial(SocketAddr::new(address, NODE_PORT))?;
        ensure!(matches!(outcome, Outcome::Answered(_)), "{outcome}");
        let health = client.get(SocketAddr::new(address, HEALTH_PORT), "/")?;
        ensure!(health.status == 200, "health check: {}", health.status);
        Ok(())
    }

    fn until_served(&self, address: IpAddr, limit: Duration) -> Result<()> {
        wait::until(&format!("node port at {address}"), limit, || {
            self.answers(address)
        })
        .map(drop)
    }

    fn until_listed(&self, address: IpAddr) -> Result<()> {
        wait::until(&format!("{address}"), LIMIT, || {
            ensure!(self.listed(address)?, "not in nodeport-ips");
            Ok(())
        })
        .map(drop)
    }

    fn until_unlisted(&self, address: IpAddr) -> Result<()> {
        wait::until(&format!("{address} gone"), LIMIT, || {
            ensure!(!self.listed(address)?, "still in nodeport-ips");
            Ok(())
        })
        .map(drop)
    }

    fn listed(&self, address: IpAddr) -> Result<bool> {
        let own = self.bed.nodes()[0].namespace();
        let family = Family::of(address).nft();
        let set = own.exec(&["nft", "list", "set", family, "kube-proxy", "nodeport-ips"])?;
        let text = address.to_string();
        let mut words = set.split(|c: char| !c.is_ascii_hexdigit() && c != ':' && c != '.');
        Ok(words.any(|word| word == text))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.daemon.tail(20));
        }
        std::fs::remove_dir_all(&self.dir).ok();
    }
}

#[test]
fn an_address_that_comes_answers_and_one_that_goes_does_not() -> Result<()> {
    let rig = Rig::new("addresses")?;
    ensure!(ECHO_PORT != NODE_PORT, "the pod's own port proves nothing");
    for (address, length) in [("192.168.60.77", 24), ("fd00:60::77", 64)] {
        let own: IpAddr = address.parse()?;
        rig.ip(&format!("address add {address}/{length} dev eth0"))?;
        rig.until_served(own, LIMIT)?;
        rig.ip(&format!("address del {address}/{length} dev eth0"))?;
        rig.until_unlisted(own)?;
    }
    // Outside the configured ranges nothing changes.
    rig.ip("address add 172.31.0.7/24 dev eth0")?;
    rig.ip("address add 192.168.60.78/24 dev eth0")?;
    rig.until_served("192.168.60.78".parse()?, LIMIT)?;
    ensure!(!rig.listed("172.31.0.7".parse()?)?, "out of range");
    // An interface that goes takes its addresses along.
    rig.ip("link add extra type veth peer name other\nlink set extra up\naddress add 192.168.70.1/24 dev extra")?;
    rig.until_listed("192.168.70.1".parse()?)?;
    rig.ip("link del extra")?;
    rig.until_unlisted("192.168.70.1".parse()?)
}

#[test]
fn a_thousand_addresses_at_once_are_not_lost() -> Result<()> {
    let rig = Rig::new("many")?;
    let all: Vec<String> = (0..1000u16)
        .map(|n| format!("192.168.{}.{}", 100 + n / 250, 1 + n % 250))
        .collect();
    let script = |verb: &str| -> String {
        let lines = all
            .iter()
            .map(|own| format!("address {verb} {own}/32 dev lo\n"));
        lines.collect()
    };
    rig.ip(script("add").trim_end())?;
    let last: IpAddr = all[999].parse()?;
    rig.until_listed(last)?;
    rig.ip(script("del").trim_end())?;
    rig.until_unlisted(last)?;
    rig.until_unlisted(all[0].parse()?)
}

#[test]
fn an_ipv6_address_answers_once_it_is_known_to_be_unique() -> Result<()> {
    let rig = Rig::new("tentative")?;
    let own = rig.bed.nodes()[0].namespace();
    own.sysctls(&[
        ("net/ipv6/conf/eth0/accept_dad", "1"),
        ("net/ipv6/conf/eth0/dad_transmits", "3"),
    ])?;
    let address: IpAddr = "fd00:60::88".parse()?;
    rig.ip("address add fd00:60::88/64 dev eth0")?;
    let shown = || own.exec(&["ip", "-6", "address", "show", "dev", "eth0", "tentative"]);
    ensure!(shown()?.contains("fd00:60::88"), "it is not being checked");
    // So that the daemon lists addresses while this one is not valid yet.
    rig.ip("address add 192.168.60.79/24 dev eth0")?;
    rig.until_served("192.168.60.79".parse()?, LIMIT)?;
    let listed = rig.listed(address)?;
    ensure!(shown()?.contains("fd00:60::88"), "too late to tell");
    ensure!(!listed, "listed while it is tentative");
    rig.until_served(address, LIMIT)?;

    // One that another node has never gets valid.
    let Pair { v6: gateway, .. } = e2e::address::GATEWAY;
    rig.ip(&format!("address add {gateway}/64 dev eth0"))?;
    wait::until("the duplicate to be found", LIMIT, || {
        let failed = own.exec(&["ip", "-6", "address", "show", "dev", "eth0", "dadfailed"])?;
        ensure!(failed.contains(&format!(" {gateway}/")), "not yet");
        Ok(())
    })?;
    // One that comes later is listed, and the duplicate with it if it ever were.
    rig.ip("address add 192.168.60.80/24 dev eth0")?;
    rig.until_listed("192.168.60.80".parse()?)?;
    ensure!(!rig.listed(gateway.into())?, "a duplicate is listed");
    Ok(())
}

#[test]
fn messages_that_are_lost_are_news_as_well() -> Result<()> {
    const ADDRESSES: u16 = 1000;
    let namespace = Namespace::create("lost")?;
    let add: Vec<String> = (0..ADDRESSES)
        .map(|n| format!("address add 192.168.{}.{}/32 dev lo", n / 250, 1 + n % 250))
        .collect();
    namespace.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let mut watch = interfaces::Watch::open()?;
            let before = interfaces::local()?.len();
            // Far more than the socket has room for, and nobody reads.
            ip(&namespace, &add.join("\n"))?;
            tokio::time::timeout(LIMIT, watch.changed()).await?;
            let now = interfaces::local()?.len();
            ensure!(now == before + usize::from(ADDRESSES), "{now} addresses");
            // Whatever there is to tell is in the socket, which one turn of the loop looks at.
            let turn = tokio::time::timeout(Duration::from_millis(1), watch.changed());
            ensure!(turn.await.is_err(), "told again of what was told");
            ip(&namespace, "address del 192.168.0.1/32 dev lo")?;
            tokio::time::timeout(LIMIT, watch.changed()).await?;
            ensure!(interfaces::local()?.len() == now - 1, "still there");
            Ok(())
        })
    })?
}
