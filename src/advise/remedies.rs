//! Remedies ready to paste.

use super::manifests;
use super::workload::Found;
use crate::yaml;
use rules::advise::{Measure, Suggestion};
use rules::model::{ObjectName, ServicePort};
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;

/// Something that helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Remedy {
    /// What it is, in a word that stays: `policy`, `spread`, `antiAffinity`, `disruptionBudget`,
    /// `daemonSet`, `weightHeader`, `ingress`.
    pub kind: String,
    /// What it is, for people.
    pub title: String,
    /// It is part of the verdict; what is not is another way.
    pub recommended: bool,
    /// What it does.
    pub why: String,
    /// The manifest, as YAML; for objects that are there, the part that changes.
    pub manifest: Option<String>,
    /// What to do beside the manifest, or instead: a line for a shell.
    pub command: Option<String>,
}

/// The service and its workload, as far as that is known.
pub(super) struct Subject<'a> {
    pub(super) service: &'a ObjectName,
    pub(super) port: &'a ServicePort,
    /// `spec.healthCheckNodePort`.
    pub(super) health_port: Option<u16>,
    pub(super) workload: Option<&'a Found>,
}

impl Subject<'_> {
    pub(super) fn remedy(&self, suggestion: &Suggestion) -> Remedy {
        let (kind, title) = words(suggestion.measure);
        let manifest = self.manifest(suggestion.measure);
        Remedy {
            kind: kind.to_owned(),
            title: title.to_owned(),
            recommended: suggestion.recommended,
            why: suggestion.why.clone(),
            manifest: manifest.as_ref().map(yaml::write),
            command: self.command(suggestion.measure),
        }
    }

    fn manifest(&self, measure: Measure) -> Option<serde_json::Value> {
        let workload = self.workload;
        Some(match measure {
            Measure::Policy(policy) => manifests::policy(self.service, policy),
            Measure::Spread { replicas, zones } => manifests::spread(workload?, replicas, zones),
            Measure::AntiAffinity => manifests::anti_affinity(workload?),
            Measure::DisruptionBudget => manifests::disruption_budget(workload?),
            Measure::DaemonSet => {
                let workload = workload?;
                manifests::daemon_set(workload, workload.template.as_ref()?)
            }
            Measure::Ingress => manifests::ingress(self.service, self.port),
            Measure::WeightHeader => return None,
        })
    }

    fn command(&self, measure: Measure) -> Option<String> {
        let namespace = quoted(&self.service.namespace);
        match measure {
            Measure::DaemonSet => {
                let own = &self.workload?.workload;
                let name = quoted(&own.name);
                Some(format!(
                    "kubectl -n {} delete deployment {name} # when the DaemonSet's pods are ready",
                    quoted(&own.namespace)
                ))
            }
            Measure::WeightHeader => {
                let port = self
                    .health_port
                    .map_or_else(|| "HEALTHCHECKNODEPORT".to_owned(), |port| port.to_string());
                Some(format!(
                    "curl -si http://NODE:{port}/healthz | grep -i x-load-balancing-endpoint-weight\n\
                     # Google's balancers read it where the Service asks for it:\n\
                     kubectl -n {namespace} annotate service {} \
                     networking.gke.io/weighted-load-balancing=pods-per-node",
                    quoted(&self.service.name)
                ))
            }
            _ => None,
        }
    }
}

fn words(measure: Measure) -> (&'static str, &'static str) {
    match measure {
        Measure::Policy(_) => ("policy", "The other policy"),
        Measure::Spread { .. } => ("spread", "topologySpreadConstraints"),
        Measure::AntiAffinity => ("antiAffinity", "podAntiAffinity"),
        Measure::DisruptionBudget => ("disruptionBudget", "A PodDisruptionBudget"),
        Measure::DaemonSet => ("daemonSet", "A DaemonSet"),
        Measure::WeightHeader => (
            "weightHeader",
            "A balancer that reads X-Load-Balancing-Endpoint-Weight",
        ),
        Measure::Ingress => ("ingress", "An ingress or a gateway in front"),
    }
}

/// A name as a shell takes it.
fn quoted(name: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match !name.is_empty() && name.chars().all(is_plain) {
        true => name.into(),
        false => format!("'{}'", name.replace('\'', r"'\''")).into(),
    }
}
