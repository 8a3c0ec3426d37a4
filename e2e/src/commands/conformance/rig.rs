//! Two identical beds with one API server: node-1 of the first is upstream's, of the second ours.

mod side;
mod wiring;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::address::CONTROL;
use e2e::cleanup::ScratchDir;
use e2e::controlplane::{Api, ControlPlane, program};
use e2e::{Bed, Namespace, ip, manifest};
use serde_json::json;

use crate::conformance::object;
use crate::conformance::spec::{Endpoint, Family, Kind, Service, State, ZONES, cluster_ips};
use crate::report::Kept;
pub(crate) use side::{DETECTION, Side};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
/// After the rules come health check ports and conntrack.
const AFTERMATH: Duration = Duration::from_millis(300);

/// All that a run needs. Declared in the order in which it has to go.
pub(crate) struct Rig {
    pub(crate) sides: [Side; 2],
    /// Upstream's and ours.
    pub(crate) programs: [PathBuf; 2],
    pub(crate) api: Api,
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
        let (plane, api) = result.inspect_err(|_| drop(keep_logs(directory.path(), "control")))?;
        for (node, zone) in beds[0].nodes().iter().zip(ZONES) {
            let mut object = manifest::node(node);
            object["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!(zone);
            api.post_node(&object)?;
        }
        let [upstream, ours] = beds;
        let start = |name: &'static str, bed, program: &Path| {
            Side::start(name, bed, program, directory.path())
                .inspect_err(|_| drop(keep_logs(&directory.path().join(name), name)))
        };
        Ok(Self {
            sides: [
                start("upstream", upstream, &programs[0])?,
                start("ours", ours, &programs[1])?,
            ],
            programs,
            api,
            _plane: plane,
            _control: control,
            directory,
            canaries: 0,
        })
    }

    /// Starts both proxies again, with these flags beside those that a bed needs, and waits until
    /// they follow changes.
    pub(crate) fn restart(&mut self, flags: &[&str]) -> Result<()> {
        for (side, program) in self.sides.iter_mut().zip(&self.programs) {
            side.start_proxy(program, flags)
                .with_context(|| format!("start {} with {flags:?}", side.name))?;
        }
        self.settle()
    }

    /// Changes node-1's zone and changes it back. Upstream listens to an informer that runs already
    /// before it has anyone to tell: a process that starts may miss the label, and then has no zone
    /// until that changes.
    pub(crate) fn announce_zone(&mut self) -> Result<()> {
        self.settle()?;
        for zone in ["zone-to-be", ZONES[0]] {
            self.set_zone(Some(zone))?;
        }
        self.settle()
    }

    /// Sets or removes the label of node-1 that names its zone.
    pub(crate) fn set_zone(&self, zone: Option<&str>) -> Result<()> {
        let labels = json!({"topology.kubernetes.io/zone": zone});
        let change = json!({"metadata": {"labels": labels}});
        self.api.patch("/api/v1/nodes/node-1", &change).map(drop)
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
            keep_logs(&self.directory.path().join(side.name), side.name)
                .rules(side.bed.nodes()[0].namespace(), "ruleset");
        }
    }
}

fn keep_logs(from: &Path, name: &str) -> Kept {
    let kept = Kept::create("conformance", name);
    kept.logs(from);
    kept
}
