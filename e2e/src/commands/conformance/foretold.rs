//! `kube-proxy trace` against the packets of the table: what it says of the rules that node-1's
//! kernel holds, and what became of the packets that were sent.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::IpAddr;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use e2e::probe::Protocol;
use serde::Deserialize;

use crate::conformance::case::{Case, Source, What};
use crate::conformance::rig::{Rig, Side};
use crate::conformance::run::Observation;
use crate::conformance::spec::PODS;

/// What is read of an answer.
#[derive(Clone, Debug, Deserialize)]
struct Answer {
    result: Outcome,
}

#[derive(Clone, Debug, Deserialize)]
struct Outcome {
    outcome: String,
    certain: bool,
    endpoints: Vec<Endpoint>,
    ways: Vec<Way>,
}

#[derive(Clone, Debug, Deserialize)]
struct Way {
    outcome: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Endpoint {
    address: IpAddr,
    probability: f64,
    sees: Option<IpAddr>,
}

/// What is foretold of a case: everything that may be observed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Foretold {
    /// Each pod with the client that it sees; `None` if that is not known.
    pods: BTreeSet<(String, Option<IpAddr>)>,
    /// Other outcomes than a pod's answer.
    others: BTreeSet<String>,
    /// What the rules deliver may be lost by the network: see [`may_get_lost`].
    may_get_lost: bool,
}

/// Whether a packet that is delivered may go without an answer, which no rule of node-1 has to do
/// with. A pod of node-2 answers a client that is no pod of node-1, and whose address was kept, by a
/// way of its own, and the client hears a stranger. And a bridge sends nothing back by the port that
/// it came in by, which is where a pod is that connects to itself.
fn may_get_lost(case: &Case, result: &Outcome, side: &Side) -> bool {
    let is_far = |own: &Endpoint| {
        let pod = side.pod_of(own.address);
        PODS.iter()
            .any(|(name, node)| *node == 2 && pod.as_deref() == Some(name))
    };
    let source = case.family.of(side.addresses(case.source));
    let is_kept = |own: &Endpoint| own.sees == Some(source);
    match case.source {
        Source::OtherNode | Source::Outside => {
            let mut endpoints = result.endpoints.iter();
            endpoints.any(|own| is_far(own) && is_kept(own))
        }
        Source::Endpoint => case.id.starts_with("set-bridge/"),
        Source::Pod | Source::Node => false,
    }
}

/// Whether a process of the node takes the connection and makes another one, which is none of the
/// rules' business: trace says rightly that the packet stays on the node.
fn meets_proxy(case: &Case, protocol: Protocol, address: IpAddr) -> bool {
    case.id.starts_with("set-localhost-proxy/")
        && protocol == Protocol::Tcp
        && address.is_loopback()
}

/// Asks our side's trace about all cases that are packets, in one run; the answers are those of the
/// cases at the same places.
pub(crate) fn ask(rig: &Rig, cases: &[&Case]) -> Result<Vec<Option<Foretold>>> {
    let [_, ours] = &rig.sides;
    let mut questions = String::new();
    let mut owners = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let What::Probes {
            protocol, targets, ..
        } = &case.what
        else {
            continue;
        };
        for target in targets {
            if meets_proxy(case, *protocol, target.ip()) {
                continue;
            }
            let source = match case.source {
                Source::Node => "node".to_owned(),
                other => case.family.of(ours.addresses(other)).to_string(),
            };
            let protocol = protocol.name().to_lowercase();
            questions += &format!("{source} {target} {protocol}\n");
            owners.push(at);
        }
    }
    let mut all: Vec<Option<Foretold>> = cases.iter().map(|_| None).collect();
    if owners.is_empty() {
        return Ok(all);
    }
    let answers = answers(rig, &questions)?;
    ensure!(
        answers.len() == owners.len(),
        "{} answers to {} questions",
        answers.len(),
        owners.len()
    );
    for (at, answer) in owners.into_iter().zip(answers) {
        let foretold = all[at].get_or_insert_default();
        foretold.add(&answer.result, ours)?;
        foretold.may_get_lost = may_get_lost(cases[at], &answer.result, ours);
    }
    Ok(all)
}

