//! What the Services of one family do, whatever programs them: which frontends each has, who serves
//! those, and how one of several endpoints is chosen.

mod build;
mod sources;

use crate::model::{EndpointAddr, Frontend, ObjectName, Protocol};
pub use crate::state::FrontendKind;
use crate::state::{Entry, View};
use crate::{Config, HealthCheck};
pub use sources::Sources;
use std::net::IpAddr;
use std::sync::Arc;

/// What one Service does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePlan {
    /// `spec.clusterIPs` of the family; there is one at least.
    pub cluster_ips: Box<[IpAddr]>,
    /// Its ports, each number and protocol once.
    pub ports: Vec<PortPlan>,
    /// Who may reach its load-balancer IPs; `None` for everybody.
    pub sources: Option<Sources>,
    /// What its `healthCheckNodePort` answers.
    pub health: Option<HealthCheck>,
    /// Ports with internal policy Local, endpoints, and none of them here.
    pub no_local_internal: i64,
    /// The same for external policy Local.
    pub no_local_external: i64,
}

impl ServicePlan {
    /// Endpoints that slices list, for each port anew, whatever their state.
    pub fn listed(&self) -> usize {
        self.ports.iter().map(|port| port.listed).sum()
    }
}

/// What one Service port does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortPlan {
    /// `name`, empty if unset.
    pub name: Arc<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`.
    pub number: u16,
    /// How one of several endpoints is chosen.
    pub balance: Balance,
    /// `sessionAffinity: ClientIP` with this `timeoutSeconds`, whether or not [`balance`] heeds it:
    /// that is what sets of nftables allow for.
    ///
    /// [`balance`]: Self::balance
    pub affinity: Option<u32>,
    /// Where it is reached, each once, and who answers there.
    pub frontends: Box<[(Frontend, Serving)]>,
    /// What each of `frontends` is to the Service, in their order: cluster IPs, external IPs,
    /// load-balancer IPs, node ports. What is an external and a load-balancer IP is the former.
    pub kinds: Box<[FrontendKind]>,
    /// The endpoints for policy Cluster, sorted; empty if no frontend needs them.
    pub cluster: Vec<EndpointAddr>,
    /// The endpoints for policy Local, sorted; empty if no frontend needs them.
    pub local: Vec<EndpointAddr>,
    /// Those of both lists that run on this node: what they send to the frontend may come back
    /// to them, and needs the node's address then.
    pub hairpin: Box<[EndpointAddr]>,
    /// Its node port is refused on loopback addresses, where nftables serves.
    pub refused_on_localhost: bool,
    /// Endpoints that slices list under the port's name and protocol, whatever their state.
    pub listed: usize,
}

impl PortPlan {
    /// The frontends of a kind, with who answers there.
    pub fn of_kind(&self, kind: FrontendKind) -> impl Iterator<Item = (Frontend, Serving)> {
        let all = self.frontends.iter().zip(&self.kinds);
        all.filter(move |(_, own)| **own == kind)
            .map(|(frontend, _)| *frontend)
    }
}

/// How one frontend is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// All endpoints.
    Cluster {
        /// They see the node's address.
        masquerade: bool,
    },
    /// This node's endpoints.
    Local,
    /// This node's endpoints for outside clients, all of them for others.
    ExternalLocal,
    /// No endpoint anywhere.
    Reject,
    /// Policy Local, and none of the endpoints is here.
    Drop,
}

impl Serving {
    /// Whether some endpoint serves the frontend.
    pub fn is_served(self) -> bool {
        !matches!(self, Self::Reject | Self::Drop)
    }
}

/// How one of several endpoints is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// At random, each connection anew.
    Random,
    /// As for the client's last connection, if that is no longer ago than so many seconds
    /// (`sessionAffinity: ClientIP`).
    Remembered {
        /// `timeoutSeconds`.
        seconds: u32,
    },
    /// By a hash of the client's address: with `sessionAffinity: ClientIP` and more endpoints
    /// than can remember clients.
    SourceHash,
}

/// What a Service does in the family of `config`, as `view` has it; `None` if it is not there or
/// has no cluster IP of the family.
pub fn plan(config: &Config, view: View<'_>, service: &ObjectName) -> Option<ServicePlan> {
    of_entry(config, view, view.state.entry(service)?)
}

/// The same for whom has the Service at hand.
pub(crate) fn of_entry(config: &Config, view: View<'_>, entry: &Entry) -> Option<ServicePlan> {
    build::service(config, view, entry)
}
