//! From the kernel's answers to the chains that were refused.

use super::batch::{Batch, Doing, Subject};
use crate::netlink::refusal::{bare, cause, reason};
use nft_wire::{Reply, TooLong};
use rules::Cause;
use rules::iptables::Refusal;
use rules::model::Family;
use std::collections::HashSet;

/// What was refused, by the answers that tell of errors, in the order of the messages.
pub(super) fn refusal(family: Family, batch: &Batch, errors: &[Reply]) -> Refusal {
    let Some(first) = errors.first() else {
        let attempted = "waiting for the kernel".to_owned();
        let reason = "it did not acknowledge the transaction".to_owned();
        return bare(family, Cause::NoAnswer, attempted, reason);
    };
    let subject = batch.find(first.sequence);
    let deletes = matches!(subject, Some(Subject::Chain(Doing::Delete, _)));
    let mut seen = HashSet::new();
    let mut refused = Vec::new();
    // If the first one is not about a chain, the others may be consequences.
    for error in errors.iter().take(Refusal::NAMED) {
        match batch.find(error.sequence).and_then(Subject::object) {
            Some(object) if seen.insert(object) => refused.push(object),
            None if refused.is_empty() => break,
            _ => {}
        }
    }
    Refusal {
        family,
        cause: cause(first.errno, deletes),
        refused,
        attempted: attempted(subject),
        reason: reason(first),
    }
}

/// What could not be written as a message, by the message's number.
pub(super) fn unwritten(family: Family, batch: &Batch, sequence: u32, error: TooLong) -> Refusal {
    let subject = batch.find(sequence);
    Refusal {
        family,
        cause: Cause::Invalid,
        refused: subject.and_then(Subject::object).into_iter().collect(),
        attempted: attempted(subject),
        reason: error.to_string(),
    }
}

fn attempted(subject: Option<Subject>) -> String {
    match subject {
        Some(subject) => subject.to_string(),
        None => "committing the transaction".to_owned(),
    }
}
