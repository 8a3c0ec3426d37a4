//! `make faults`: named faults on a node with traffic, and what became of it.
//!
//! A daemon runs in a node's namespace on the objects of a fake API server; clients make new
//! connections and hold old ones, by TCP and UDP, in both families. A fault is applied, and a
//! figure told for each promise: see `docs/faults.md`.

mod chains;
mod dns;
mod fault;
mod forward_proxy;
mod inject;
mod objects;
mod plan;
mod proxy;
mod report;
mod site;
mod traffic;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail, ensure};

use fault::{Fault, Scale};
use report::Row;
use serde_json::json;
use site::Site;

use crate::report::{Cases, write_report};

/// Apply named faults to a node with traffic
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fewer times of each, for every change
    #[arg(long)]
    short: bool,
    /// Only faults whose name holds this; may stand several times
    #[arg(long = "filter", value_name = "TEXT")]
    filters: Vec<String>,
    /// Run as many beside each other that mostly wait
    #[arg(long, value_name = "N", default_value = "4")]
    jobs: NonZeroUsize,
    /// Print the names
    #[arg(long)]
    list: bool,
}

impl Args {
    fn scale(&self) -> Scale {
        if self.short {
            Scale::Short
        } else {
            Scale::Long
        }
    }

    fn wants(&self, fault: &Fault) -> bool {
        let mut filters = self.filters.iter();
        self.filters.is_empty() || filters.any(|part| fault.name.contains(part.as_str()))
    }
}

/// Whether every promise was kept.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let mut faults = fault::all();
    faults.retain(|fault| args.wants(fault));
    if args.list {
        for fault in &faults {
            println!("{}", fault.name);
        }
        return Ok(true);
    }
    if faults.is_empty() {
        bail!("no fault has such a name");
    }
    let mut cases = Cases::new();
    let order: Vec<String> = faults.iter().map(|fault| fault.name.clone()).collect();
    report::print_head();
    let (beside, alone): (Vec<_>, Vec<_>) = faults.into_iter().partition(|fault| fault.waits);
    // Those that wait cost next to nothing meanwhile.
    let mut rows = std::thread::scope(|scope| {
        let alone = scope.spawn(|| work(alone, 1, 0, args.scale()));
        let mut rows = work(beside, args.jobs.get(), 1, args.scale());
        rows.extend(alone.join().unwrap_or_default());
        rows
    });
    ensure!(rows.len() == order.len(), "a worker panicked");
    rows.sort_by_key(|row| order.iter().position(|name| *name == row.name));
    let path = write_report("faults", &json!({"faults": rows}))?;
    println!("\nfigures are in {}", path.display());
    rows.iter().for_each(|row| cases.count(row.holds()));
    Ok(cases.end())
}

/// Runs faults by so many workers, each with a site of its own; those are numbered from `first` on.
fn work(faults: Vec<Fault>, workers: usize, first: usize, scale: Scale) -> Vec<Row> {
    let workers = workers.min(faults.len());
    let queue = Mutex::new(VecDeque::from(faults));
    let rows = Mutex::new(Vec::new());
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.pop_front()
    };
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (next, rows) = (&next, &rows);
            scope.spawn(move || {
                let mut site = None;
                while let Some(fault) = next() {
                    let row = on_site(&mut site, first + worker, &fault, scale);
                    row.print();
                    rows.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(row);
                }
            });
        }
    });
    rows.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a fault on the worker's site, which is built anew after one that was not healed.
fn on_site(site: &mut Option<Site>, worker: usize, fault: &Fault, scale: Scale) -> Row {
    let built = match site.take() {
        Some(site) if site.mode == fault.mode => Ok(site),
        _ => Site::build(worker, fault.mode),
    };
    match built {
        Ok(mut built) => {
            let row = fault.run(&mut built, scale);
            if row.holds() {
                *site = Some(built);
            }
            row
        }
        Err(error) => fault.impossible(&error),
    }
}
