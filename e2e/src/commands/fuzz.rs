//! `make fuzz`: runs the engine on every target, side by side on all cores, and says what came of
//! it. `docs/fuzzing.md` has more.

mod engine;
mod report;

use anyhow::ensure;
use engine::{Engine, Length, Target};
use report::{Outcome, Report};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use crate::report::write_report;

/// Run the engine on every fuzz target
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The program with the targets
    #[arg(long, value_name = "PROGRAM")]
    engine: PathBuf,
    /// For how long, all targets together
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Instead: how many inputs are made up for each target, from one seed
    #[arg(long, value_name = "N")]
    inputs: Option<u64>,
    /// Leave only those inputs in the corpora that reach what no other does
    #[arg(long)]
    minimise: bool,
    /// Those to run, instead of all
    targets: Vec<String>,
}

/// False if an input broke something.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let engine = Engine::new(&args.engine);
    let mut targets = engine.targets()?;
    let names: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
    targets.retain(|target| args.targets.is_empty() || args.targets.contains(&target.name));
    ensure!(
        !targets.is_empty(),
        "no target of these names; there are: {}",
        names.join(" ")
    );
    if args.minimise {
        for target in targets {
            let (before, after) = engine.minimise(&target)?;
            println!("{}: {before} inputs, now {after}", target.name);
        }
        return Ok(true);
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let jobs = cores.min(targets.len());
    // All of them take the seconds that were asked for, together.
    let share = args.seconds.saturating_mul(jobs as u64) / targets.len() as u64;
    let length = args
        .inputs
        .map_or(Length::Seconds(share.max(1)), Length::Inputs);
    let report = Report::new(all(&engine, &targets, jobs, length)?);
    report.print();
    write_report("fuzz", &report)?;
    Ok(report.is_clean())
}

/// Runs the targets, `jobs` at a time.
fn all(
    engine: &Engine,
    targets: &[Target],
    jobs: usize,
    length: Length,
) -> anyhow::Result<Vec<Outcome>> {
    let waiting = Mutex::new(targets.iter().collect::<VecDeque<_>>());
    let next = || waiting.lock().ok().and_then(|mut queue| queue.pop_front());
    let worker = || -> anyhow::Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        while let Some(target) = next() {
            outcomes.push(engine.run(target, length)?);
        }
        Ok(outcomes)
    };
    let results: Vec<anyhow::Result<Vec<Outcome>>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("a worker died")))
            })
            .collect()
    });
    let mut outcomes = Vec::new();
    for result in results {
        outcomes.extend(result?);
    }
    Ok(outcomes)
}
