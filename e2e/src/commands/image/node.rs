//! The node that the container gets, with a Service and two pods.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::address::{CLUSTER_CIDR, ECHO_PORT, cluster_ip};
use e2e::cleanup::ScratchDir;
use e2e::client::{Outcome, PATIENCE};
use e2e::container::Spec;
use e2e::probe::{Reply, probe_from_port};
use e2e::{Bed, Namespace, Node, Pod, manifest, wait};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);
const PORT: u16 = 80;
/// A client that keeps its port.
const CLIENT_PORT: u16 = 5353;

/// Its pods are called `a`, `b` and `c`; `a` serves at first, `c` is a client.
pub(crate) struct TestNode {
    pods: Vec<Pod>,
    bed: Bed,
    scratch: ScratchDir,
}

impl TestNode {
    pub(crate) fn build() -> Result<Self> {
        let bed = Bed::build(1)?;
        let pods = ["a", "b", "c"].map(|name| bed.nodes()[0].pod(name));
        let node = Self {
            pods: pods.into_iter().collect::<Result<_>>()?,
            bed,
            scratch: ScratchDir::create("image")?,
        };
        std::fs::create_dir(node.manifests())?;
        node.write(&node.pods[0])?;
        Ok(node)
    }

    fn node(&self) -> &Node {
        &self.bed.nodes()[0]
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        self.node().namespace()
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.scratch.path().join("manifests")
    }

    /// A file for a container to mount.
    pub(crate) fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.scratch.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// The daemon as the chart runs it, but from manifests.
    pub(crate) fn daemon(&self, flags: &[&str]) -> Spec {
        let manifests = self.manifests().display().to_string();
        let always = [
            "--manifests=/manifests",
            "--hostname-override=node-1",
            "--proxy-mode=nftables",
            "--iptables-min-sync-period=100ms",
            // The machine's limit, which is not this check's to change.
            "--conntrack-max-per-core=0",
        ];
        let mut command: Vec<_> = always
            .iter()
            .chain(flags)
            .map(|flag| (*flag).to_owned())
            .collect();
        command.push(format!("--cluster-cidr={CLUSTER_CIDR}"));
        Spec {
            security: least(),
            command,
            mounts: vec![(manifests, "/manifests".to_owned())],
            ..Spec::default()
        }
    }

    /// Writes Node, Service and slices with this one endpoint.
    fn write(&self, pod: &Pod) -> Result<()> {
        let ips = cluster_ip(10).both();
        let port = |name: &str, protocol: &str| json!({"name": name, "protocol": protocol, "port": PORT, "targetPort": ECHO_PORT});
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "default", "uid": "web"},
            "spec": {
                "clusterIP": ips[0], "clusterIPs": ips, "ipFamilies": ["IPv4", "IPv6"],
                "ports": [port("tcp", "TCP"), port("udp", "UDP")],
            },
        });
        let mut objects = vec![
            manifest::node(self.node()),
            manifest::service_cidr(),
            service,
        ];
        objects.extend(
            manifest::endpoint_slices("web", &[pod])
                .into_iter()
                .map(with_both),
        );
        manifest::write(&self.manifests(), "all", &objects)
    }

    pub(crate) fn wait_healthy(&self) -> Result<()> {
        let address = SocketAddr::new(self.node().addresses().v4.into(), 10256);
        for path in ["/healthz", "/livez"] {
            wait::until(path, LIMIT, || {
                let response = self.namespace().get(address, path)?;
                ensure!(response.status == 200, "answers {}", response.status);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Until the node's own tools show chains of the Service in both families.
    pub(crate) fn has_chains(&self) -> Result<()> {
        wait::until("chains", LIMIT, || {
            for program in ["iptables-nft-save", "ip6tables-nft-save"] {
                let saved = self.namespace().exec(&[program])?;
                let rule = "--comment \"default/web:tcp cluster IP\"";
                ensure!(saved.contains(rule), "no {rule} in {program}:\n{saved}");
            }
            Ok(())
        })
        .map(drop)
    }

    pub(crate) fn has_rules(&self) -> Result<()> {
        for (family, ip) in [("ip", targets()[0].ip()), ("ip6", targets()[1].ip())] {
            let element = format!("{{ {ip} . tcp . {PORT} }}");
            let words = [
                "nft",
                "get",
                "element",
                family,
                "kube-proxy",
                "services",
                &element,
            ];
            let text = self.namespace().exec(&words)?;
            ensure!(text.contains("default/web:tcp"), "{text}");
        }
        Ok(())
    }

    /// That nobody answers at the cluster IPs.
    pub(crate) fn is_not_served(&self) -> Result<()> {
        for target in targets() {
            let outcome = self.namespace().dial(target)?;
            ensure!(
                !matches!(outcome, Outcome::Answered(_)),
                "{target}: {outcome}"
            );
        }
        Ok(())
    }

    /// That this pod answers the node and another pod.
    pub(crate) fn is_served_by(&self, pod: &str) -> Result<()> {
        for target in targets() {
            for from in [self.namespace(), self.pods[2].namespace()] {
                for outcome in [from.dial(target)?, from.dial_udp(target)?] {
                    let is_pods =
                        matches!(&outcome, Outcome::Answered(answer) if answer.pod == pod);
                    ensure!(is_pods, "{target} from {}: {outcome}", from.name());
                }
            }
        }
        Ok(())
    }

    /// Puts `b` in place of `a`. A UDP client goes on with its flow, which conntrack translates
    /// to `a` until it is made to forget it.
    pub(crate) fn replaces_endpoint(&mut self) -> Result<()> {
        for target in targets() {
            ensure!(self.asks(target)? == "a", "{target}: not a");
        }
        self.write(&self.pods[1])?;
        for target in targets() {
            wait::until("another endpoint", LIMIT, || {
                let pod = self.asks(target)?;
                ensure!(pod == "b", "{target}: still {pod}");
                Ok(())
            })?;
        }
        self.is_served_by("b")
    }

    /// Which pod answers the client that keeps its port.
    fn asks(&self, target: SocketAddr) -> Result<String> {
        let client = self.pods[2].namespace();
        match client.run(|| probe_from_port(CLIENT_PORT, target, PATIENCE))? {
            Reply::Answer(answer) => Ok(answer.pod),
            other => Ok(other.to_string()),
        }
    }
}

/// What the chart's values give by default.
pub(crate) fn least() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "runAsUser": 0,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// The Service's cluster IPs, IPv4 first.
fn targets() -> [SocketAddr; 2] {
    let target = |ip: IpAddr| SocketAddr::new(ip, PORT);
    cluster_ip(10).both().map(target)
}

/// A slice for both ports.
fn with_both(mut slice: Value) -> Value {
    let port =
        |name: &str, protocol: &str| json!({"name": name, "protocol": protocol, "port": ECHO_PORT});
    slice["ports"] = json!([port("tcp", "TCP"), port("udp", "UDP")]);
    slice
}
