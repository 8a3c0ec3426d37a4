//! Connections that are established: whatever is changed, those whose endpoint is still there go
//! on.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::client::Outcome;
use e2e::{Conversation, Namespace};

use crate::conformance::args::Args;
use crate::conformance::case::Source;
use crate::conformance::rig::{DETECTION, Rig, Side};
use crate::conformance::run::Row;
use crate::conformance::spec::{CHAT_PORT, Endpoint, Family, Frontend, Policy, Service, State};
use crate::conformance::texts;

const GROUP: &str = "live";
const SLOT: u8 = 176;
const PATIENCE: Duration = Duration::from_millis(1500);
/// Of each kind, so that both endpoints have some.
const EACH: usize = 3;
const A1: usize = 0;
const A2: usize = 1;
const B1: usize = 2;

/// A connection, and the pod and client address that it began with.
pub(crate) struct Held {
    /// `<frontend>/<source>/<family>/<number>`.
    pub(crate) name: String,
    talk: Conversation,
    first: String,
}

/// Opens connections from everywhere to every frontend of a Service.
pub(crate) fn hold(side: &Side, service: &Service, each: usize) -> Result<Vec<Held>> {
    let mut all = Vec::new();
    for source in Source::ALL {
        for frontend in Frontend::ALL {
            for family in Family::BOTH {
                let Some(target) = service.target(frontend, family, &service.ports[0]) else {
                    continue;
                };
                for number in 1..=each {
                    let place = format!("{}/{}", frontend.name(), source.name());
                    let name = format!("{place}/{}/{number}", family.name().to_lowercase());
                    let held = open(side.namespace(source), target, name.clone());
                    all.push(held.with_context(|| format!("{}: {name}", side.name))?);
                }
            }
        }
    }
    Ok(all)
}

fn open(namespace: &Namespace, target: std::net::SocketAddr, name: String) -> Result<Held> {
    let mut talk = namespace.run(|| Conversation::open(target, PATIENCE))??;
    match talk.ask(PATIENCE) {
        Outcome::Answered(answer) => Ok(Held {
            name,
            talk,
            first: format!("{} saw {}", answer.pod, answer.client),
        }),
        other => bail!("{other}"),
    }
}

/// What became of each connection, in words.
pub(crate) fn ask(all: &mut [Held]) -> Vec<String> {
    let ask = |held: &mut Held| match held.talk.ask(PATIENCE) {
        Outcome::Answered(answer) => {
            let now = format!("{} saw {}", answer.pod, answer.client);
            match now == held.first {
                true => "goes on".to_owned(),
                false => format!("first {}, now {now}", held.first),
            }
        }
        other => other.to_string(),
    };
    // Side by side: one that is broken takes its time.
    std::thread::scope(|scope| {
        let asked: Vec<_> = all
            .iter_mut()
            .map(|held| scope.spawn(move || ask(held)))
            .collect();
        let answers = asked.into_iter();
        answers
            .map(|thread| thread.join().unwrap_or_else(|_| "panicked".to_owned()))
            .collect()
    })
}

/// What is done at a step.
enum Change {
    Put(fn(&mut Service)),
    Delete,
    Restart,
}

const STEPS: [(&str, Change); 14] = [
    ("another-sync", Change::Put(|_| {})),
    (
        "external-local",
        Change::Put(|service| service.external = Policy::Local),
    ),
    (
        "internal-local",
        Change::Put(|service| service.internal = Policy::Local),
    ),
    (
        "cluster-again",
        Change::Put(|service| {
            (service.internal, service.external) = (Policy::Cluster, Policy::Cluster);
        }),
    ),
    (
        "scaled-up",
        Change::Put(|service| service.endpoints.push(Endpoint::new(A2, State::Ready))),
    ),
    (
        "scaled-down",
        Change::Put(|service| service.endpoints.truncate(2)),
    ),
    ("restarted", Change::Restart),
    (
        "denied",
        Change::Put(|service| service.ranges = vec!["172.16.0.0/12", "fd99::/16"]),
    ),
    (
        "affinity",
        Change::Put(|service| {
            service.ranges.clear();
            service.affinity = Some(60);
        }),
    ),
    (
        "no-affinity",
        Change::Put(|service| service.affinity = None),
    ),
    (
        "draining",
        Change::Put(|service| service.endpoints[0].state = State::Serving),
    ),
    // Pods that are gone from the slices but still there: TCP is left alone.
    ("unlisted", Change::Put(|service| service.endpoints.clear())),
    ("deleted", Change::Delete),
    ("restarted-again", Change::Restart),
];

/// Holds connections through all steps, if any case is wanted.
pub(crate) fn compare(rig: &mut Rig, args: &Args) -> Result<Vec<Row>> {
    if !args.wants_part("live") {
        return Ok(Vec::new());
    }
    let mut service = Service::new("live", SLOT);
    service.ports.truncate(1);
    service.ports[0].target = CHAT_PORT;
    service.endpoints = [A1, B1].map(|pod| Endpoint::new(pod, State::Ready)).into();
    rig.put(&service, GROUP)?;
    rig.settle()?;
    let mut held = [
        hold(&rig.sides[0], &service, EACH)?,
        hold(&rig.sides[1], &service, EACH)?,
    ];
    let mut rows = Vec::new();
    for ((name, change), number) in STEPS.iter().zip(1..) {
        match change {
            Change::Put(change) => {
                change(&mut service);
                rig.put(&service, GROUP)?;
                rig.settle()?;
            }
            Change::Delete => {
                rig.delete(&service.name, true)?;
                rig.settle()?;
            }
            Change::Restart => rig.restart(&DETECTION)?,
        }
        rows.extend(texts::compare(rig, &format!("live/{number}-{name}"))?);
        let [upstream, ours] = held.each_mut().map(|all| ask(all));
        for ((held, upstream), ours) in held[1].iter().zip(upstream).zip(ours) {
            rows.push(Row::observed(
                format!("live/{number}-{name}/{}", held.name),
                "an established connection",
                [upstream.into(), ours.into()],
            ));
        }
    }
    rig.clear(GROUP)?;
    rows.retain(|row| args.wants(&row.case.id));
    Ok(rows)
}
