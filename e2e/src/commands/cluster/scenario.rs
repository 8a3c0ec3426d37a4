//! The scenarios, in the order in which they run.

mod commands;
mod control;
mod credentials;
mod endpoints;
mod modes;
mod policy;
mod reach;

use anyhow::Result;
use e2e::Namespace;

use crate::cluster::expect::From;
use crate::cluster::fixture::Cluster;

type Scenario = fn(&mut Cluster) -> Result<()>;

/// Name and function of each.
pub(crate) const ALL: &[(&str, Scenario)] = &[
    ("the API server's own Service", reach::kubernetes_service),
    ("cluster IP, from pods and nodes", reach::cluster_ips),
    ("node port, from outside", reach::node_port),
    ("load balancer, from outside", reach::load_balancer),
    ("scale up and down", endpoints::scale),
    ("unready pod", endpoints::unready),
    ("no endpoints, then deleted", endpoints::none),
    ("policy switch", policy::switch),
    ("internal policy Local", policy::internal),
    ("commands answer", commands::answer),
    ("commands say what is wrong", commands::wrong),
    ("API server restart", control::api_server_restart),
    ("daemon restart", control::daemon_restart),
    ("mode iptables by kubeadm's ConfigMap", modes::kubeadm),
    ("service account of a pod", credentials::pod),
    ("token file that is replaced", credentials::token_file),
    (
        "client certificate that is replaced",
        credentials::certificate,
    ),
];

/// Connections from `namespace`, which messages call `who`.
fn from<'a>(namespace: &'a Namespace, who: &'a str) -> From<'a> {
    From { namespace, who }
}

/// Connections from the outside client.
fn outside(cluster: &Cluster) -> From<'_> {
    from(cluster.bed.client(), "the client outside")
}
