//! What helps, for one workload.

use super::shares::Balancer;
use super::site::Site;
use super::verdict::Verdict;
use super::words::{spread_replicas, spread_words};
use crate::model::{Protocol, ServiceType, TrafficPolicy};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// What runs the pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum WorkloadKind {
    /// apps/v1 Deployment.
    Deployment,
    /// apps/v1 StatefulSet.
    StatefulSet,
    /// apps/v1 DaemonSet.
    DaemonSet,
    /// Something else, or nobody.
    Other(String),
}

impl WorkloadKind {
    /// By the name of a kind.
    pub fn new(kind: &str) -> Self {
        match kind {
            "Deployment" => Self::Deployment,
            "StatefulSet" => Self::StatefulSet,
            "DaemonSet" => Self::DaemonSet,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The kind's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Other(name) => name,
        }
    }

    /// `kubectl drain` evicts its pods; it leaves those of DaemonSets.
    pub fn leaves_at_a_drain(&self) -> bool {
        *self != Self::DaemonSet
    }

    /// It has a number of pods, and the scheduler chooses their nodes.
    pub fn is_scheduled(&self) -> bool {
        matches!(self, Self::Deployment | Self::StatefulSet)
    }
}

/// The workload behind a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its kind.
    pub kind: WorkloadKind,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.selector.matchLabels`, for constraints that count its pods.
    pub labels: BTreeMap<String, String>,
}

/// Something that helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// `externalTrafficPolicy`.
    Policy(TrafficPolicy),
    /// `topologySpreadConstraints` over nodes.
    Spread {
        /// As many pods as come out even; `None` if there are.
        replicas: Option<usize>,
        /// Over zones as well.
        zones: bool,
    },
    /// `podAntiAffinity`: no two on one node.
    AntiAffinity,
    /// A PodDisruptionBudget.
    DisruptionBudget,
    /// A DaemonSet instead.
    DaemonSet,
    /// A balancer that reads the weight header.
    WeightHeader,
    /// An ingress or a gateway in front, whose own pods are spread.
    Ingress,
}

/// A measure for a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// What.
    pub measure: Measure,
    /// It is part of the verdict; what is not is another way.
    pub recommended: bool,
    /// What it does, a sentence.
    pub why: String,
}

/// What helps, the recommended first.
pub fn suggestions(
    site: &Site<'_>,
    verdict: &Verdict,
    workload: Option<&Workload>,
    balancer: Balancer,
) -> Vec<Suggestion> {
    let mut found = Vec::new();
    let mut add = |measure, recommended, why: String| {
        found.push(Suggestion {
            measure,
            recommended,
            why,
        });
    };
    let target = match verdict.policy == "Local" {
        true => TrafficPolicy::Local,
        false => TrafficPolicy::Cluster,
    };
    if verdict.changes {
        let why = format!("externalTrafficPolicy becomes {target:?}");
        add(Measure::Policy(target), true, why);
    }
    let (pods, nodes) = (site.ready(), site.nodes_for_pods());
    let scheduled = workload.is_some_and(|own| own.kind.is_scheduled());
    if scheduled && verdict.spread_pods {
        let even = spread_replicas(pods, nodes);
        let zones = site.zones_for_pods() > 1;
        let replicas = (even != pods).then_some(even);
        add(
            Measure::Spread { replicas, zones },
            true,
            spread_words(even, nodes),
        );
    }
    if scheduled && pods > 1 {
        let why = "a drain evicts one pod at a time, and waits until another one is ready";
        add(Measure::DisruptionBudget, true, why.to_owned());
    }
    if target == TrafficPolicy::Cluster || !verdict.spread_pods {
        return found;
    }
    if scheduled && pods <= nodes {
        let why = "no two pods on one node, in place of the constraint above";
        add(Measure::AntiAffinity, false, why.to_owned());
    }
    if workload.is_some_and(|own| own.kind == WorkloadKind::Deployment) {
        let why = format!("one pod on each of {nodes} nodes, so that each node serves");
        add(Measure::DaemonSet, false, why);
    }
    if site.service.kind == ServiceType::LoadBalancer && balancer != Balancer::Endpoints {
        let why = "the balancer weighs nodes by their pods: each pod gets the same, wherever it is";
        add(Measure::WeightHeader, false, why.to_owned());
    }
    if is_web(site) {
        let why = "an ingress or a gateway keeps the address in X-Forwarded-For, and spreads \
                   evenly over pods behind a ClusterIP";
        add(Measure::Ingress, false, why.to_owned());
    }
    found
}

/// Whether an ingress may stand in front: HTTP, as far as names and numbers tell.
fn is_web(site: &Site<'_>) -> bool {
    let port = site.port;
    let named = port.name.contains("http") || port.name.contains("web");
    port.protocol == Protocol::Tcp && (named || matches!(port.port, 80 | 443 | 8080 | 8443))
}
