//! What is wrong with what calls came to.

use super::report::{Answers, ClientAddress, Probe};
use rules::finding::{Code, Finding, Severity};

/// Who gets more than that many times an equal share, gets too much.
const TOO_MUCH: f64 = 2.0;
/// So many answers for each who answers make a share worth a word.
const ENOUGH: u64 = 5;

/// All of it.
pub(super) fn of(probe: &Probe) -> Vec<Finding> {
    let found = [failures(probe), replaced(probe), unequal(probe)];
    found.into_iter().flatten().collect()
}

fn failures(probe: &Probe) -> Option<Finding> {
    if probe.failed == 0 {
        return None;
    }
    let kinds: Vec<String> = probe
        .failures
        .iter()
        .map(|failure| format!("{} {}", failure.count, failure.kind))
        .collect();
    let message = format!(
        "{} of {} calls failed: {}",
        probe.failed,
        probe.calls,
        kinds.join(", ")
    );
    let answers_else = probe
        .failures
        .iter()
        .any(|failure| failure.kind.starts_with("status") || failure.kind.starts_with("no "));
    let remedy = match answers_else {
        true => "behind the URL there has to be `kube-proxy echo`, as in docs/client-address.md",
        false => {
            "`kube-proxy explain NAMESPACE/NAME` says who serves the Service, \
             `kube-proxy trace` what becomes of a packet"
        }
    };
    let finding = Finding::new(Code::CallsFail, Severity::Error, message, remedy);
    Some(
        probe
            .failures
            .iter()
            .take(3)
            .fold(finding, |finding, failure| {
                finding.because(format!("{}: {}", failure.kind, failure.example))
            }),
    )
}

fn replaced(probe: &Probe) -> Option<Finding> {
    let replaced = probe
        .clients
        .iter()
        .filter(|row| row.client_address == Some(ClientAddress::Replaced));
    let count: u64 = replaced.clone().map(|row| row.count).sum();
    let seen: Vec<String> = replaced
        .filter_map(|row| Some(row.address?.to_string()))
        .take(5)
        .collect();
    if seen.is_empty() {
        return None;
    }
    let message = format!(
        "in {count} of {} answers the pod saw another address than the caller's: {}",
        probe.answered,
        seen.join(", ")
    );
    let remedy = "externalTrafficPolicy: Local keeps it for clients from outside; a proxy or \
                  balancer on the way replaces it whatever the Service says";
    Some(Finding::new(
        Code::ClientAddressLost,
        Severity::Info,
        message,
        remedy,
    ))
}

fn unequal(probe: &Probe) -> Option<Finding> {
    let pods = probe.answers.len() as u64;
    if !probe.new_connections || pods < 2 || probe.answered < ENOUGH * pods {
        return None;
    }
    let busiest: &Answers = probe.answers.first()?;
    let times = busiest.share * f64::from(u32::try_from(pods).ok()?);
    if times <= TOO_MUCH {
        return None;
    }
    let name = busiest
        .pod
        .clone()
        .or_else(|| Some(busiest.endpoint?.to_string()));
    let message = format!(
        "{} answers {:.1}% of the calls, {times:.1} times an equal share of {pods}",
        name.unwrap_or_default(),
        100.0 * busiest.share
    );
    let remedy = "spread the pods evenly over the nodes; `kube-proxy advise NAMESPACE/NAME` \
                  compares the policies";
    Some(Finding::new(
        Code::UnequalShare,
        Severity::Warning,
        message,
        remedy,
    ))
}
