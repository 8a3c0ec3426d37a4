//! Which policy fits, by the guides' questions in their order: is there anybody to serve, is the
//! client's address needed, are the pods where the traffic comes in, does an even spread matter.

use super::other;
use super::shares::Outlook;
use super::site::Site;
use super::wishes::Wishes;
use super::words::{percent, spread_replicas, spread_words};
use crate::finding::{Code, Finding, Severity};
use crate::model::TrafficPolicy::{self, Cluster, Local};
use schemars::JsonSchema;
use serde::Serialize;

/// What to do about the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// `Cluster` or `Local`.
    pub policy: String,
    /// It is another one than the Service has.
    pub changes: bool,
    /// The pods should be spread differently.
    pub spread_pods: bool,
    /// One sentence.
    pub summary: String,
    /// What it follows from, a sentence each.
    pub reasons: Vec<String>,
}

/// The outlooks under both policies.
#[derive(Clone, Copy, Debug)]
struct Both<'a> {
    cluster: &'a Outlook,
    local: &'a Outlook,
}

/// The verdict on a Service whose outlooks under `Cluster` and `Local` are these.
pub fn verdict(site: &Site<'_>, wishes: &Wishes, cluster: &Outlook, local: &Outlook) -> Verdict {
    let both = Both { cluster, local };
    let current = site.service.external_policy;
    if both.cluster.nodes_serving == 0 && both.local.nodes_serving == 0 {
        return nobody(site, current);
    }
    let (needed, why) = wishes.needed(current);
    let mut reasons = vec![why];
    let uneven = !both.local.spread.is_even();
    let partial = site.nodes_with_endpoints() < 2.min(site.nodes_for_pods());
    let policy = match () {
        () if both.local.nodes_serving == 0 => Cluster,
        () if needed => Local,
        // It costs nothing, and saves the way from node to node.
        () if current == Local && !uneven => Local,
        () => Cluster,
    };
    let spread_pods = policy == Local && (uneven || partial);
    reasons.extend(local_reasons(site, both));
    reasons.extend(cluster_reasons(both));
    if wishes.source_ranges > 0 {
        reasons.push(format!(
            "loadBalancerSourceRanges ({}) work under both: they are checked before an address \
             is replaced",
            wishes.source_ranges
        ));
    }
    if site.service.session_affinity.is_some() {
        reasons.push(
            "sessionAffinity is ClientIP: shares are of clients rather than of connections"
                .to_owned(),
        );
    }
    Verdict {
        policy: format!("{policy:?}"),
        changes: policy != current,
        spread_pods,
        summary: summary(site, current, policy, spread_pods),
        reasons,
    }
}

fn nobody(site: &Site<'_>, current: TrafficPolicy) -> Verdict {
    let reason = match (site.ready(), site.nodes_in_reach()) {
        (_, 0) => "No node is known that takes traffic from outside".to_owned(),
        _ => "No endpoint is ready".to_owned(),
    };
    Verdict {
        policy: format!("{current:?}"),
        changes: false,
        spread_pods: false,
        summary: format!("Stay {current:?}: nobody serves, and neither policy changes that"),
        reasons: vec![reason],
    }
}

fn summary(site: &Site<'_>, from: TrafficPolicy, to: TrafficPolicy, spread: bool) -> String {
    let what = match from == to {
        true => format!("Stay {to:?}"),
        false => format!("Switch to {to:?}"),
    };
    if !spread {
        return what;
    }
    let nodes = site.nodes_for_pods();
    let pods = spread_replicas(site.ready(), nodes);
    format!("{what}, and spread the pods: {}", spread_words(pods, nodes))
}

fn local_reasons(site: &Site<'_>, Both { cluster, local }: Both<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    let reach = site.nodes_in_reach();
    if local.nodes_serving == 0 {
        reasons.push("Under Local no node that takes traffic from outside has a pod".to_owned());
        return reasons;
    }
    let spread = &local.spread;
    reasons.push(match spread.ratio {
        Some(_) if spread.is_even() => "Under Local all pods get the same".to_owned(),
        Some(ratio) => format!(
            "Under Local the busiest pod takes {} of the connections, {ratio:.1} times what the \
             idlest takes",
            percent(spread.busiest)
        ),
        None => format!(
            "Under Local the busiest pod takes {} of the connections, and others get none",
            percent(spread.busiest)
        ),
    });
    if local.nodes_serving < reach {
        let without = reach - local.nodes_serving;
        let what = match site.is_checked() {
            true => "answer 503, so that the balancer takes them out",
            false => "drop what they are sent, and have no health check port that tells",
        };
        reasons.push(format!(
            "Under Local {without} of {reach} nodes have no pod: they {what}"
        ));
    }
    if local.nodes_serving == 1 && cluster.nodes_serving > 1 {
        reasons.push("Under Local one node is all that serves: its drain is an outage".to_owned());
    }
    reasons
}

fn cluster_reasons(Both { cluster, local }: Both<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    if cluster.nodes_serving > 0 && cluster.extra_hop > 0.0 {
        reasons.push(format!(
            "Under Cluster {} of the connections cross to another node, under Local none",
            percent(cluster.extra_hop)
        ));
    }
    if !cluster.spread.is_even() && cluster.nodes_serving > 0 {
        reasons.push(format!(
            "Under Cluster the busiest pod takes {}: topology hints keep traffic where it comes in",
            percent(cluster.spread.busiest)
        ));
    }
    if cluster.nodes_serving > local.nodes_serving {
        reasons.push(format!(
            "Under Cluster {} nodes serve, under Local {}",
            cluster.nodes_serving, local.nodes_serving
        ));
    }
    reasons
}

/// What is wrong with a Service now: a share above twice the fair one, the client's address lost.
pub fn findings(site: &Site<'_>, wishes: &Wishes, now: &Outlook) -> Vec<Finding> {
    let object = format!("Service {}", site.service.name);
    let current = site.service.external_policy;
    let mut found = Vec::new();
    if now.spread.is_unfair() {
        found.extend(unfair(now, current).map(|finding| finding.about(object.clone())));
    }
    if current == Cluster && now.nodes_serving > 0 {
        let (needed, why) = wishes.needed(current);
        let severity = match needed {
            true => Severity::Warning,
            false => Severity::Info,
        };
        let finding = Finding::new(
            Code::ClientAddressLost,
            severity,
            "under policy Cluster pods see a node's address instead of the client's",
            format!(
                "externalTrafficPolicy: {:?}, if the address is needed",
                other(current)
            ),
        );
        found.push(finding.about(object).because(why));
    }
    found
}

fn unfair(now: &Outlook, current: TrafficPolicy) -> Option<Finding> {
    let busiest = now
        .endpoints
        .iter()
        .max_by(|left, right| left.share.total_cmp(&right.share))?;
    let node = busiest.node.as_deref().unwrap_or("an unknown node");
    let finding = Finding::new(
        Code::UnequalShare,
        Severity::Warning,
        format!(
            "{} on {node} gets {} of the connections from outside, {:.1} times its fair share",
            busiest.address,
            percent(busiest.share),
            now.spread.over_fair
        ),
        "spread the pods over the nodes (topologySpreadConstraints), or have the balancer weigh \
         nodes by X-Load-Balancing-Endpoint-Weight; kube-proxy advise prints both for this Service",
    );
    let finding = finding.because(format!(
        "externalTrafficPolicy {current:?}: {} endpoints, {} of {} nodes serve",
        now.endpoints.len(),
        now.nodes_serving,
        now.nodes.len()
    ));
    Some(finding)
}
