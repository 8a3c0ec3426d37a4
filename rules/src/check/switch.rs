//! What a switch to mode nftables changes on this node, for these Services: KP305 and KP309.
//!
//! What each mode does: docs/reference.md, and for mode iptables upstream's `pkg/proxy/iptables`.

mod iptables;
mod ipvs;
mod shared;

use super::facts::Facts;
use super::report::{Report, plural};
use crate::finding::{Code, Finding, Severity};
use crate::model::{Family, Protocol, Service};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;

/// So many Services are named; the others are counted.
const NAMED: usize = 5;

/// The mode that serves now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// kube-proxy in mode iptables.
    Iptables,
    /// kube-proxy in mode ipvs.
    Ipvs,
    /// kube-proxy in mode nftables.
    Nftables,
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iptables => "iptables",
            Self::Ipvs => "ipvs",
            Self::Nftables => "nftables",
        })
    }
}

/// The cluster, as far as a switch has to do with it.
#[derive(Clone, Debug, Default)]
pub struct Cluster<'a> {
    /// The Services.
    pub services: Vec<&'a Service>,
    /// Which of the node's addresses answer node ports in mode nftables, by family; `None` for all
    /// but loopback ones.
    pub node_port_addresses: Vec<(Family, Option<Vec<IpAddr>>)>,
    /// `ipvs.scheduler`, if it is set.
    pub ipvs_scheduler: String,
    /// `ipvs.excludeCIDRs` is set.
    pub ipvs_excludes: bool,
}

impl Cluster<'_> {
    /// The Services with something, named as far as there are not too many.
    fn named(&self, has: impl Fn(&Service) -> bool) -> (usize, String) {
        let mut names: Vec<String> = (self.services.iter())
            .filter(|service| has(service))
            .map(|service| service.name.to_string())
            .collect();
        names.sort_unstable();
        let count = names.len();
        names.truncate(NAMED);
        let more = match count - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (count, format!("{}{more}", names.join(", ")))
    }

    /// The Service that has a node port.
    fn of_node_port(&self, protocol: Protocol, port: u16) -> Option<&Service> {
        let mut services = self.services.iter();
        let has = |service: &&&Service| {
            let mut ports = service.ports.iter();
            ports.any(|one| one.protocol == protocol && one.node_port == Some(port))
        };
        services.find(has).copied()
    }
}

fn has_node_port(service: &Service) -> bool {
    service.ports.iter().any(|port| port.node_port.is_some())
}

fn change(severity: Severity, message: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding::new(Code::ModeSwitch, severity, message, remedy)
}

/// Whether somebody uses node ports on loopback addresses, which mode iptables alone serves.
pub(super) fn localhost(
    report: &mut Report,
    facts: &Facts,
    cluster: Option<&Cluster<'_>>,
    from: Option<From>,
) {
    report.group("node ports on localhost");
    let severity = match from {
        Some(From::Iptables) => Severity::Error,
        _ => Severity::Warning,
    };
    let finding = |message: String| {
        Finding::new(
            Code::LocalhostNodePortInUse,
            severity,
            message,
            "mode nftables serves no node port on 127.0.0.1 unless feature gate \
             KubeProxyNFTablesLocalhostNodePorts is on and nodePortAddresses have localhost, and then \
             TCP alone: set both, or let that client use the node's own address, the cluster IP, or a \
             pod with hostPort on 127.0.0.1",
        )
    };
    match facts.counted.localhost_node_ports {
        None => report.skipped(
            "counted by kube-proxy",
            "no kube-proxy in mode iptables counts",
        ),
        Some(0) => report.check("counted by kube-proxy", "none since it started", None),
        Some(count) => {
            let found = finding(format!(
                "{} to node ports on 127.0.0.1 since kube-proxy started",
                plural(usize::try_from(count).unwrap_or(usize::MAX), "connection")
            ))
            .because(format!("localhost_nps_accepted_pkts = {count}"));
            report.check("counted by kube-proxy", count.to_string(), [found]);
        }
    }
    let flows = match &facts.localhost_flows {
        Ok(flows) => flows,
        Err(why) => return report.skipped("open connections", why),
    };
    let found = flows.iter().map(|flows| {
        let port = format!("{}/{}", flows.port, flows.protocol);
        let found = finding(format!(
            "{} to node port {port} on loopback addresses, open now",
            plural(flows.count, "connection")
        ));
        match cluster.and_then(|cluster| cluster.of_node_port(flows.protocol, flows.port)) {
            Some(service) => found.about(format!("Service {}", service.name)),
            None => found,
        }
    });
    let found: Vec<Finding> = found.collect();
    let detail = match found.len() {
        0 => "none".to_owned(),
        count => format!("to {}", plural(count, "node port")),
    };
    report.check("open connections", detail, found);
}

/// What changes for a node that another mode serves.
pub(super) fn switch(report: &mut Report, facts: &Facts, cluster: &Cluster<'_>, from: From) {
    report.group(&format!("switch from {from}"));
    match from {
        From::Iptables => {
            shared::node_ports(report, facts, cluster);
            iptables::accepts(report, facts, cluster);
            iptables::invalid(report, facts);
            shared::cluster_ips(report, cluster);
            shared::affinity(
                report,
                cluster,
                "the lists of iptables' match recent are not read",
            );
            report.check(
                "open connections",
                "stay where they are: connection tracking has their translation",
                None,
            );
            shared::metrics(
                report,
                "kubeproxy_sync_proxy_rules_iptables_* and kubeproxy_iptables_*",
            );
        }
        From::Ipvs => {
            shared::node_ports(report, facts, cluster);
            ipvs::schedulers(report, facts, cluster);
            ipvs::virtual_servers(report, facts, cluster);
            ipvs::strict_arp(report, facts);
            shared::cluster_ips(report, cluster);
            shared::affinity(report, cluster, "ipvs' persistence templates are not read");
            shared::metrics(report, "kubeproxy_sync_proxy_rules_iptables_*");
        }
        From::Nftables => {
            report.check(
                "rules",
                "upstream's table is replaced in one transaction, without a gap",
                None,
            );
            let (count, _) = cluster.named(|service| service.session_affinity.is_some());
            let detail = format!("clients of {count} Services with affinity are carried over");
            report.check("session affinity", detail, None);
            report.check("open connections", "stay where they are", None);
            shared::metrics(
                report,
                "kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total",
            );
        }
    }
}
