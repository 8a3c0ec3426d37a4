//! `make e2e`: the daemon against a real control plane, proved by packets.
//!
//! etcd, kube-apiserver and kube-controller-manager run in a namespace of the bed; this program
//! posts Nodes, Pods and Services, the controllers make the EndpointSlices, and a daemon in
//! every node's namespace follows. Arguments choose scenarios by parts of their names.

mod expect;
mod fixture;
mod scenario;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use e2e::cleanup;

use fixture::Cluster;

fn main() -> ExitCode {
    match cleanup::on_signals().and_then(|()| run()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cluster: {error:#}");
            // A line in the usual form, for whoever counts.
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

/// Runs the chosen scenarios; returns how many failed.
fn run() -> Result<usize> {
    let wanted: Vec<_> = std::env::args().skip(1).collect();
    let begun = Instant::now();
    let mut cluster = Cluster::start()?;
    println!("cluster up in {:.1} s", begun.elapsed().as_secs_f64());
    let (mut passed, mut failed) = (0, 0);
    for (name, scenario) in scenario::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let begun = Instant::now();
        let result = scenario(&mut cluster).and_then(|()| cluster.check_daemons());
        let took = begun.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                passed += 1;
                println!("ok      {name} ({took:.1} s)");
            }
            Err(error) => {
                failed += 1;
                println!("FAILED  {name} ({took:.1} s)\n  {error:#}");
                cluster.save_state(name);
            }
        }
        cluster.clear()?;
    }
    println!(
        "\n{passed} passed, {failed} failed ({:.0} s)",
        begun.elapsed().as_secs_f64()
    );
    Ok(failed)
}
