//! A cluster: the bed, the control plane, and a daemon on every node.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result};
use e2e::address::{ECHO_PORT, Pair};
use e2e::cleanup::ScratchDir;
use e2e::controlplane::{Api, CONTROLLERS, ControlPlane, kubeconfig};
use e2e::{Bed, Daemon, Node, Pod, manifest};
use serde_json::{Value, json};

use crate::report::Kept;

const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const PODS: &str = "/api/v1/namespaces/default/pods";

/// What every scenario works with. Declared in the order in which it has to go.
pub(crate) struct Cluster {
    pub(crate) pods: Vec<Pod>,
    daemons: Vec<Option<Daemon>>,
    services: Vec<String>,
    pub(crate) api: Api,
    pub(crate) control: ControlPlane,
    pub(crate) bed: Bed,
    directory: ScratchDir,
}

/// A Service as the API server made it.
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) cluster_ips: Vec<IpAddr>,
    pub(crate) node_port: u16,
    /// 0 unless of type LoadBalancer with policy Local.
    pub(crate) health_port: u16,
}

impl Service {
    fn read(object: &Value) -> Result<Self> {
        let spec = &object["spec"];
        let port = |value: &Value| {
            let number = value.as_u64().unwrap_or_default();
            u16::try_from(number).context("port out of range")
        };
        Ok(Self {
            name: object["metadata"]["name"]
                .as_str()
                .context("no name")?
                .to_owned(),
            cluster_ips: serde_json::from_value(spec["clusterIPs"].clone())
                .with_context(|| format!("cluster IPs of {object}"))?,
            node_port: port(&spec["ports"][0]["nodePort"])?,
            health_port: port(&spec["healthCheckNodePort"])?,
        })
    }

    /// Its cluster IPs with its port.
    pub(crate) fn cluster_targets(&self) -> Vec<SocketAddr> {
        let targets = self.cluster_ips.iter();
        targets
            .map(|ip| SocketAddr::new(*ip, Cluster::PORT))
            .collect()
    }

    /// Its node port on `node`, in both families.
    pub(crate) fn node_targets(&self, node: &Node) -> [SocketAddr; 2] {
        node.addresses()
            .both()
            .map(|ip| SocketAddr::new(ip, self.node_port))
    }
}

impl Cluster {
    /// Every Service's port.
    pub(crate) const PORT: u16 = 80;

    /// Three nodes, each with its daemon, and no pods yet.
    pub(crate) fn start() -> Result<Self> {
        e2e::binary()?;
        let directory = ScratchDir::create("cluster")?;
        let bed = Bed::build(3)?;
        let (control, api) =
            ControlPlane::start(bed.control(), directory.path(), Some(CONTROLLERS)).inspect_err(
                |_| {
                    Kept::create("e2e", "start").logs(directory.path());
                },
            )?;
        for node in bed.nodes() {
            api.post_node(&manifest::node(node))?;
        }
        let mut cluster = Self {
            pods: Vec::new(),
            daemons: bed.nodes().iter().map(|_| None).collect(),
            services: Vec::new(),
            api,
            control,
            bed,
            directory,
        };
        for index in 0..cluster.daemons.len() {
            if let Err(error) = cluster.start_daemon(index) {
                cluster.save_state("start");
                return Err(error);
            }
        }
        Ok(cluster)
    }

    /// Starts the daemon of the node with this index and waits until it is alive.
    pub(crate) fn start_daemon(&mut self, index: usize) -> Result<()> {
        let config = kubeconfig(self.directory.path(), "system:kube-proxy");
        let config = config.to_str().context("directory name is not UTF-8")?;
        self.start_daemon_by(index, &["--kubeconfig", config])
    }

    /// The same with other flags.
    pub(crate) fn start_daemon_by(&mut self, index: usize, flags: &[&str]) -> Result<()> {
        let node = &self.bed.nodes()[index];
        let daemon = Daemon::start(node, flags, self.directory.path())?;
        self.daemons[index].insert(daemon).wait_live(node)
    }

    /// Where the control plane's files are, and room for more.
    pub(crate) fn scratch(&self) -> &Path {
        self.directory.path()
    }

    /// Takes the running daemon of the node with this index.
    pub(crate) fn take_daemon(&mut self, index: usize) -> Result<Daemon> {
        self.daemons[index].take().context("no daemon there")
    }

    /// That every daemon still runs.
    pub(crate) fn check_daemons(&mut self) -> Result<()> {
        for daemon in self.daemons.iter_mut().flatten() {
            daemon.check()?;
        }
        Ok(())
    }

