//! Sends the same packets into both beds and compares what became of them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::probe::{Protocol, Reply, probe, probe_from_port};
use e2e::{Namespace, http};

use crate::conformance::case::{Case, Source, What};
use crate::conformance::foretold;
use crate::conformance::rig::Rig;
use crate::conformance::spec::Family;
use crate::conformance::texts;

/// Most of the time is spent waiting for what doesn't come.
const THREADS: usize = 96;
/// Longer than it takes to repeat a SYN: what is lost once is no drop.
const PATIENCE: Duration = Duration::from_millis(1300);
/// For a second look.
const MORE_PATIENCE: Duration = Duration::from_secs(3);
/// Probes that got an error; each costs next to nothing.
const ERRORS: usize = 4;

/// Everything that became of a case's packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observation(pub(crate) BTreeSet<String>);

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(String::as_str).collect();
        f.write_str(&all.join("; "))
    }
}

impl From<String> for Observation {
    fn from(text: String) -> Self {
        Self([text].into())
    }
}

/// A case and what was seen, upstream's first.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) case: Case,
    pub(crate) seen: [Observation; 2],
    /// What `kube-proxy trace` says of our side; `None` where it is not asked.
    pub(crate) trace: Option<Agreement>,
}

/// Whether trace foretells what was seen; if not, what it says.
pub(crate) type Agreement = std::result::Result<(), String>;

impl Row {
    /// A row whose packets were sent by other means than [`run`]'s.
    pub(crate) fn observed(id: String, description: &str, seen: [Observation; 2]) -> Self {
        let case = Case {
            id,
            description: description.to_owned(),
            family: Family::V4,
            source: Source::Outside,
            what: What::Probes {
                protocol: Protocol::Tcp,
                targets: Vec::new(),
                tries: 0,
                sticky: false,
            },
            turn: None,
        };
        Self {
            case,
            seen,
            trace: None,
        }
    }

    pub(crate) fn same(&self) -> bool {
        self.seen[0] == self.seen[1]
    }
}

/// Runs all cases; those that differ are tried again with more packets and more patience, as on
/// a busy machine an answer may be late and a pod may be missed by chance.
///
/// In mode iptables, before that, what its tables say in this state.
pub(crate) fn run(rig: &Rig, state: &str, cases: Vec<Case>) -> Result<Vec<Row>> {
    let mut all = texts::compare(rig, state)?;
    let mut rows = round(rig, cases, PATIENCE, 1)?;
    let (again, at): (Vec<_>, Vec<_>) = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| !row.same())
        .map(|(at, row)| (row.case.clone(), at))
        .unzip();
    for (row, at) in round(rig, again, MORE_PATIENCE, 2)?.into_iter().zip(at) {
        rows[at] = row;
    }
    if rig.foretells {
        compare_with_trace(rig, &mut rows)?;
    }
    all.extend(rows);
    Ok(all)
}

/// Asks trace what became of our side's packets. Afterwards, so that it knows the clients that
/// endpoints remember.
fn compare_with_trace(rig: &Rig, rows: &mut [Row]) -> Result<()> {
    /// So many times the packets for a pod that did not answer yet.
    const MORE: usize = 4;
    let cases: Vec<&Case> = rows.iter().map(|row| &row.case).collect();
    let foretold = foretold::ask(rig, &cases)?;
    for (row, foretold) in rows.iter_mut().zip(foretold) {
        let Some(foretold) = foretold else {
            continue;
        };
        let [_, seen] = &row.seen;
        let mut seen = seen.clone();
        if foretold.misses(&seen) {
            let namespace = rig.sides[1].namespace(row.case.source);
            let more = observe(namespace, &row.case.what, MORE_PATIENCE, MORE)?;
            seen.0.extend(more.0);
        }
        row.trace = Some(match foretold.disagrees(&seen) {
            Some(disagreement) => Err(disagreement),
            None if foretold.misses(&seen) => {
                Err(format!("{seen}, and trace names more pods than answered"))
            }
            None => Ok(()),
        });
    }
    Ok(())
}

