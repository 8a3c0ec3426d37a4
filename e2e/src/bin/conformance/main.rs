//! `make conformance`: upstream's kube-proxy and ours, side by side.
//!
//! Two identical beds follow one API server. Node-1 of the first is programmed by upstream's
//! kube-proxy, of the second by ours; the same packets go into both, and whatever becomes of
//! them has to be the same: who answers, what address it sees, which error comes back from whom.

mod accepted;
mod case;
mod edge;
mod fuzz;
mod live;
mod object;
mod options;
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

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use e2e::cleanup;

use accepted::Accepted;
use options::Options;
use report::Report;
use rig::Rig;
use table::Table;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("conformance: {error:#}");
            return ExitCode::from(2);
        }
    };
    if options.help {
        print!("{}", options::HELP);
        return ExitCode::SUCCESS;
    }
    match cleanup::on_signals().and_then(|()| run(&options)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("conformance: {error:#}");
            // A line in the usual form, for whoever counts.
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

/// Runs what is wanted; returns how many cases failed.
fn run(options: &Options) -> Result<usize> {
    let mut table = Table::new();
    table.cases.retain(|case| options.wants(&case.id));
    if options.list {
        for case in &table.cases {
            println!("{}  {}", case.id, case.description);
        }
        return Ok(0);
    }
    let accepted = Accepted::read()?;
    let begun = Instant::now();
    let mut rig = Rig::start(options.upstream.as_deref())?;
    println!(
        "two beds and one API server in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    let mut report = Report::new(accepted);
    let result = compare(&mut rig, table, options, &mut report);
    rig.save_state();
    result?;
    report.finish()
}

fn compare(rig: &mut Rig, table: Table, options: &Options, report: &mut Report) -> Result<()> {
    rig.announce_zone()?;
    if !table.cases.is_empty() {
        for service in &table.services {
            rig.put(service, "table")
                .with_context(|| format!("post {}", service.name))?;
        }
        rig.settle()?;
        report.add(run::run(rig, table.cases)?);
        rig.clear("table")?;
    }
    report.add(sequence::compare(rig, options)?);
    report.add(edge::compare(rig, options)?);
    report.add(live::compare(rig, options)?);
    // The proxies were restarted, and these states have hints.
    rig.announce_zone()?;
    fuzz::compare(rig, options, report)?;
    // Other proxies than before run after these.
    report.add(settings::compare(rig, options)?);
    report.add(takeover::compare(rig, options)?);
    Ok(())
}
