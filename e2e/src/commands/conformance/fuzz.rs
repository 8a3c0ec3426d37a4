//! Randomised cluster states, compared and, where they differ, made small.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::conformance::args::Args;
use crate::conformance::case::{Breadth, Source, cases};
use crate::conformance::random;
use crate::conformance::report::Report;
use crate::conformance::rig::Rig;
use crate::conformance::run::{Observation, Row, run};
use crate::conformance::shrink::{show, shrink};
use crate::conformance::spec::{Frontend, Service};

const GROUP: &str = "random";
/// How often a state is made smaller by trial, some seconds each.
const CHECKS: usize = 40;
/// How long that may take.
const SHRINKING: Duration = Duration::from_secs(90);
/// States that are made smaller; the others are told by their seed.
const SHRUNK: usize = 2;
const BREADTH: Breadth<'_> = Breadth {
    frontends: &Frontend::ALL,
    sources: &[
        Source::Pod,
        Source::Node,
        Source::OtherNode,
        Source::Outside,
    ],
    datagrams: &[Source::Pod, Source::Outside],
};

/// Compares as many states as the options allow; each is one row of the report.
pub(crate) fn compare(rig: &mut Rig, args: &Args, report: &mut Report) -> Result<()> {
    if args.random == 0 || !args.wants("random") {
        return Ok(());
    }
    let by_clock = || {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        // Short enough to be typed.
        now.as_secs() % 1_000_000
    };
    let first = args.seed.unwrap_or_else(by_clock);
    println!("randomised states from --seed {first} on");
    let begun = Instant::now();
    let mut rows = Vec::new();
    let mut shrunk = 0;
    for seed in (first..).take(args.random as usize) {
        if begun.elapsed() > Duration::from_secs(args.seconds) {
            break;
        }
        let state = random::state(seed);
        let seen = look(rig, &state, None)?;
        let count = seen.len();
        let differing: Vec<_> = seen.into_iter().filter(|row| !report.passes(row)).collect();
        if differing.is_empty() {
            let same = Observation([format!("{count} cases alike")].into());
            let id = format!("random/{seed}");
            rows.push(Row::observed(
                id,
                "a randomised state",
                [same.clone(), same],
            ));
            continue;
        }
        let (small, differing) = if shrunk < SHRUNK {
            shrunk += 1;
            smaller(rig, state, differing, report)?
        } else {
            (state, differing)
        };
        let words = format!(
            "--seed {seed} --random 1, as small as it got:\n{}",
            show(&small)
        );
        let seen = [0, 1].map(|side| {
            let all = differing.iter().take(5);
            Observation(
                all.map(|row| format!("{}: {}", row.case.id, row.seen[side]))
                    .collect(),
            )
        });
        rows.push(Row::observed(format!("random/{seed}"), &words, seen));
    }
    rig.clear(GROUP)?;
    report.add(rows);
    Ok(())
}

/// Puts a state in place of the last one and runs its cases, or those with the ids of `only`.
fn look(rig: &mut Rig, state: &[Service], only: Option<&BTreeSet<String>>) -> Result<Vec<Row>> {
    rig.clear(GROUP)?;
    for service in state {
        rig.put(service, GROUP)?;
    }
    rig.settle()?;
    let mut all: Vec<_> = state
        .iter()
        .flat_map(|service| cases(service, "", BREADTH))
        .collect();
    if let Some(only) = only {
        all.retain(|case| only.contains(&case.id));
    }
    run(rig, GROUP, all)
}

/// A smaller state with some of the same differences, and these.
fn smaller(
    rig: &mut Rig,
    state: Vec<Service>,
    differing: Vec<Row>,
    report: &Report,
) -> Result<(Vec<Service>, Vec<Row>)> {
    // A few of them: each costs patience if it is a drop.
    let ids = differing.iter().map(|row| row.case.id.clone());
    let ids: BTreeSet<_> = ids.take(6).collect();
    let begun = Instant::now();
    let mut rows = differing;
    let small = shrink(state, CHECKS, |candidate| {
        if begun.elapsed() > SHRINKING {
            return Ok(false);
        }
        let mut seen = look(rig, candidate, Some(&ids))?;
        seen.retain(|row| !report.passes(row));
        let differs = !seen.is_empty();
        if differs {
            rows = seen;
        }
        Ok(differs)
    })?;
    Ok((small, rows))
}
