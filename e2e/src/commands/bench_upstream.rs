//! `make bench-upstream`: upstream's kube-proxy and ours, one after the other in one run, on the
//! same objects of a real API server.
//!
//! Times depend on the machine and on what else it does; only ratios of one run say something.

mod args;
mod chart;
mod floor;
mod measure;
mod objects;
mod packets;
mod proxy;
mod report;
mod rig;
mod sample;
mod services;

use anyhow::{Context, Result};
pub(crate) use args::Args;
use report::{Report, Row};
use rig::{Rig, Side};

use crate::mode::Mode;
use crate::size::Size;

pub(crate) fn run(args: &Args) -> Result<bool> {
    let mut report = Report::default();
    for earlier in &args.reports {
        report.add(earlier)?;
    }
    // First, as a transaction of upstream's that was cut off may go on for minutes.
    if args.packets {
        for size in args.packet_sizes() {
            let rows = packets::measure(args, *size)
                .with_context(|| format!("connections at {} Services", size.services))?;
            report.packets.extend(rows);
            report.save(args.mode)?;
        }
    }
    for size in args.sizes() {
        report
            .sizes
            .push(run_size(args, *size).with_context(|| size.to_string())?);
        report.save(args.mode)?;
    }
    println!("{}", report.text());
    report.save(args.mode)?;
    if args.docs {
        report.write_docs(args.mode)?;
    }
    Ok(true)
}

fn run_size(args: &Args, size: Size) -> Result<Row> {
    eprintln!("{size}: starting a control plane");
    let rig = Rig::start()?;
    let took = objects::create(&rig.api, size)?;
    eprintln!(
        "{size}: objects are there after {:.1} s",
        took.as_secs_f64()
    );
    let upstream = if args.runs_upstream(size) {
        Some(measure::run(args, &rig, Side::Upstream, size)?)
    } else {
        eprintln!("{size}: upstream only with --heavy");
        None
    };
    let ours = measure::run(args, &rig, Side::Ours, size)?;
    let floor = match args.mode {
        // A run without the replay program is still a comparison.
        Mode::Nftables => floor::measure(&rig, size)
            .inspect_err(|error| eprintln!("{size}: no floor: {error:#}"))
            .ok(),
        Mode::Iptables => None,
    };
    Ok(Row::new(size, upstream, ours, floor))
}
