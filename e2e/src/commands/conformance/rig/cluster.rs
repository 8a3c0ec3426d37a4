//! The API server and its objects, without anybody who follows them.

use std::net::IpAddr;
use std::path::Path;

use anyhow::Result;
use e2e::address::CONTROL;
use e2e::cleanup::ScratchDir;
use e2e::controlplane::{Api, ControlPlane};
use e2e::{Namespace, Node, ip, manifest};
use serde_json::json;

use crate::conformance::object;
use crate::conformance::spec::{Endpoint, Family, Kind, Service, State, ZONES, cluster_ips};
use crate::report::Kept;

const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
/// The group of Services that tell how far a proxy has come.
pub(crate) const CANARY: &str = "canary";

/// Declared in the order in which it has to go.
pub(crate) struct Cluster {
    pub(crate) api: Api,
    _plane: ControlPlane,
    control: Namespace,
    directory: ScratchDir,
}

/// A namespace for the control plane.
pub(crate) fn control() -> Result<Namespace> {
    let control = Namespace::create("control")?;
    ip(&control, &format!("address add {}/32 dev lo", CONTROL.v4))?;
    Ok(control)
}

impl Cluster {
    /// With these nodes, each in a zone.
    pub(crate) fn start(control: Namespace, directory: ScratchDir, nodes: &[Node]) -> Result<Self> {
        let result = ControlPlane::start(&control, directory.path(), None);
        let (plane, api) = result.inspect_err(|_| {
            Kept::create("conformance", "control").logs(directory.path());
        })?;
        for (node, zone) in nodes.iter().zip(ZONES) {
            let mut object = manifest::node(node);
            object["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!(zone);
            api.post_node(&object)?;
        }
        Ok(Self {
            api,
            _plane: plane,
            control,
            directory,
        })
    }

    /// Where the API server is.
    pub(crate) fn control(&self) -> &Namespace {
        &self.control
    }

    /// Where logs and kubeconfigs are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
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

    /// Puts a Service of its own with one endpoint on node-1; returns where it is to answer. Who
    /// serves it knows all that was put before.
    pub(crate) fn put_canary(&self, number: u16) -> Result<([IpAddr; 2], u16)> {
        let host = u8::try_from(number % 250).unwrap_or_default() + 1;
        let name = format!("canary-{number}");
        let mut canary = Service::new(&name, 0);
        canary.kind = Kind::ClusterIp;
        canary.external_ips = None;
        canary.ports.truncate(1);
        // A number of its own, should an address come round again.
        canary.ports[0].port = 1000 + number;
        canary.endpoints = vec![Endpoint::new(0, State::Ready)];
        for slice in object::slices(&canary, CANARY) {
            self.api.post(SLICES, &slice)?;
        }
        let mut value = object::service(&canary, CANARY);
        let addresses = Family::BOTH.map(|family| family.of(cluster_ips(2, host)));
        value["spec"]["clusterIP"] = json!(addresses[0]);
        value["spec"]["clusterIPs"] = json!(addresses);
        self.api.post(SERVICES, &value)?;
        Ok((addresses, canary.ports[0].port))
    }
}
