//! What is told of one Service.

use super::picture::Drawing;
use super::remedies::Remedy;
use rules::advise::{Balancer, ClientAddress, Drain, Outlook, Verdict};
use rules::model::TrafficPolicy;
use schemars::JsonSchema;
use serde::Serialize;

/// One port of a Service under both external traffic policies.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// `NAMESPACE/NAME`.
    pub service: String,
    /// `spec.type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The port that is looked at.
    pub port: PortName,
    /// `IPv4` or `IPv6`: that of the Service's first cluster IP.
    pub family: String,
    /// `externalTrafficPolicy` as it is.
    pub current: String,
    /// The policy that it is compared with.
    pub to: String,
    /// How the balancer is assumed to spread connections over nodes.
    pub balancer: Balancer,
    /// What was said of the need for the client's address.
    pub client_address: ClientAddress,
    /// What runs the pods; `null` if that could not be told.
    pub workload: Option<WorkloadName>,
    /// Both policies.
    pub policies: Policies,
    /// Connections to the port that go through this node and are open; `null` if the kernel was
    /// not looked at.
    pub connections_open: Option<u64>,
    /// What a drain of each node with endpoints does.
    pub drains: Vec<Drain>,
    /// What to do about the policy.
    pub verdict: Verdict,
    /// What helps, the recommended first.
    pub remedies: Vec<Remedy>,
    /// What else to know.
    pub notes: Vec<String>,
    /// The way of the traffic.
    #[serde(skip)]
    pub(super) drawing: Drawing,
}

/// A port of the Service.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortName {
    /// `name`; empty if it has none.
    pub name: String,
    /// `port`.
    pub number: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// `nodePort`.
    pub node_port: Option<u16>,
}

/// Both policies.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Policies {
    /// `externalTrafficPolicy: Cluster`.
    #[serde(rename = "Cluster")]
    pub cluster: Outlook,
    /// `externalTrafficPolicy: Local`.
    #[serde(rename = "Local")]
    pub local: Outlook,
}

impl Policies {
    /// The outlook under a policy.
    pub fn under(&self, policy: TrafficPolicy) -> &Outlook {
        match policy {
            TrafficPolicy::Cluster => &self.cluster,
            TrafficPolicy::Local => &self.local,
        }
    }
}

/// What runs pods.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WorkloadName {
    /// `Deployment` and the like.
    pub kind: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.replicas`; `null` if it has none, or could not be seen.
    pub replicas: Option<i32>,
}

impl Advice {
    /// `externalTrafficPolicy`.
    pub(super) fn policy(&self) -> TrafficPolicy {
        policy_of(&self.current)
    }

    /// What it is now, and under the policy that it is compared with; if that is the same one,
    /// under the other one.
    pub(super) fn both(&self) -> [(TrafficPolicy, &Outlook); 2] {
        let now = self.policy();
        let then = match policy_of(&self.to) {
            then if then == now => rules::advise::other(now),
            then => then,
        };
        [now, then].map(|policy| (policy, self.policies.under(policy)))
    }
}

fn policy_of(name: &str) -> TrafficPolicy {
    match name {
        "Local" => TrafficPolicy::Local,
        _ => TrafficPolicy::Cluster,
    }
}
