//! What is measured, and whether it is as expected.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use e2e::address::CLIENT;
use e2e::client::Tally;
use e2e::{Bed, Pod};

use crate::demo::policy::{POLICIES, Policy};

/// Connections per policy.
pub(crate) const CONNECTIONS: u32 = 3_600;

/// One state of the cluster, measured.
pub(crate) struct Phase {
    /// The connections, by policy in the order of [`POLICIES`].
    pub(crate) tallies: [Tally; 2],
    /// What each node's health check port answers.
    pub(crate) health: BTreeMap<String, u16>,
    /// Every node's addresses, to tell a node's from the client's.
    nodes: Vec<IpAddr>,
    /// The health answers that this state should have.
    pub(crate) expected_health: BTreeMap<String, u16>,
}

impl Phase {
    /// Measures both policies with `pods` behind them.
    pub(crate) fn measure(bed: &Bed, pods: &[&Pod]) -> Result<Self> {
        let measured = |policy: Policy| {
            let target = SocketAddr::new(IpAddr::V4(policy.address().v4), Policy::PORT);
            bed.client().measure(target, CONNECTIONS)
        };
        let [cluster, local] = POLICIES;
        let tallies = [measured(cluster)?, measured(local)?];
        let expected_health = bed.nodes().iter().map(|node| {
            let has_pod = pods.iter().any(|pod| pod.node() == node.name());
            (node.name().to_owned(), if has_pod { 200 } else { 503 })
        });
        Ok(Self {
            tallies,
            health: health(bed, local)?,
            nodes: bed
                .nodes()
                .iter()
                .flat_map(|node| node.addresses().both())
                .collect(),
            expected_health: expected_health.collect(),
        })
    }

    /// Whether every pod saw the client's own address, and only that.
    pub(crate) fn preserved(&self, policy: Policy) -> bool {
        let mut clients = self.tally(policy).clients.keys();
        clients.all(|(_, seen)| CLIENT.contains(*seen))
    }

    /// The connections under `policy`.
    pub(crate) fn tally(&self, policy: Policy) -> &Tally {
        &self.tallies[usize::from(policy.preserves())]
    }

    /// What is not as expected, in words.
    pub(crate) fn problems(&self, pods: &[&Pod]) -> Vec<String> {
        let mut problems = Vec::new();
        for policy in POLICIES {
            let tally = self.tally(policy);
            for (failure, count) in &tally.failures {
                problems.push(format!("{}: {count} connections: {failure}", policy.name));
            }
            for pod in tally
                .pods
                .keys()
                .filter(|name| !pods.iter().any(|p| p.name() == *name))
            {
                problems.push(format!(
                    "{}: {pod} is no endpoint but answered",
                    policy.name
                ));
            }
            problems.extend(
                pods.iter()
                    .filter_map(|pod| unfair(policy, tally, pod, pods)),
            );
            problems.extend(self.wrong_clients(policy));
        }
        for (node, expected) in &self.expected_health {
            match self.health.get(node) {
                Some(status) if status == expected => {}
                other => problems.push(format!(
                    "{node}: health check answers {other:?} instead of {expected}"
                )),
            }
        }
        problems
    }

    fn wrong_clients(&self, policy: Policy) -> Option<String> {
        let right = |seen: &IpAddr| match policy.preserves() {
            true => CLIENT.contains(*seen),
            false => self.nodes.contains(seen),
        };
        let mut clients = self.tally(policy).clients.keys();
        let (pod, seen) = clients.find(|(_, seen)| !right(seen))?;
        let expected = if policy.preserves() {
            "the client's"
        } else {
            "a node's"
        };
        Some(format!(
            "{}: {pod} saw {seen}, which is not {expected} address",
            policy.name
        ))
    }
}

/// Says so if `pod`'s share is further than five standard deviations from the expected one.
fn unfair(policy: Policy, tally: &Tally, pod: &Pod, pods: &[&Pod]) -> Option<String> {
    let expected = 1.0 / f64::from(policy.expected(pod, pods));
    let share = tally.share(pod.name());
    let deviation = (expected * (1.0 - expected) / f64::from(tally.answered().max(1))).sqrt();
    ((share - expected).abs() > 5.0 * deviation).then(|| {
        format!(
            "{}: {} got {share:.4} of the connections instead of {expected:.4} ± {:.4}",
            policy.name,
            pod.name(),
            5.0 * deviation
        )
    })
}

/// What every node answers to the load balancer's health check for `policy`; a node that does
/// not answer is left out.
pub(crate) fn health(bed: &Bed, policy: Policy) -> Result<BTreeMap<String, u16>> {
    let mut answers = BTreeMap::new();
    for node in bed.nodes() {
        let server = SocketAddr::new(IpAddr::V4(node.addresses().v4), policy.health_port);
        if let Ok(response) = bed.balancer().namespace().get(server, "/healthz") {
            answers.insert(node.name().to_owned(), response.status);
        }
    }
    Ok(answers)
}
