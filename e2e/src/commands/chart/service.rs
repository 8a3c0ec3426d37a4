//! A node of the bed and a Service in the API server.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::address::ECHO_PORT;
use e2e::client::Outcome;
use e2e::controlplane::Api;
use e2e::{Bed, Pod, manifest, wait};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);
const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

/// A Service with one endpoint and a client, both on the first node.
pub(crate) struct Served<'a> {
    bed: &'a Bed,
    client: Pod,
    endpoint: Pod,
    targets: Vec<SocketAddr>,
}

impl<'a> Served<'a> {
    /// Posts Node, Service and EndpointSlices; there are no controllers.
    pub(crate) fn create(api: &Api, bed: &'a Bed) -> Result<Self> {
        let node = &bed.nodes()[0];
        api.post_node(&manifest::node(node))?;
        let (client, endpoint) = (node.pod("client")?, node.pod("web")?);
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {
                "ipFamilyPolicy": "RequireDualStack",
                "ports": [{"name": "echo", "port": 80, "targetPort": ECHO_PORT}],
            },
        });
        let created = api.post(SERVICES, &service)?;
        for slice in manifest::endpoint_slices("web", &[&endpoint]) {
            api.post(SLICES, &slice)?;
        }
        Ok(Self {
            bed,
            client,
            endpoint,
            targets: targets(&created)?,
        })
    }

    /// Takes all rules off the node; that nobody answers then.
    pub(crate) fn forgotten(&self) -> Result<()> {
        let node = self.bed.nodes()[0].namespace();
        node.exec(&["nft", "flush", "ruleset"])?;
        for target in &self.targets {
            let outcome = node.dial(*target)?;
            ensure!(
                !matches!(outcome, Outcome::Answered(_)),
                "{target}: {outcome}"
            );
        }
        Ok(())
    }

    /// That the node's own tools show chains of the Service in both families.
    pub(crate) fn has_chains(&self) -> Result<()> {
        for program in ["iptables-nft-save", "ip6tables-nft-save"] {
            let saved = self.bed.nodes()[0].namespace().exec(&[program])?;
            let rule = "--comment \"default/web:echo cluster IP\"";
            ensure!(saved.contains(rule), "no {rule} in {program}:\n{saved}");
        }
        Ok(())
    }

    /// That the endpoint answers the node and a pod at every cluster IP.
    pub(crate) fn answers(&self) -> Result<()> {
        for from in [self.bed.nodes()[0].namespace(), self.client.namespace()] {
            for target in &self.targets {
                let what = format!("{target} from {}", from.name());
                wait::until(&what, LIMIT, || {
                    let outcome = from.dial(*target)?;
                    let is_ours = matches!(&outcome, Outcome::Answered(answer) if answer.pod == self.endpoint.name());
                    ensure!(is_ours, "{outcome}");
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

fn targets(service: &Value) -> Result<Vec<SocketAddr>> {
    let ips: Vec<IpAddr> = serde_json::from_value(service["spec"]["clusterIPs"].clone())
        .context("the Service has no cluster IPs")?;
    ensure!(ips.len() == 2, "not both families: {ips:?}");
    Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, 80)).collect())
}
