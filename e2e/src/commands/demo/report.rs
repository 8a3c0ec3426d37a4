//! `target/demo/report.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use e2e::Pod;
use serde_json::{Value, json};

use crate::demo::LOSER;
use crate::demo::measure::{CONNECTIONS, Phase};
use crate::demo::policy::POLICIES;
use crate::report::write_report;

/// Writes the report; returns where it is.
pub(crate) fn write(
    before: &Phase,
    after: &Phase,
    all: &[&Pod],
    left: &[&Pod],
    problems: &[String],
) -> Result<PathBuf> {
    let mut report = phase(before, all);
    report["connections_per_policy"] = json!(CONNECTIONS);
    report["after_loss"] = phase(after, left);
    report["after_loss"]["node_without_pods"] = json!(LOSER);
    report["problems"] = json!(problems);
    write_report("demo", &report)
}

fn phase(phase: &Phase, pods: &[&Pod]) -> Value {
    let mut policies = BTreeMap::new();
    let mut expected = BTreeMap::new();
    for policy in POLICIES {
        let tally = phase.tally(policy);
        let shares: BTreeMap<_, _> = pods
            .iter()
            .map(|pod| (pod.name(), tally.share(pod.name())))
            .collect();
        let due: BTreeMap<_, _> = pods
            .iter()
            .map(|pod| (pod.name(), 1.0 / f64::from(policy.expected(pod, pods))))
            .collect();
        policies.insert(
            policy.name,
            json!({
                "client_address_preserved": phase.preserved(policy),
                "shares": shares,
            }),
        );
        expected.insert(
            policy.name,
            json!({
                "client_address_preserved": policy.preserves(),
                "shares": due,
            }),
        );
    }
    json!({
        "policies": policies,
        "health": phase.health,
        "expected": {"policies": expected, "health": phase.expected_health},
    })
}
