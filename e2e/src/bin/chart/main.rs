//! `make chart`: the Helm chart is linted, rendered with several sets of values, and what comes out
//! is applied to a real API server that refuses what it doesn't know. The alerts are tested by
//! promtool, and what they and the dashboard ask for is looked up in a running daemon's metrics.
//!
//! With the argument `--manifest` it writes `deploy/kube-proxy-rs.yaml` instead.

mod apply;
mod helm;
mod metrics;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::{cleanup, target_directory};

fn main() -> ExitCode {
    let manifest = std::env::args().nth(1).as_deref() == Some("--manifest");
    let result = cleanup::on_signals().and_then(|()| match manifest {
        true => write_manifest(),
        false => run(),
    });
    match result {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chart: {error:#}");
            // A line in the usual form, for whoever counts.
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

/// A file of the checkout.
fn own(path: &str) -> PathBuf {
    let target = target_directory();
    target.parent().unwrap_or(&target).join(path)
}

fn write_manifest() -> Result<usize> {
    let path = own(helm::MANIFEST);
    let text = helm::manifest()?;
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(0)
}

/// How many cases came out how.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    fn case<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        match work() {
            Ok(value) => {
                self.passed += 1;
                println!("ok      {name}");
                Some(value)
            }
            Err(error) => {
                self.failed += 1;
                println!("FAILED  {name}\n  {error:#}");
                None
            }
        }
    }
}

/// Returns how many cases failed.
fn run() -> Result<usize> {
    let begun = Instant::now();
    let mut tally = Tally::default();
    let mut rendered = Vec::new();
    for values in files("e2e/chart/values")? {
        let name = stem(&values);
        tally.case(&format!("lint {name}"), || helm::lint(&values));
        if let Some(text) = tally.case(&format!("template {name}"), || helm::template(&values)) {
            rendered.push((name, text));
        }
    }
    for values in files("e2e/chart/refused")? {
        let name = format!("values are refused: {}", stem(&values));
        tally.case(&name, || helm::refuses(&values));
    }
    tally.case("deploy/kube-proxy-rs.yaml is current", || {
        let (is, should) = (
            std::fs::read_to_string(own(helm::MANIFEST))?,
            helm::manifest()?,
        );
        ensure!(
            is == should,
            "it is not what the chart renders: make manifest"
        );
        Ok(())
    });
    tally.case("alerts", metrics::check_alerts);
    tally.case("names in alerts and dashboard", metrics::check_names);
    apply::all(&mut tally, &rendered)?;
    println!(
        "\n{} passed, {} failed ({:.0} s)",
        tally.passed,
        tally.failed,
        begun.elapsed().as_secs_f64()
    );
    Ok(tally.failed)
}

/// The files of a directory, by name.
fn files(directory: &str) -> Result<Vec<PathBuf>> {
    let directory = own(directory);
    let entries =
        std::fs::read_dir(&directory).with_context(|| format!("list {}", directory.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}