fn answers(rig: &Rig, questions: &str) -> Result<Vec<Answer>> {
    let [_, ours] = &rig.sides;
    let mut child = ours
        .node()
        .namespace()
        .command(&rig.programs[1])
        .args(["trace", "-f", "-", "-o", "json", "--fail-on", "never"])
        .args(rig.mode.flags())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start kube-proxy trace")?;
    let mut input = child.stdin.take().context("its input")?;
    let questions = questions.to_owned();
    // It reads all questions before it answers the first.
    let writer = std::thread::spawn(move || input.write_all(questions.as_bytes()));
    let output = child.wait_with_output().context("run kube-proxy trace")?;
    writer.join().ok().context("the writer panicked")??;
    ensure!(
        output.status.success(),
        "kube-proxy trace: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let text = String::from_utf8(output.stdout)?;
    let read = |line| serde_json::from_str(line).with_context(|| format!("read {line}"));
    text.lines().map(read).collect()
}

impl Foretold {
    fn add(&mut self, result: &Outcome, side: &Side) -> Result<()> {
        ensure!(result.certain, "somebody edited our table: {result:?}");
        let sum: f64 = result.endpoints.iter().map(|own| own.probability).sum();
        let only = result.ways.iter().all(|way| way.outcome == result.outcome);
        if result.outcome == "delivered" && only {
            ensure!(
                (sum - 1.0).abs() < 1e-6,
                "shares add up to {sum}: {result:?}"
            );
        }
        for endpoint in &result.endpoints {
            let pod = side.pod_of(endpoint.address);
            let pod = pod.unwrap_or_else(|| endpoint.address.to_string());
            self.pods.insert((pod, endpoint.sees));
        }
        let others = result.ways.iter().map(|way| way.outcome.clone());
        self.others.extend(others.filter(|way| way != "delivered"));
        Ok(())
    }

    /// What was observed and is not foretold, in words; `None` if there is nothing.
    pub(crate) fn disagrees(&self, seen: &Observation) -> Option<String> {
        let unforetold = seen.0.iter().filter(|text| !self.allows(text));
        let unforetold: Vec<&str> = unforetold.map(String::as_str).collect();
        (!unforetold.is_empty()).then(|| {
            format!(
                "{}, and trace says {}",
                unforetold.join("; "),
                self.in_words()
            )
        })
    }

    /// The pods that should have answered some time and did not.
    pub(crate) fn misses(&self, seen: &Observation) -> bool {
        let is_sticky = seen.0.iter().any(|text| text.ends_with("of the pods"));
        let answered = |pod: &str| {
            let mut answers = seen.0.iter().filter_map(|text| text.split_once(" saw "));
            answers.any(|(own, _)| name_of(own) == pod)
        };
        let known = |pod: &str| PODS.iter().any(|(name, _)| pod.starts_with(name));
        let any = seen.0.iter().any(|text| text.contains(" saw "));
        !is_sticky
            && any
            && self
                .pods
                .iter()
                .any(|(pod, _)| known(pod) && !answered(pod))
    }

    fn allows(&self, text: &str) -> bool {
        let sees = |seen: &Option<IpAddr>, client: &str| {
            seen.is_none_or(|seen| seen.to_string() == client)
        };
        if let Some((pod, client)) = text.split_once(" saw ") {
            let mut pods = self.pods.iter();
            return pods.any(|(own, seen)| own == name_of(pod) && sees(seen, client));
        }
        if let Some(client) = text.strip_prefix("client seen as ") {
            return self.pods.iter().any(|(_, seen)| sees(seen, client));
        }
        if let Some(count) = text.strip_suffix(" of the pods") {
            // From then on each client has one, and that is what a trace afterwards tells.
            let pods: BTreeSet<&String> = self.pods.iter().map(|(pod, _)| pod).collect();
            return count.parse() == Ok(pods.len());
        }
        let has = |outcome: &str| self.others.contains(outcome);
        match text {
            "nothing" => has("dropped") || has("local") || has("routed") || self.may_get_lost,
            "reset" => has("local") || has("routed"),
            icmp if icmp.starts_with("icmp ") => has("rejected") || has("local") || has("routed"),
            // The system's words for what no route leads to.
            _ => has("local") || has("routed"),
        }
    }

    fn in_words(&self) -> String {
        let pods = self.pods.iter().map(|(pod, seen)| match seen {
            Some(seen) => format!("{pod} sees {seen}"),
            None => format!("{pod} sees one of the node's addresses"),
        });
        let all: Vec<String> = pods.chain(self.others.iter().cloned()).collect();
        all.join("; ")
    }
}

/// A pod that answers on its second port says so behind a colon.
fn name_of(pod: &str) -> &str {
    pod.split(':').next().unwrap_or(pod)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foretold(pods: &[(&str, &str)], others: &[&str]) -> Foretold {
        let pods = pods.iter().map(|(pod, seen)| {
            let seen = seen.parse().expect("an address");
            ((*pod).to_owned(), Some(seen))
        });
        Foretold {
            pods: pods.collect(),
            others: others.iter().map(|own| (*own).to_owned()).collect(),
            may_get_lost: false,
        }
    }

    fn seen(all: &[&str]) -> Observation {
        Observation(all.iter().map(|own| (*own).to_owned()).collect())
    }

    #[test]
    fn observations_have_to_be_foretold() {
        let two = foretold(&[("a1", "10.0.0.1"), ("b1", "10.0.0.1")], &[]);
        for (text, agrees) in [
            ("a1 saw 10.0.0.1", true),
            ("a1:8081 saw 10.0.0.1", true),
            ("a1 saw 10.0.0.2", false),
            ("a2 saw 10.0.0.1", false),
            ("nothing", false),
            ("icmp 3/3 from 10.0.0.1", false),
            ("2 of the pods", true),
            ("1 of the pods", false),
            ("client seen as 10.0.0.1", true),
        ] {
            assert_eq!(two.disagrees(&seen(&[text])).is_none(), agrees, "{text}");
        }
        let one = foretold(&[("a1", "10.0.0.1"), ("a1", "10.0.0.9")], &[]);
        assert!(one.disagrees(&seen(&["1 of the pods"])).is_none());
        let dropped = foretold(&[], &["dropped"]);
        assert!(dropped.disagrees(&seen(&["nothing"])).is_none());
        assert!(
            dropped
                .disagrees(&seen(&["icmp 3/3 from 10.0.0.1"]))
                .is_some()
        );
        let rejected = foretold(&[], &["rejected"]);
        assert!(rejected.disagrees(&seen(&["nothing"])).is_some());
    }

    #[test]
    fn pods_that_never_answered_are_missed() {
        let two = foretold(&[("a1", "10.0.0.1"), ("b1", "10.0.0.1")], &[]);
        assert!(two.misses(&seen(&["a1 saw 10.0.0.1"])));
        assert!(!two.misses(&seen(&["a1 saw 10.0.0.1", "b1 saw 10.0.0.1"])));
        assert!(!two.misses(&seen(&["a1:8081 saw 10.0.0.1", "b1:8081 saw 10.0.0.1"])));
        assert!(!two.misses(&seen(&["1 of the pods", "client seen as 10.0.0.1"])));
    }
}