    /// Starts a ready pod labelled `app: <app>` on each of these nodes, given by number.
    pub(crate) fn run(&mut self, app: &str, nodes: &[u8]) -> Result<()> {
        for number in nodes {
            let node = &self.bed.nodes()[usize::from(number - 1)];
            let count = self
                .pods
                .iter()
                .filter(|pod| pod.name().starts_with(app))
                .count();
            let pod = node.pod(&format!("{app}-{}", count + 1))?;
            self.api.post(PODS, &pod_object(&pod, app))?;
            self.pods.push(pod);
            self.set_ready(self.pods.len() - 1, true)?;
        }
        Ok(())
    }

    /// Patches the status of the pod with this index, as its kubelet would.
    pub(crate) fn set_ready(&self, index: usize, ready: bool) -> Result<()> {
        let pod = &self.pods[index];
        let [v4, v6] = pod.addresses().both();
        let ready = if ready { "True" } else { "False" };
        let status = json!({"status": {
            "phase": "Running",
            "podIP": v4,
            "podIPs": [{"ip": v4}, {"ip": v6}],
            "conditions": [{"type": "Ready", "status": ready}],
        }});
        let path = format!("{PODS}/{}/status", pod.name());
        self.api.patch(&path, &status).map(drop)
    }

    /// Deletes the pod with this index, from the API server only: it still runs and would
    /// answer.
    pub(crate) fn forget_pod(&self, index: usize) -> Result<()> {
        self.api
            .delete(&format!("{PODS}/{}", self.pods[index].name()))
    }

    /// Creates a dual-stack Service for `app`, with a TCP and a UDP port; `spec` is merged
    /// into its spec.
    pub(crate) fn serve(&mut self, app: &str, spec: &Value) -> Result<Service> {
        let port = |name: &str, protocol: &str| json!({"name": name, "protocol": protocol, "port": Self::PORT, "targetPort": ECHO_PORT});
        let mut object = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": app},
            "spec": {
                "selector": {"app": app},
                "ipFamilyPolicy": "RequireDualStack",
                "ports": [port("tcp", "TCP"), port("udp", "UDP")],
            },
        });
        for (key, value) in spec.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        let created = self.api.post(SERVICES, &object)?;
        self.services.push(app.to_owned());
        Service::read(&created)
    }

    /// Gives a Service the load balancer's address, as a cloud controller would.
    pub(crate) fn set_ingress(&self, service: &Service, address: Pair) -> Result<()> {
        let ingress = address.both().map(|ip| json!({"ip": ip, "ipMode": "VIP"}));
        let status = json!({"status": {"loadBalancer": {"ingress": ingress}}});
        let path = format!("{SERVICES}/{}/status", service.name);
        self.api.patch(&path, &status).map(drop)
    }

    /// Merges `spec` into a Service's spec; returns the Service as it is then.
    pub(crate) fn change(&self, service: &Service, spec: &Value) -> Result<Service> {
        let path = format!("{SERVICES}/{}", service.name);
        Service::read(&self.api.patch(&path, &json!({"spec": spec}))?)
    }

    /// Deletes a Service.
    pub(crate) fn delete(&self, service: &Service) -> Result<()> {
        self.api.delete(&format!("{SERVICES}/{}", service.name))
    }

    /// Removes what a scenario left, so that the next one starts from nothing.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.bed.balancer().serve(&[]);
        for service in self.services.drain(..) {
            // A scenario may have done so already.
            self.api.delete(&format!("{SERVICES}/{service}")).ok();
            // There is no garbage collector, and the next Service of this name would begin
            // with endpoints that are no more.
            self.api
                .delete_labelled(SLICES, &format!("kubernetes.io/service-name={service}"))?;
        }
        for pod in self.pods.drain(..) {
            self.api.delete(&format!("{PODS}/{}", pod.name())).ok();
        }
        for index in 0..self.daemons.len() {
            if self.daemons[index].is_none() {
                self.start_daemon(index)?;
            }
        }
        Ok(())
    }

    /// Keeps logs and rules of a failure below `target/e2e/<name>`.
    pub(crate) fn save_state(&self, name: &str) {
        let kept = Kept::create("e2e", name);
        kept.logs(self.directory.path());
        for node in self.bed.nodes() {
            kept.rules(node.namespace(), node.name());
        }
        println!("  logs and rules are in {}", kept.path().display());
    }
}

fn pod_object(pod: &Pod, app: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod.name(), "labels": {"app": app}},
        "spec": {
            "nodeName": pod.node(),
            "containers": [{"name": "echo", "image": "echo"}],
        },
    })
}
