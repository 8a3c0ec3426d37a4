//! Sizes and states at their limits, and changes that sequences of one Service don't show.

mod big;
mod change;

use anyhow::Result;

use crate::conformance::args::Args;
use crate::conformance::case::{BRIEF, Breadth, Case, cases};
use crate::conformance::rig::{Cluster, Rig};
use crate::conformance::run::{Row, run};
use crate::conformance::spec::{Endpoint, Service, State};
use crate::mode::Mode;

const GROUP: &str = "edge";
/// The first slot of all of these.
const SLOT: u8 = 185;
const A1: usize = 0;
const A2: usize = 1;
const B1: usize = 2;

/// Runs the parts of which a case is wanted.
pub(crate) fn compare(rig: &mut Rig, args: &Args) -> Result<Vec<Row>> {
    if !args.wants_part("edge") {
        return Ok(Vec::new());
    }
    let all = put_still(rig)?;
    match rig.mode {
        Mode::Nftables => rig.settle()?,
        // With so many endpoints chains that nobody writes anew keep their comments.
        Mode::Iptables => rig.start_afresh()?,
    }
    let mut rows = run(rig, "edge-still", all)?;
    clear_still(rig)?;
    if rig.mode == Mode::Iptables {
        rig.start_afresh()?;
    }
    rows.extend(change::contested(rig)?);
    rows.extend(change::zone(rig)?);
    rows.extend(change::timeout(rig)?);
    rows.extend(change::restart(rig)?);
    rig.clear(GROUP)?;
    rows.retain(|row| args.wants(&row.case.id));
    Ok(rows)
}

/// Puts what does not change; returns its cases.
pub(crate) fn put_still(cluster: &Cluster) -> Result<Vec<Case>> {
    let mut all = big::put(cluster)?;
    all.extend(twice(cluster)?);
    Ok(all)
}

/// Deletes it.
pub(crate) fn clear_still(cluster: &Cluster) -> Result<()> {
    big::clear(cluster)?;
    cluster.clear(GROUP)
}

/// Endpoints that two slices list, alike or not. Upstream takes one that does not terminate, and of
/// several the one that comes last in a Go map: those that are ready in one slice and not in the
/// other have no outcome that could be compared.
fn twice(cluster: &Cluster) -> Result<Vec<Case>> {
    let rows = [
        ("alike", "alike", State::Ready, State::Ready),
        (
            "gone-first",
            "first as gone, then as ready",
            State::Gone,
            State::Ready,
        ),
        (
            "serving-first",
            "first as terminating, then as ready",
            State::Serving,
            State::Ready,
        ),
    ];
    let mut all = Vec::new();
    for ((name, words, first, second), slot) in rows.into_iter().zip(SLOT..) {
        let mut service = Service::new(&format!("edge-twice-{name}"), slot);
        for (state, slice) in [(first, 0), (second, 1)] {
            for pod in [A1, B1] {
                let mut endpoint = Endpoint::new(pod, state);
                endpoint.slice = slice;
                service.endpoints.push(endpoint);
            }
        }
        cluster.put(&service, GROUP)?;
        let words = format!("endpoints that two slices list, {words}");
        all.extend(cases(&service, &words, BRIEF));
    }
    Ok(all)
}

/// A Service's cases at a step of a change.
fn at_step(service: &Service, step: &str, words: &str, breadth: Breadth<'_>) -> Vec<Case> {
    let mut all = cases(service, words, breadth);
    for case in &mut all {
        let rest = case.id.split_once('/').map_or("", |(_, rest)| rest);
        case.id = format!("{}/{step}/{rest}", service.name);
    }
    all
}
