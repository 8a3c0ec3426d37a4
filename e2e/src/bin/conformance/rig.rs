//! Two identical beds with one API server: node-1 of the first is upstream's, of the second ours.

mod wiring;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::address::{CONTROL, ECHO_PORT};
use e2e::cleanup::ScratchDir;
use e2e::controlplane::{Api, ControlPlane, kubeconfig, program};
use e2e::probe::{Protocol, Reply, probe};
use e2e::sctp::SctpEcho;
use e2e::{Bed, Daemon, Echo, Namespace, Pod, ip, manifest, target_directory, wait};
use serde_json::json;

use crate::case::Source;
use crate::object;
use crate::spec::{
    Endpoint, Family, Kind, PODS, SECOND_PORT, Service, State, ZONES, cluster_ips, pod_addresses,
};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
/// How long both proxies may take to program a change, beside a build.
const LIMIT: Duration = Duration::from_secs(30);
/// Leaves alone what belongs to the whole machine: a namespace may not write it, and a proxy that
/// can't doesn't start.
const CONNTRACK: [&str; 6] = [
    "--conntrack-max-per-core",
    "0",
    "--conntrack-tcp-timeout-established",
    "0",
    "--conntrack-tcp-timeout-close-wait",
    "0",
];
/// After the rules come health check ports and conntrack.
const AFTERMATH: Duration = Duration::from_millis(300);

/// One bed, and the proxy of its node-1.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    proxy: Daemon,
    // Servers before the pods in which they run.
    _servers: Vec<Echo>,
    _sctp: Vec<SctpEcho>,
    endpoints: Vec<Pod>,
    client_pod: Pod,
    bed: Bed,
}

/// All that a run needs. Declared in the order in which it has to go.
pub(crate) struct Rig {
    pub(crate) sides: [Side; 2],
    api: Api,
    _plane: ControlPlane,
    _control: Namespace,
    directory: ScratchDir,
    canaries: u16,
}

impl Rig {
    /// Builds and starts everything, with this program in upstream's place if there is one.
    pub(crate) fn start(upstream: Option<&Path>) -> Result<Self> {
        let upstream = match upstream {
            Some(path) => path.to_owned(),
            None => program("kube-proxy")?,
        };
        let programs = [upstream, e2e::binary()?];
        let directory = ScratchDir::create("conformance")?;
        let control = Namespace::create("control")?;
        ip(&control, &format!("address add {}/32 dev lo", CONTROL.v4))?;
        let beds = [Bed::build(2)?, Bed::build(2)?];
        for (bed, number) in beds.iter().zip(1..) {
            wiring::connect(bed, &control, number)?;
        }
        let result = ControlPlane::start(&control, directory.path(), None);
        let (plane, api) = result.inspect_err(|_| keep_logs(directory.path(), "control"))?;
        for (node, zone) in beds[0].nodes().iter().zip(ZONES) {
            let mut object = manifest::node(node);
            object["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!(zone);
            api.post("/api/v1/nodes", &object)?;
            let path = format!("/api/v1/nodes/{}/status", node.name());
            api.patch(&path, &json!({"status": object["status"]}))?;
        }
        let [upstream, ours] = beds;
        let start = |name: &'static str, bed, program: &Path| {
            Side::start(name, bed, program, directory.path())
                .inspect_err(|_| keep_logs(&directory.path().join(name), name))
        };
        Ok(Self {
            sides: [
                start("upstream", upstream, &programs[0])?,
                start("ours", ours, &programs[1])?,
            ],
            api,
            _plane: plane,
            _control: control,
            directory,
            canaries: 0,
        })
    }

    /// Creates a Service with its endpoints, or changes the one that is there.
    pub(crate) fn put(&self, service: &Service, group: &str) -> Result<()> {
        for slice in object::slices(service, group) {
            self.put_object(SLICES, &slice, &["endpoints", "ports"])?;
        }
        self.put_object(SERVICES, &object::service(service, group), &["spec"])?;
        if let Some(status) = object::status(service) {
            self.api
                .patch(&format!("{SERVICES}/{}/status", service.name), &status)?;
        }
        Ok(())
    }

    fn put_object(&self, path: &str, value: &serde_json::Value, fields: &[&str]) -> Result<()> {
        let name = value["metadata"]["name"].as_str().unwrap_or_default();
        let change: serde_json::Map<_, _> = fields
            .iter()
            .map(|field| ((*field).to_owned(), value[field].clone()))
            .collect();
        // Not created first: its own addresses and ports would be taken already.
        match self.api.patch(&format!("{path}/{name}"), &change.into()) {
            Err(error) if format!("{error:#}").contains("not found") => {
                self.api.post(path, value).map(drop)
            }
            patched => patched.map(drop),
        }
    }

    /// Deletes a Service, and its slices if wanted.
    pub(crate) fn delete(&self, name: &str, slices: bool) -> Result<()> {
        self.api.delete(&format!("{SERVICES}/{name}"))?;
        if slices {
            let label = format!("kubernetes.io/service-name={name}");
            self.api.delete_labelled(SLICES, &label)?;
        }
        Ok(())
    }

    /// Deletes everything that was put as part of `group`.
    pub(crate) fn clear(&self, group: &str) -> Result<()> {
        let label = format!("{}={group}", object::LABEL);
        self.api.delete_labelled(SLICES, &label)?;
        self.api.delete_labelled(SERVICES, &label)
    }

