//! Both proxies at work: one bed, one API server, upstream's on node-1 and ours on node-2.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cleanup::ScratchDir;
use e2e::controlplane::{Api, ControlPlane, kubeconfig};
use e2e::http::{Request, Response, send};
use e2e::{Bed, Daemon, Node, manifest, wait};
use serde_json::{Value, json};

use crate::compare::Programs;
use crate::mode::Mode;

pub const SERVICES: &str = "/api/v1/namespaces/default/services";
pub const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
/// For one answer; and for both to follow a change.
const LIMIT: Duration = Duration::from_secs(30);
/// The two in the order of all results: upstream's, ours.
const SIDES: usize = 2;

/// Declared in the order in which it has to go.
pub struct Rig {
    daemons: Vec<Daemon>,
    pub api: Api,
    _plane: ControlPlane,
    bed: Bed,
    _directory: ScratchDir,
}

/// A port of both proxies.
#[derive(Clone, Copy, Debug)]
pub enum Port {
    /// 10256.
    Health,
    /// 10249.
    Metrics,
}

impl Rig {
    /// Starts everything, in a mode; `flags` are for both.
    pub fn start(programs: &Programs, mode: Mode, flags: &[&str]) -> Result<Self> {
        let directory = ScratchDir::create("compare")?;
        let bed = Bed::build(2)?;
        let (plane, api) = ControlPlane::start(bed.control(), directory.path(), None)?;
        for node in bed.nodes() {
            api.post_node(&manifest::node(node))?;
        }
        let config = kubeconfig(directory.path(), "system:kube-proxy");
        let config = config.to_str().context("directory name is not UTF-8")?;
        let words = [&["--kubeconfig", config], &mode.flags()[..], flags].concat();
        let start = |program: &Path, node: &Node| {
            let mut daemon = Daemon::start_program(program, node, &words, directory.path())?;
            daemon.wait_live(node)?;
            anyhow::Ok(daemon)
        };
        let [one, other] = bed.nodes() else {
            anyhow::bail!("a bed of two nodes has {}", bed.nodes().len());
        };
        let daemons = vec![
            start(&programs.upstream, one)?,
            start(&programs.ours, other)?,
        ];
        let mut rig = Self {
            daemons,
            api,
            _plane: plane,
            bed,
            _directory: directory,
        };
        // The first sync is over, with what was there.
        rig.until("the first sync", |metrics| {
            metrics.contains("kubeproxy_sync_proxy_rules_last_timestamp_seconds{")
        })?;
        Ok(rig)
    }

    /// What the two answer to the same request.
    pub fn ask(&self, port: Port, request: &Request) -> Result<[Response; SIDES]> {
        let number = match port {
            Port::Health => 10256,
            Port::Metrics => 10249,
        };
        let server = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), number);
        let ask = |node: &Node| {
            node.namespace()
                .run(|| send(server, request, LIMIT))?
                .with_context(|| format!("{request:?} to {}", node.name()))
        };
        let nodes = self.bed.nodes();
        Ok([ask(&nodes[0])?, ask(&nodes[1])?])
    }

    /// The metrics of the two.
    pub fn metrics(&self) -> Result<[String; SIDES]> {
        let answers = self.ask(Port::Metrics, &Request::new("/metrics"))?;
        Ok(answers.map(|answer| answer.body))
    }

    /// Waits until the metrics of both fulfil something.
    pub fn until(&mut self, what: &str, holds: impl Fn(&str) -> bool) -> Result<()> {
        wait::until(what, LIMIT, || {
            for daemon in &mut self.daemons {
                daemon.check()?;
            }
            for (metrics, who) in self.metrics()?.iter().zip(["upstream's", "ours"]) {
                ensure!(holds(metrics), "not in {who}:\n{metrics}");
            }
            Ok(())
        })
        .map(drop)
    }

    /// A text without what tells one node from the other.
    pub fn anonymous(&self, text: &str) -> String {
        self.bed.nodes().iter().fold(text.to_owned(), |text, node| {
            let addresses = node.addresses().both();
            let text = text.replace(node.name(), "NODE");
            addresses.iter().fold(text, |text, address| {
                text.replace(&address.to_string(), "ADDRESS")
            })
        })
    }
}

/// An IPv4 EndpointSlice of `service` with endpoints, which changed just now, on no node of the
/// bed.
pub fn slice(service: &str, protocol: &str, addresses: &[&str], trigger: &str) -> Value {
    let endpoints: Vec<_> = addresses
        .iter()
        .map(|address| json!({"addresses": [address], "nodeName": "elsewhere"}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{service}-v4"),
            "labels": {"kubernetes.io/service-name": service},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": trigger},
        },
        "addressType": "IPv4",
        "ports": [{"name": "main", "port": 8080, "protocol": protocol}],
        "endpoints": endpoints,
    })
}
