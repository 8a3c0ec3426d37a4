//! What changes over time: Services that go through several states while their clients go on.
//! All sequences take a step at once, so that each step is awaited once.

mod list;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::conformance::args::Args;
use crate::conformance::case::{Breadth, Case, Source, What, cases};
use crate::conformance::rig::{Cluster, Rig};
use crate::conformance::run::{Row, run};
use crate::conformance::spec::{Family, Frontend, Service};
use list::all;

/// The first client port of flows, where neither the kernel nor other probes take any.
const FLOW_PORT: u16 = 6000;
/// How long a proxy may take, once the rules are there, to find stale flows among those of
/// thousands of probes.
const CLEANUP: Duration = Duration::from_secs(2);
/// What all of it is labelled.
const GROUP: &str = "sequence";

/// What is done to a Service, and what of it is looked at afterwards.
enum Change {
    /// It is created or becomes like this.
    Put(Service),
    /// It is deleted, and its slices if true.
    Delete(bool),
    Nothing,
}

struct Step {
    name: &'static str,
    change: Change,
}

impl Step {
    fn take(&self, cluster: &Cluster, service: &str) -> Result<()> {
        match &self.change {
            Change::Put(service) => cluster.put(service, GROUP),
            Change::Delete(slices) => cluster.delete(service, *slices),
            Change::Nothing => Ok(()),
        }
        .with_context(|| format!("{service}: {}", self.name))
    }
}

struct Sequence {
    description: &'static str,
    /// As it is at first; its targets don't change.
    service: Service,
    steps: Vec<Step>,
    look: Look,
}

/// What is sent at every step.
enum Look {
    Probes(Breadth<'static>),
    /// One client port, so that conntrack takes each datagram for more of the same.
    Flows,
}

impl Sequence {
    fn new(slot: u8, name: &str, description: &'static str, look: Look) -> Self {
        Self {
            description,
            service: Service::new(&format!("seq-{name}"), slot),
            steps: Vec::new(),
            look,
        }
    }

    /// Another step, at which `change` is made to the Service as it was at the last one.
    fn then(mut self, name: &'static str, change: impl FnOnce(&mut Service)) -> Self {
        let last = self.steps.iter().rev().find_map(|step| match &step.change {
            Change::Put(service) => Some(service.clone()),
            _ => None,
        });
        let mut service = last.unwrap_or_else(|| self.service.clone());
        change(&mut service);
        if self.steps.is_empty() {
            self.service = service.clone();
        }
        let change = Change::Put(service);
        self.steps.push(Step { name, change });
        self
    }

    fn with(mut self, name: &'static str, change: Change) -> Self {
        self.steps.push(Step { name, change });
        self
    }

    /// The Service with every endpoint that it ever has, so that each has its probes.
    fn largest(&self) -> Service {
        let puts = self.steps.iter().filter_map(|step| match &step.change {
            Change::Put(service) => Some(&service.endpoints),
            _ => None,
        });
        Service {
            endpoints: puts.flatten().cloned().collect(),
            ..self.service.clone()
        }
    }

    fn cases(&self, step: &Step, number: usize) -> Vec<Case> {
        let mut cases = match self.look {
            Look::Probes(breadth) => cases(&self.largest(), "", breadth),
            Look::Flows => flows(&self.service),
        };
        for case in &mut cases {
            let rest = case.id.split_once('/').map_or("", |(_, rest)| rest);
            case.id = format!("{}/{number}-{}/{rest}", self.service.name, step.name);
            case.description = format!("{}: {}", self.description, step.name.replace('-', " "));
        }
        cases
    }
}

/// One flow from a pod and one from outside to each frontend, always from the same port.
fn flows(service: &Service) -> Vec<Case> {
    let mut cases = Vec::new();
    let Some(port) = service.ports.iter().find(|port| port.name == "udp") else {
        return cases;
    };
    let mut client_port = FLOW_PORT + u16::from(service.slot) * 8;
    for frontend in Frontend::ALL {
        for family in Family::BOTH {
            // Another for each family, as a socket for all of IPv6 takes IPv4's port as well.
            client_port += 1;
            let Some(target) = service.target(frontend, family, port) else {
                continue;
            };
            for source in [Source::Pod, Source::Node, Source::Outside] {
                cases.push(flow(
                    service,
                    frontend,
                    source,
                    family,
                    (client_port, target),
                ));
            }
        }
    }
    cases
}

fn flow(
    service: &Service,
    frontend: Frontend,
    source: Source,
    family: Family,
    (port, target): (u16, SocketAddr),
) -> Case {
    let (name, frontend, from) = (&service.name, frontend.name(), source.name());
    let family_name = family.name().to_lowercase();
    Case {
        id: format!("{name}/{frontend}/{from}/{family_name}/udp-flow"),
        description: String::new(),
        family,
        source,
        what: What::Flow { port, target },
        turn: None,
    }
}

/// Takes a step of each sequence, counted from 0; whether one had that many.
pub(crate) fn take(cluster: &Cluster, at: usize) -> Result<bool> {
    let mut any = false;
    for sequence in all() {
        if let Some(step) = sequence.steps.get(at) {
            step.take(cluster, &sequence.service.name)?;
            any = true;
        }
    }
    Ok(any)
}

/// Deletes what the steps left.
pub(crate) fn clear(cluster: &Cluster) -> Result<()> {
    cluster.clear(GROUP)
}

/// Runs the sequences of which a case is wanted.
pub(crate) fn compare(rig: &mut Rig, args: &Args) -> Result<Vec<Row>> {
    let mut sequences = all();
    sequences.retain(|sequence| {
        let steps = sequence.steps.iter().zip(1..);
        let mut cases = steps.flat_map(|(step, number)| sequence.cases(step, number));
        cases.any(|case| args.wants(&case.id))
    });
    let steps = sequences.iter().map(|sequence| sequence.steps.len()).max();
    let mut rows = Vec::new();
    for at in 0..steps.unwrap_or_default() {
        let mut cases = Vec::new();
        for sequence in &sequences {
            let Some(step) = sequence.steps.get(at) else {
                continue;
            };
            step.take(rig, &sequence.service.name)?;
            // All of them: what a flow meets depends on what it met before.
            cases.extend(sequence.cases(step, at + 1));
        }
        rig.settle()?;
        std::thread::sleep(CLEANUP);
        rows.extend(run(rig, &format!("sequence-{}", at + 1), cases)?);
    }
    rig.clear(GROUP)?;
    rows.retain(|row| args.wants(&row.case.id));
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_case_is_there_once() {
        let sequences = all();
        let cases: Vec<_> = sequences
            .iter()
            .flat_map(|sequence| {
                let steps = sequence.steps.iter().zip(1..);
                steps.flat_map(|(step, number)| sequence.cases(step, number))
            })
            .map(|case| case.id)
            .collect();
        let distinct: BTreeSet<_> = cases.iter().collect();
        assert_eq!(distinct.len(), cases.len());
    }
}