    /// Waits until both proxies have programmed everything that was put before: a Service that
    /// is put last answers.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.canaries += 1;
        let number = self.canaries;
        let host = u8::try_from(number % 250).unwrap_or_default() + 1;
        let name = format!("canary-{number}");
        let mut canary = Service::new(&name, 0);
        canary.kind = Kind::ClusterIp;
        canary.external_ips = None;
        canary.ports.truncate(1);
        // A number of its own, should an address come round again.
        canary.ports[0].port = 1000 + number;
        canary.endpoints = vec![Endpoint::new(0, State::Ready)];
        for slice in object::slices(&canary, "canary") {
            self.api.post(SLICES, &slice)?;
        }
        let mut value = object::service(&canary, "canary");
        let addresses = Family::BOTH.map(|family| family.of(cluster_ips(2, host)));
        value["spec"]["clusterIP"] = json!(addresses[0]);
        value["spec"]["clusterIPs"] = json!(addresses);
        self.api.post(SERVICES, &value)?;
        for side in &mut self.sides {
            for address in addresses {
                side.await_answer(SocketAddr::new(address, 1000 + number))?;
            }
        }
        self.clear("canary")?;
        std::thread::sleep(AFTERMATH);
        Ok(())
    }

    /// Keeps logs and rules below `target/conformance`.
    pub(crate) fn save_state(&self) {
        keep_logs(self.directory.path(), "control");
        for side in &self.sides {
            keep_logs(&self.directory.path().join(side.name), side.name);
            let node = side.bed.nodes()[0].namespace();
            if let Ok(rules) = node.exec(&["nft", "list", "ruleset"]) {
                std::fs::write(kept(side.name).join("ruleset.nft"), rules).ok();
            }
        }
    }
}

impl Side {
    fn start(name: &'static str, bed: Bed, program: &Path, directory: &Path) -> Result<Self> {
        let logs = directory.join(name);
        std::fs::create_dir_all(&logs)?;
        let node = |number: u8| &bed.nodes()[usize::from(number - 1)];
        let endpoints = PODS
            .iter()
            .map(|(name, number)| node(*number).pod(name))
            .collect::<Result<Vec<_>>>()?;
        let mut servers = Vec::new();
        let mut sctp = Vec::new();
        for (index, pod) in endpoints.iter().enumerate() {
            if pod.addresses() != pod_addresses(index) {
                bail!("{} has other addresses than planned", pod.name());
            }
            let second = format!("{}:{SECOND_PORT}", pod.name());
            servers.push(Echo::start(pod.namespace(), &second, SECOND_PORT)?);
            sctp.push(SctpEcho::start(pod.namespace(), pod.name(), ECHO_PORT)?);
        }
        let client_pod = node(1).pod("client")?;
        wiring::route(&bed)?;
        // A sequence's flows shall last from step to step, however busy the machine.
        node(1).namespace().sysctls(&[
            ("net/netfilter/nf_conntrack_udp_timeout", "120"),
            ("net/netfilter/nf_conntrack_udp_timeout_stream", "300"),
        ])?;
        let config = kubeconfig(directory, "system:kube-proxy");
        let config = config.to_str().context("directory name is not UTF-8")?;
        let mut flags = vec!["--kubeconfig", config];
        if knows(program, CONNTRACK[0])? {
            flags.extend(CONNTRACK);
        }
        let mut proxy = Daemon::start_program(program, node(1), &flags, &logs)?;
        proxy.wait_live(node(1))?;
        Ok(Self {
            name,
            proxy,
            _servers: servers,
            _sctp: sctp,
            endpoints,
            client_pod,
            bed,
        })
    }

    pub(crate) fn namespace(&self, source: Source) -> &Namespace {
        match source {
            Source::Pod => self.client_pod.namespace(),
            Source::Node => self.bed.nodes()[0].namespace(),
            Source::OtherNode => self.bed.nodes()[1].namespace(),
            Source::Outside => self.bed.client(),
            Source::Endpoint => self.endpoints[0].namespace(),
        }
    }

    fn await_answer(&mut self, canary: SocketAddr) -> Result<()> {
        let (proxy, node) = (&mut self.proxy, self.bed.nodes()[0].namespace());
        let what = format!("{} programs {canary}", self.name);
        let mut seen = BTreeSet::new();
        wait::until(&what, LIMIT, || {
            proxy.check()?;
            match node.run(|| probe(Protocol::Tcp, canary, Duration::from_millis(400)))? {
                Reply::Answer(_) => Ok(()),
                other => {
                    seen.insert(other.to_string());
                    bail!("{seen:?}")
                }
            }
        })
        .map(drop)
    }
}

/// Whether `program` has this flag.
fn knows(program: &Path, flag: &str) -> Result<bool> {
    let mut command = std::process::Command::new(program);
    let output = command.arg("--help").output();
    let output = output.with_context(|| format!("run {}", program.display()))?;
    let help = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&help).contains(flag))
}

fn kept(name: &str) -> std::path::PathBuf {
    target_directory().join("conformance").join(name)
}

fn keep_logs(from: &Path, name: &str) {
    std::fs::create_dir_all(kept(name)).ok();
    for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            std::fs::copy(&path, kept(name).join(entry.file_name())).ok();
        }
    }
}
