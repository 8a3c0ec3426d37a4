//! The two Services, one per policy, and what is expected of each.

use e2e::Pod;
use e2e::address::{ECHO_PORT, Pair, cluster_ip, virtual_ip};
use serde_json::{Value, json};

use crate::demo::workload::labels;

/// A Service of type LoadBalancer under one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The value of externalTrafficPolicy.
    pub(crate) name: &'static str,
    /// The Service's name.
    pub(crate) service: &'static str,
    /// Its node port.
    pub(crate) node_port: u16,
    /// Where the load balancer asks for a node's health.
    pub(crate) health_port: u16,
    /// The last part of its addresses.
    number: u8,
}

/// Both, Cluster first.
pub(crate) const POLICIES: [Policy; 2] = [
    Policy {
        name: "Cluster",
        service: "echo-cluster",
        node_port: 30010,
        health_port: 10256,
        number: 10,
    },
    Policy {
        name: "Local",
        service: "echo-local",
        node_port: 30020,
        health_port: 32020,
        number: 20,
    },
];

impl Policy {
    /// The Services' port.
    pub(crate) const PORT: u16 = 80;

    /// The load balancer's address for it.
    pub(crate) fn address(self) -> Pair {
        virtual_ip(self.number)
    }

    /// Whether it keeps the client's address.
    pub(crate) fn preserves(self) -> bool {
        self.name == "Local"
    }

    /// The Service.
    pub(crate) fn manifest(&self) -> Value {
        let cluster_ips = cluster_ip(self.number).both();
        let ingress = self
            .address()
            .both()
            .map(|ip| json!({"ip": ip, "ipMode": "VIP"}));
        let mut service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": self.service, "namespace": "default"},
            "spec": {
                "type": "LoadBalancer",
                "externalTrafficPolicy": self.name,
                "internalTrafficPolicy": "Cluster",
                "selector": labels(),
                "clusterIP": cluster_ips[0],
                "clusterIPs": cluster_ips,
                "ipFamilyPolicy": "RequireDualStack",
                "ipFamilies": ["IPv4", "IPv6"],
                "ports": [{
                    "name": "echo",
                    "protocol": "TCP",
                    "port": Self::PORT,
                    "targetPort": ECHO_PORT,
                    "nodePort": self.node_port,
                }],
            },
            "status": {"loadBalancer": {"ingress": ingress}},
        });
        if self.preserves() {
            service["spec"]["healthCheckNodePort"] = json!(self.health_port);
        }
        service
    }

    /// `pod`'s expected share of the connections among `pods`, as one over this: every pod
    /// alike under Cluster; every node alike, then every pod of the node, under Local.
    pub(crate) fn expected(self, pod: &Pod, pods: &[&Pod]) -> u32 {
        let count = |what: &dyn Fn(&&&Pod) -> bool| {
            u32::try_from(pods.iter().filter(what).count()).unwrap_or(u32::MAX)
        };
        if !self.preserves() {
            return count(&|_| true);
        }
        let mut nodes: Vec<_> = pods.iter().map(|other| other.node()).collect();
        nodes.dedup();
        let nodes = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
        nodes * count(&|other| other.node() == pod.node())
    }
}
