//! `kube-proxy probe`: calls a URL behind which `echo` answers, and counts who did and whose
//! address was seen (docs/client-address.md).

mod call;
mod findings;
mod report;
mod run;
mod tally;
mod target;

pub use report::{Expectation, Probe};
pub use run::Calls;
pub use target::Target;

use crate::report::{Report, Source};
use anyhow::Context;
use run::Progress;
use std::future::Future;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Calls, and tells what that came to; at `stop`, of what was called by then. How far it is, is
/// told on a terminal.
///
/// # Errors
/// The URL's host has no address.
pub async fn probe(
    target: Target,
    calls: Calls,
    expectation: Option<Expectation>,
    node: String,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Report<Probe>> {
    let found = target.addresses().await;
    let addresses = found.with_context(|| format!("{target}: looking the host up"))?;
    let address = run::reachable(&addresses, calls.timeout).await;
    let address = address.with_context(|| format!("{target}: the host has no address"))?;
    let (target, progress) = (Arc::new(target), Progress::default());
    let begin = Instant::now();
    let counted = run::all(&target, address, calls, &progress, stop);
    let tally = tokio::select! {
        tally = counted => tally,
        never = told(&progress, calls.count) => match never {},
    };
    clear();
    let probe = Probe::new(&target, address, calls, begin.elapsed(), tally, expectation);
    let findings = findings::of(&probe);
    let sources = vec![Source::fresh("network")];
    Ok(Report::new(node, sources, probe, findings))
}

/// Tells every second how far it is, if anybody is there to read it.
async fn told(progress: &Progress, count: u64) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if std::io::stderr().is_terminal() {
            eprint!("\r{} of {count} calls", progress.begun());
            let _ = std::io::stderr().flush();
        }
    }
}

fn clear() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\u{1b}[K");
    }
}

#[cfg(test)]
mod tests;
