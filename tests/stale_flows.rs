//! Clients that keep their source port, before and after a change of the
//! Service that they talk to: the daemon runs, and real packets pass.

use anyhow::{Context, Result, ensure};
use e2e::address::{ECHO_PORT, Pair, cluster_ip, node, virtual_ip};
use e2e::{Bed, Daemon, Namespace, Pod, ip, manifest, wait};
use rules::model::Family;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// Long enough for an answer, short enough to ask often.
const PATIENCE: Duration = Duration::from_millis(200);
const NODE_PORT: u16 = 30053;
const TCP_PORT: u16 = 9090;

/// One node with two echoing pods and a client, and the daemon.
struct Rig {
    // Before the bed, so that it ends first.
    daemon: Daemon,
    pods: Vec<Pod>,
    client: Pod,
    bed: Bed,
    dir: PathBuf,
}

impl Rig {
    fn new(name: &str) -> Result<Self> {
        let bed = Bed::build(1)?;
        let own = &bed.nodes()[0];
        let pods = vec![own.pod("echo-1")?, own.pod("echo-2")?];
        let client = own.pod("client-pod")?;
        // The outside client's way to the external addresses.
        let Pair { v4, v6 } = node(1);
        ip(
            bed.balancer().namespace(),
            &format!("route add 198.51.100.0/24 via {v4}\n-6 route add 2001:db8:100::/64 via {v6}"),
        )?;
        let dir = std::env::temp_dir().join(format!("kpr-{}-{name}", std::process::id()));
        let objects = dir.join("objects");
        std::fs::create_dir_all(&objects)?;
        // No ServiceCIDR: what goes to an unknown cluster IP is let through, as
        // it is on a node whose daemon comes late.
        manifest::write(&objects, "node", &[manifest::node(own)])?;
        let objects = objects.to_str().context("a path")?.to_owned();
        let mut daemon = Daemon::start(own, &["--manifests", &objects], &dir)?;
        daemon.wait_live(own)?;
        let rig = Self {
            daemon,
            pods,
            client,
            bed,
            dir,
        };
        wait::until("the first sync", SOON, || {
            let count = rig.metric("sync_full_proxy_rules_duration_seconds_count", Family::V6)?;
            ensure!(count >= 1.0, "not yet");
            Ok(())
        })?;
        Ok(rig)
    }

    fn node(&self) -> &Namespace {
        self.bed.nodes()[0].namespace()
    }

    /// Writes the Service, `None` to remove it, with these pods behind it.
    fn program(&self, service: Option<Value>, pods: &[usize]) -> Result<()> {
        let pods: Vec<&Pod> = pods.iter().map(|number| &self.pods[number - 1]).collect();
        let mut objects: Vec<Value> = service.into_iter().collect();
        for mut slice in manifest::endpoint_slices("echo", &pods) {
            slice["ports"] = json!([
                {"name": "udp", "port": ECHO_PORT, "protocol": "UDP"},
                {"name": "tcp", "port": TCP_PORT, "protocol": "TCP"},
            ]);
            objects.push(slice);
        }
        manifest::write(&self.dir.join("objects"), "echo", &objects)
    }

    fn metric(&self, name: &str, family: Family) -> Result<f64> {
        let sample = format!("kubeproxy_{name}{{ip_family=\"{}\"}}", family.label());
        let value = self.node().metric(&sample)?;
        value.with_context(|| format!("no {sample}"))
    }

    /// How many times flows were looked through.
    fn passes(&self, family: Family) -> f64 {
        self.metric("conntrack_reconciler_sync_duration_seconds_count", family)
            .unwrap_or(0.0)
    }

    /// Programs the Service and waits until flows were looked through for it, after the sync.
    fn program_and_clean(&self, service: Value, pods: &[usize], family: Family) -> Result<()> {
        let before = self.passes(family);
        self.program(Some(service), pods)?;
        wait::until("a pass over the flows", SOON, || {
            ensure!(self.passes(family) > before, "{family}: none yet");
            Ok(())
        })
        .map(drop)
    }

    fn deleted(&self, family: Family) -> f64 {
        self.metric("conntrack_reconciler_deleted_entries_total", family)
            .unwrap_or(0.0)
    }

    fn await_deleted(&self, family: Family, wanted: f64) -> Result<()> {
        wait::until("deleted flows", SOON, || {
            let deleted = self.deleted(family);
            ensure!(
                deleted == wanted,
                "{family}: {deleted} deleted, not {wanted}"
            );
            Ok(())
        })
        .map(drop)
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

fn service(external: bool) -> Value {
    let externals = virtual_ip(10).both();
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "echo", "namespace": "default"},
        "spec": {
            "type": "NodePort",
            "clusterIP": cluster_ip(10).v4,
            "clusterIPs": cluster_ip(10).both(),
            "ipFamilies": ["IPv4", "IPv6"],
            "externalIPs": if external { &externals[..] } else { &[] },
            "ports": [
                {"name": "udp", "port": 53, "nodePort": NODE_PORT, "protocol": "UDP"},
                {"name": "tcp", "port": TCP_PORT, "protocol": "TCP"},
            ],
        },
    })
}

fn of(family: Family, pair: Pair) -> IpAddr {
    match family {
        Family::V4 => pair.v4.into(),
        Family::V6 => pair.v6.into(),
    }
}

/// A UDP client with one source port for ever.
struct Client {
    socket: UdpSocket,
    target: SocketAddr,
}