fn round(rig: &Rig, cases: Vec<Case>, patience: Duration, factor: usize) -> Result<Vec<Row>> {
    let jobs = jobs(&cases);
    let seen: Vec<_> = cases
        .iter()
        .map(|_| Mutex::<[Observation; 2]>::default())
        .collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some((side, turn)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            for at in turn {
                let case = &cases[*at];
                let namespace = rig.sides[*side].namespace(case.source);
                let observation = observe(namespace, &case.what, patience, factor)?;
                let mut seen = seen[*at].lock().ok().context("a worker panicked")?;
                seen[*side] = observation;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().ok().context("a worker panicked")??;
        }
        Ok(())
    })?;
    let rows = cases.into_iter().zip(seen);
    rows.map(|(case, seen)| {
        let seen = seen.into_inner().ok().context("a worker panicked")?;
        Ok(Row {
            case,
            seen,
            trace: None,
        })
    })
    .collect()
}

/// Side and cases of each job: one case, or all that have to take turns.
fn jobs(cases: &[Case]) -> Vec<(usize, Vec<usize>)> {
    let mut turns: Vec<(Option<&str>, Vec<usize>)> = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let same =
            |(turn, _): &&mut (Option<&str>, _)| turn.is_some() && *turn == case.turn.as_deref();
        match turns.iter_mut().find(same) {
            Some((_, members)) => members.push(at),
            None => turns.push((case.turn.as_deref(), vec![at])),
        }
    }
    // The long ones first.
    turns.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    let both = |(_, members): (_, Vec<usize>)| [(0, members.clone()), (1, members)];
    turns.into_iter().flat_map(both).collect()
}

fn observe(
    namespace: &Namespace,
    what: &What,
    patience: Duration,
    factor: usize,
) -> Result<Observation> {
    let seen = namespace.run(|| match what {
        What::Health { target } => BTreeSet::from([health(*target, patience)]),
        What::Flow { port, target } => {
            BTreeSet::from([probe_from_port(*port, *target, patience).to_string()])
        }
        What::Probes {
            protocol,
            targets,
            tries,
            sticky,
        } => {
            let mut seen = BTreeSet::new();
            for target in targets {
                // Where nothing came back this often, nothing will.
                let limits = (patience, factor);
                seen.extend(probes(*protocol, *target, tries * factor, limits));
            }
            describe(&seen, *sticky)
        }
    })?;
    Ok(Observation(seen))
}

fn probes(
    protocol: Protocol,
    target: SocketAddr,
    tries: usize,
    (patience, most_silences): (Duration, usize),
) -> BTreeSet<Reply> {
    let mut seen = BTreeSet::new();
    let (mut silences, mut errors) = (0, 0);
    for _ in 0..tries {
        let reply = probe(protocol, target, patience);
        match reply {
            Reply::Answer(_) => {}
            Reply::Nothing => silences += 1,
            _ => errors += 1,
        }
        seen.insert(reply);
        if silences >= most_silences || errors >= ERRORS {
            break;
        }
    }
    seen
}

/// The replies in words; if `sticky`, pods are counted rather than named.
fn describe(seen: &BTreeSet<Reply>, sticky: bool) -> BTreeSet<String> {
    if !sticky {
        return seen.iter().map(Reply::to_string).collect();
    }
    let mut pods = BTreeSet::new();
    let mut words = BTreeSet::new();
    for reply in seen {
        match reply {
            Reply::Answer(answer) => {
                pods.insert(&answer.pod);
                words.insert(format!("client seen as {}", answer.client));
            }
            other => drop(words.insert(other.to_string())),
        }
    }
    if !pods.is_empty() {
        words.insert(format!("{} of the pods", pods.len()));
    }
    words
}

fn health(target: SocketAddr, patience: Duration) -> String {
    match http::get(target, "/healthz", patience) {
        Ok(response) => {
            let header = |name: &str| response.header(name).unwrap_or("none").to_owned();
            format!(
                "{} weight {} type {} {}",
                response.status,
                header("X-Load-Balancing-Endpoint-Weight"),
                header("Content-Type"),
                response.body.replace(['\n', '\t'], " ")
            )
        }
        Err(error) => format!("failed: {:#}", error.root_cause()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2e::client::Answer;

    #[test]
    fn sticky_cases_compare_how_many_pods_answer() {
        let answer = |pod: &str| {
            Reply::Answer(Answer {
                pod: pod.into(),
                client: [10, 0, 0, 1].into(),
            })
        };
        let one = describe(&BTreeSet::from([answer("a1")]), true);
        assert_eq!(one, describe(&BTreeSet::from([answer("b1")]), true));
        assert_ne!(
            one,
            describe(&BTreeSet::from([answer("a1"), answer("b1")]), true)
        );
    }
}
