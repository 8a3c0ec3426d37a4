//! `make conformance`: upstream's kube-proxy and ours, side by side.
//!
//! Two identical beds follow one API server. Node-1 of the first is programmed by upstream's
//! kube-proxy, of the second by ours; the same packets go into both, and whatever becomes of
//! them has to be the same: who answers, what address it sees, which error comes back from whom.
//! It also has to be what `kube-proxy trace` says of the rules that ours has programmed.

mod accepted;
mod args;
mod case;
mod chains;
mod edge;
mod foretold;
mod fuzz;
mod live;
mod object;
mod random;
mod report;
mod rig;
mod run;
mod sequence;
mod settings;
mod shrink;
mod spec;
mod table;
mod takeover;
mod texts;

use std::time::Instant;

use anyhow::{Context, Result};

use accepted::Accepted;
pub(crate) use args::Args;
pub(crate) use chains::{Args as ChainsArgs, run as compare_chains};
use report::Report;
use rig::Rig;
use table::Table;

/// Runs what is wanted; whether no case failed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let mut table = Table::new();
    table.cases.retain(|case| args.wants(&case.id));
    if args.list {
        for case in &table.cases {
            println!("{}  {}", case.id, case.description);
        }
        return Ok(true);
    }
    let accepted = Accepted::read()?;
    let begun = Instant::now();
    let mut rig = Rig::start(args)?;
    println!(
        "two beds and one API server in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    let mut report = Report::new(accepted, args.mode);
    let result = compare(&mut rig, table, args, &mut report);
    rig.save_state();
    result?;
    report.finish()
}

fn compare(rig: &mut Rig, table: Table, args: &Args, report: &mut Report) -> Result<()> {
    rig.announce_zone()?;
    if !table.cases.is_empty() {
        for service in &table.services {
            rig.put(service, "table")
                .with_context(|| format!("post {}", service.name))?;
        }
        rig.settle()?;
        report.add(run::run(rig, "table", table.cases)?);
        rig.clear("table")?;
    }
    report.add(sequence::compare(rig, args)?);
    report.add(edge::compare(rig, args)?);
    report.add(live::compare(rig, args)?);
    // The proxies were restarted, and these states have hints.
    rig.announce_zone()?;
    fuzz::compare(rig, args, report)?;
    // Other proxies than before run after these.
    report.add(settings::compare(rig, args)?);
    report.add(takeover::compare(rig, args)?);
    Ok(())
}
