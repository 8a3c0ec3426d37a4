//! The testbed's commands: every check, benchmark and demonstration that wants a network of
//! namespaces. `make help` has the targets that build what each needs before it is run.

mod bench;
mod bench_flows;
mod bench_hostile;
mod bench_upstream;
mod chart;
mod cluster;
mod compare;
mod conformance;
mod demo;
mod faults;
mod fuzz;
mod image;
mod mode;
mod report;
mod saved;
mod size;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use e2e::cleanup;

/// Nodes, pods and clients as network namespaces, and kube-proxy-rs among them.
#[derive(Parser)]
#[command(name = "e2e")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(bench::Args),
    BenchFlows(bench_flows::Args),
    BenchHostile(bench_hostile::Args),
    BenchUpstream(bench_upstream::Args),
    Chart(chart::Args),
    Cluster(cluster::Args),
    Compare(compare::Args),
    CompareIptables(conformance::ChainsArgs),
    Conformance(conformance::Args),
    Demo(demo::Args),
    Faults(faults::Args),
    Fuzz(fuzz::Args),
    Image(image::Args),
}

impl Command {
    /// Runs it; whether everything was as it should be.
    fn run(self) -> Result<bool> {
        match self {
            Self::Bench(args) => bench::run(&args),
            Self::BenchFlows(args) => bench_flows::run(&args),
            Self::BenchHostile(args) => bench_hostile::run(&args),
            Self::BenchUpstream(args) => bench_upstream::run(&args),
            Self::Chart(args) => chart::run(&args),
            Self::Cluster(args) => cluster::run(&args),
            Self::Compare(args) => compare::run(&args),
            Self::CompareIptables(args) => conformance::compare_chains(&args),
            Self::Conformance(args) => conformance::run(&args),
            Self::Demo(args) => demo::run(&args),
            Self::Faults(args) => faults::run(&args),
            Self::Fuzz(args) => fuzz::run(&args),
            Self::Image(args) => image::run(&args),
        }
    }
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    match cleanup::on_signals().and_then(|()| command.run()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            // A line in the usual form, for whoever counts.
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_commands_flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