impl Client {
    fn new(namespace: &Namespace, target: SocketAddr) -> Result<Self> {
        let any: IpAddr = match target {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = namespace.run(|| UdpSocket::bind((any, 0)))??;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, target })
    }

    /// The pod that answers, if any does in time.
    fn ask(&self) -> Result<Option<String>> {
        let mut answer = [0; 512];
        // What came late is no answer to this.
        self.socket.set_nonblocking(true)?;
        while self.socket.recv(&mut answer).is_ok() {}
        self.socket.set_nonblocking(false)?;
        match self.socket.send_to(b"who?\n", self.target) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(None),
            sent => drop(sent?),
        }
        let Ok(length) = self.socket.recv(&mut answer) else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&answer[..length]).into_owned();
        Ok(line.split_whitespace().next().map(str::to_owned))
    }

    fn until(&self, answer: Option<&str>) -> Result<()> {
        wait::until(&format!("{answer:?} from {}", self.target), SOON, || {
            let got = self.ask()?;
            ensure!(got.as_deref() == answer, "{got:?} answered");
            Ok(())
        })
        .map(drop)
    }
}

/// A client of each kind of frontend.
fn clients(rig: &Rig, family: Family) -> Result<Vec<Client>> {
    let (pod, outside) = (rig.client.namespace(), rig.bed.client());
    [
        (pod, cluster_ip(10), 53),
        (outside, virtual_ip(10), 53),
        (outside, node(1), NODE_PORT),
        (rig.node(), cluster_ip(10), 53),
    ]
    .into_iter()
    .map(|(namespace, pair, port)| Client::new(namespace, SocketAddr::new(of(family, pair), port)))
    .collect()
}

/// Answers every line of one TCP connection to a pod.
fn serve_lines(pod: &Pod) -> Result<()> {
    let listener = pod
        .namespace()
        .run(|| TcpListener::bind(("::", TCP_PORT)))??;
    std::thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            let mut lines = BufReader::new(&stream);
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
                (&stream).write_all(b"yes\n").ok();
                line.clear();
            }
        }
    });
    Ok(())
}

fn talks(stream: &TcpStream) -> Result<()> {
    let mut stream = stream;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"there?\n")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    ensure!(answer == "yes\n", "answered {answer:?}");
    Ok(())
}

#[test]
fn clients_with_one_port_reach_the_endpoint_that_replaces_theirs() -> Result<()> {
    for family in Family::ALL {
        // Of its own, as a family's rules may lag behind those of the other.
        let rig = Rig::new(&format!("replaced-{family}"))?;
        serve_lines(&rig.pods[0])?;
        rig.program(Some(service(true)), &[1])?;
        let clients = clients(&rig, family)?;
        for client in &clients {
            client.until(Some("echo-1"))?;
        }
        let direct = SocketAddr::new(of(family, rig.pods[0].addresses()), ECHO_PORT);
        let direct = Client::new(rig.client.namespace(), direct)?;
        direct.until(Some("echo-1"))?;
        let target = SocketAddr::new(of(family, cluster_ip(10)), TCP_PORT);
        let stream = rig
            .client
            .namespace()
            .run(|| TcpStream::connect(target))??;
        talks(&stream)?;
        let before = rig.deleted(family);

        // Another one beside it takes no flow away.
        rig.program_and_clean(service(true), &[1, 2], family)?;
        for client in &clients {
            ensure!(
                client.ask()?.as_deref() == Some("echo-1"),
                "{}",
                client.target
            );
        }
        ensure!(rig.deleted(family) == before, "flows were deleted");

        // The first pod still answers, so only the flows' end can bring this.
        rig.program(Some(service(true)), &[2])?;
        for client in &clients {
            client.until(Some("echo-2"))?;
        }
        direct.until(Some("echo-1"))?;
        talks(&stream).with_context(|| format!("{family}: the TCP connection"))?;
        rig.await_deleted(family, before + 4.0)?;
    }
    Ok(())
}

#[test]
fn clients_that_came_before_the_first_endpoint_reach_it() -> Result<()> {
    for family in Family::ALL {
        let rig = Rig::new(&format!("first-{family}"))?;
        let clients = clients(&rig, family)?;
        // Nobody knows these addresses: the flows are not translated.
        for client in &clients {
            client.until(None)?;
        }
        rig.program_and_clean(service(true), &[], family)?;
        for client in &clients {
            ensure!(client.ask()?.is_none(), "who answers without endpoints?");
        }
        rig.program(Some(service(true)), &[1])?;
        for client in &clients {
            client.until(Some("echo-1"))?;
        }
    }
    Ok(())
}

#[test]
fn nobody_is_reached_through_a_frontend_that_is_gone() -> Result<()> {
    for family in Family::ALL {
        let rig = Rig::new(&format!("gone-{family}"))?;
        rig.program(Some(service(true)), &[1])?;
        let clients = clients(&rig, family)?;
        for client in &clients {
            client.until(Some("echo-1"))?;
        }
        // Those that came too early, if any.
        let before = rig.deleted(family);
        rig.program(Some(service(false)), &[1])?;
        let [cluster, external, nodeport, own] = &clients[..] else {
            anyhow::bail!("four clients");
        };
        external.until(None)?;
        for client in [cluster, nodeport, own] {
            client.until(Some("echo-1"))?;
        }
        rig.await_deleted(family, before + 1.0)?;
        rig.program(None, &[1])?;
        for client in &clients {
            client.until(None)?;
        }
        rig.await_deleted(family, before + 4.0)?;
    }
    Ok(())
}
