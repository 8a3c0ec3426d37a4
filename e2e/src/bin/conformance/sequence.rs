//! What changes over time: Services that go through several states while their clients go on.
//! All sequences take a step at once, so that each step is awaited once.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use crate::case::{BRIEF, Breadth, Case, FULL, Source, What, cases};
use crate::options::Options;
use crate::rig::Rig;
use crate::run::{Row, run};
use crate::spec::{Endpoint, Family, Frontend, Ingress, Policy, Service, State};

const A1: usize = 0;
const A2: usize = 1;
const B1: usize = 2;
const B2: usize = 3;
/// The first client port of flows, where neither the kernel nor other probes take any.
const FLOW_PORT: u16 = 6000;
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

    fn cases(&self, step: &Step, number: usize) -> Vec<Case> {
        let mut cases = match self.look {
            Look::Probes(breadth) => cases(&self.service, "", breadth),
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

fn ready(pods: &[usize]) -> Vec<Endpoint> {
    pods.iter()
        .map(|pod| Endpoint::new(*pod, State::Ready))
        .collect()
}

/// Every sequence; slots from 150 on.
fn all() -> Vec<Sequence> {
    let probes = || Look::Probes(BRIEF);
    let full = || {
        Look::Probes(Breadth {
            datagrams: &[],
            ..FULL
        })
    };
    vec![
        Sequence::new(
            150,
            "endpoints",
            "endpoints come, go and come back",
            probes(),
        )
        .then("none", |_| {})
        .then("first", |service| service.endpoints = ready(&[A1]))
        .then("second", |service| service.endpoints = ready(&[A1, B1]))
        .then("without-first", |service| service.endpoints = ready(&[B1]))
        .then("first-again", |service| {
            service.endpoints = ready(&[B1, A1, A2]);
        })
        .then("none-again", |service| service.endpoints.clear()),
        Sequence::new(151, "policy", "policies change", full())
            .then("cluster", |service| service.endpoints = ready(&[B1, B2]))
            .then("external-local", |service| service.external = Policy::Local)
            .then("internal-local-too", |service| {
                service.internal = Policy::Local;
            })
            .then("endpoint-here", |service| {
                service.endpoints = ready(&[A1, B1]);
            })
            .then("cluster-again", |service| {
                service.internal = Policy::Cluster;
                service.external = Policy::Cluster;
            }),
        Sequence::new(152, "deleted", "the Service is deleted", full())
            .then("there", |service| service.endpoints = ready(&[A1, B1]))
            .with("deleted", Change::Delete(true))
            .then("there-again", |_| {}),
        Sequence::new(
            153,
            "slices-stay",
            "the Service is deleted, its slices are not",
            full(),
        )
        .then("there", |service| service.endpoints = ready(&[A1]))
        .with("deleted", Change::Delete(false))
        .then("there-again", |service| service.external = Policy::Local),
        Sequence::new(154, "affinity", "a client's endpoint goes", probes())
            .then("two", |service| {
                service.affinity = Some(10_800);
                service.endpoints = ready(&[A1, B1]);
            })
            .then("only-one", |service| service.endpoints = ready(&[B1]))
            .then("only-the-other", |service| service.endpoints = ready(&[A1]))
            .then("four", |service| {
                service.endpoints = ready(&[A1, A2, B1, B2]);
            })
            .then("no-affinity", |service| service.affinity = None)
            .then("affinity-again", |service| service.affinity = Some(60)),
        Sequence::new(
            155,
            "affinity-drain",
            "a client's endpoint terminates",
            probes(),
        )
        .then("two", |service| {
            service.affinity = Some(10_800);
            service.external = Policy::Local;
            service.endpoints = ready(&[A1, A2]);
        })
        .then("one-serving", |service| {
            service.endpoints[0].state = State::Serving;
        })
        .then("both-serving", |service| {
            service.endpoints[1].state = State::Serving;
        })
        .then("replaced", |service| service.endpoints = ready(&[B1])),
        Sequence::new(156, "rollout", "endpoints drain while others come", full())
            .then("old", |service| {
                service.external = Policy::Local;
                service.endpoints = ready(&[A1, B1]);
            })
            .then("draining", |service| {
                service.endpoints[0].state = State::Serving;
            })
            .then("drained", |service| {
                service.endpoints[0].state = State::Gone;
            })
            .then("new", |service| service.endpoints = ready(&[A2, B1])),
        Sequence::new(157, "ranges", "source ranges change", full())
            .then("anyone", |service| service.endpoints = ready(&[A1, B1]))
            .then("denied", |service| {
                service.ranges = vec!["172.16.0.0/12", "fd99::/16"];
            })
            .then("allowed", |service| {
                service.ranges = vec!["203.0.113.10/32", "2001:db8:113::a/128"];
            })
            .then("no-ingress-mode", |service| {
                service.ingress = Ingress::Proxy;
            })
            .then("anyone-again", |service| {
                service.ingress = Ingress::Vip;
                service.ranges.clear();
            }),
        Sequence::new(158, "addresses", "external IPs come and go", probes())
            .then("there", |service| service.endpoints = ready(&[A1]))
            .then("without", |service| service.external_ips = None)
            .then("back", |service| service.external_ips = Some(158)),
        Sequence::new(
            159,
            "flow-replaced",
            "a UDP client's endpoint is replaced",
            Look::Flows,
        )
        .then("first", |service| service.endpoints = ready(&[A1]))
        .then("replaced", |service| service.endpoints = ready(&[B1]))
        .then("replaced-again", |service| service.endpoints = ready(&[A2]))
        .with("the-same", Change::Nothing),
        Sequence::new(
            160,
            "flow-early",
            "a UDP client is there before the first endpoint",
            Look::Flows,
        )
        .then("none", |_| {})
        .then("first", |service| service.endpoints = ready(&[A1]))
        .then("none-again", |service| service.endpoints.clear())
        .then("other", |service| service.endpoints = ready(&[B1])),
        Sequence::new(
            161,
            "flow-drains",
            "a UDP client's endpoint terminates",
            Look::Flows,
        )
        .then("ready", |service| service.endpoints = ready(&[A1]))
        .then("serving", |service| {
            service.endpoints[0].state = State::Serving;
            service.endpoints.extend(ready(&[B1]));
        })
        .then("gone", |service| service.endpoints[0].state = State::Gone)
        .then("unready", |service| {
            service.endpoints[1].state = State::Unready;
        }),
        Sequence::new(
            162,
            "flow-late",
            "a UDP client is there before the Service",
            Look::Flows,
        )
        .with("nothing", Change::Nothing)
        .then("there", |service| service.endpoints = ready(&[A1]))
        .with("deleted", Change::Delete(true))
        .then("there-again", |service| service.endpoints = ready(&[B1])),
        Sequence::new(
            163,
            "flow-local",
            "a UDP client of a policy that changes",
            Look::Flows,
        )
        .then("cluster", |service| service.endpoints = ready(&[B1]))
        .then("local", |service| service.external = Policy::Local)
        .then("here", |service| service.endpoints = ready(&[A1, B1]))
        .then("only-here", |service| service.endpoints = ready(&[A1])),
    ]
}

/// Runs the sequences of which a case is wanted.
pub(crate) fn compare(rig: &mut Rig, options: &Options) -> Result<Vec<Row>> {
    let mut sequences = all();
    sequences.retain(|sequence| {
        let steps = sequence.steps.iter().zip(1..);
        let mut cases = steps.flat_map(|(step, number)| sequence.cases(step, number));
        cases.any(|case| options.wants(&case.id))
    });
    let steps = sequences.iter().map(|sequence| sequence.steps.len()).max();
    let mut rows = Vec::new();
    for at in 0..steps.unwrap_or_default() {
        let mut cases = Vec::new();
        for sequence in &sequences {
            let Some(step) = sequence.steps.get(at) else {
                continue;
            };
            let name = &sequence.service.name;
            match &step.change {
                Change::Put(service) => rig.put(service, GROUP),
                Change::Delete(slices) => rig.delete(name, *slices),
                Change::Nothing => Ok(()),
            }
            .with_context(|| format!("{name}: {}", step.name))?;
            // All of them: what a flow meets depends on what it met before.
            cases.extend(sequence.cases(step, at + 1));
        }
        rig.settle()?;
        rows.extend(run(rig, cases)?);
    }
    rig.clear(GROUP)?;
    rows.retain(|row| options.wants(&row.case.id));
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
