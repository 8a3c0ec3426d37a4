//! From the kernel's answers to what was refused, down to the element, and what that means.

use super::batch::{Batch, Subject};
use super::elements::{self, About};
use super::missing::missing;
use super::session::ERESTART;
use nft_wire::{Reply, TooLarge, TooLong};
use rules::Cause;
use rules::model::Family;
use rules::nft::ruleset::{ChainId, Element, Op, SetId, Transaction};
use rules::nft::{Object, Refusal, print};
use std::collections::HashSet;
use std::io;
use std::ops::Range;

/// What was refused, by the answers that tell of errors, in the order of the messages.
pub(super) fn refusal(transaction: &Transaction, batch: &Batch, errors: &[&Reply]) -> Refusal {
    let Some(first) = errors.first() else {
        let attempted = "waiting for the kernel".to_owned();
        let reason = "it did not acknowledge the transaction".to_owned();
        return bare(transaction.family, Cause::NoAnswer, attempted, reason);
    };
    let replaces = matches!(transaction.ops.first(), Some(Op::ReplaceTable));
    let mut seen = HashSet::new();
    let mut objects = Vec::new();
    // If it is not known what the first one is about, the others may be consequences.
    for error in errors.iter().take(Refusal::NAMED) {
        match object(transaction, batch, error) {
            Some(object) if seen.insert(object.clone()) => objects.push(object),
            None if objects.is_empty() => break,
            _ => {}
        }
    }
    Refusal {
        family: transaction.family,
        cause: cause(first.errno, deletes(transaction, batch, first)),
        refused: objects,
        attempted: attempted(transaction, batch, first),
        reason: match missing(batch.messages().bytes(), first) {
            // Of a change it is rather that somebody took away what it needs.
            Some(missing) if replaces => format!("{}; {missing}", reason(first)),
            _ => reason(first),
        },
    }
}

/// What could not be written as a message, by the message's number.
pub(super) fn unwritten(
    transaction: &Transaction,
    batch: &Batch,
    sequence: u32,
    error: TooLong,
) -> Refusal {
    let reply = Reply {
        sequence,
        errno: libc::EMSGSIZE,
        message: None,
        offset: None,
    };
    Refusal {
        family: transaction.family,
        // One Service is the reason: smaller transactions would have the same message.
        cause: Cause::Invalid,
        refused: object(transaction, batch, &reply).into_iter().collect(),
        attempted: attempted(transaction, batch, &reply),
        reason: error.to_string(),
    }
}

/// What became of messages of so many bytes that could not be sent.
pub(super) fn unsent<Of>(family: Family, bytes: usize, error: &io::Error) -> rules::Refusal<Of> {
    let attempted = format!("sending a transaction of {bytes} bytes");
    failed(family, attempted, error)
}

/// What became of a message that could not be sent, or whose answer could not be read.
pub(super) fn failed<Of>(
    family: Family,
    attempted: String,
    error: &io::Error,
) -> rules::Refusal<Of> {
    let too_large = error.get_ref().is_some_and(|inner| inner.is::<TooLarge>());
    let cause = match error.raw_os_error() {
        _ if too_large => Cause::TooLarge,
        Some(libc::EMSGSIZE) => Cause::TooLarge,
        Some(errno) => cause(errno, false),
        None => Cause::Invalid,
    };
    bare(family, cause, attempted, describe(error))
}

/// The same when it is not known whether the kernel took it.
pub(super) fn unanswered<Of>(family: Family, error: &io::Error) -> rules::Refusal<Of> {
    let attempted = "reading the answer".to_owned();
    bare(family, Cause::NoAnswer, attempted, describe(error))
}

/// One that names nothing.
pub(super) fn bare<Of>(
    family: Family,
    cause: Cause,
    attempted: String,
    reason: String,
) -> rules::Refusal<Of> {
    rules::Refusal {
        family,
        cause,
        refused: Vec::new(),
        attempted,
        reason,
    }
}

/// What an error number means; `deletes` says that something was to be deleted.
pub(super) fn cause(errno: i32, deletes: bool) -> Cause {
    match errno {
        libc::EEXIST | libc::ENOENT => Cause::TableDiffers,
        libc::EBUSY if deletes => Cause::TableDiffers,
        libc::EINTR | libc::EAGAIN | libc::EBUSY => Cause::Interrupted,
        ERESTART => Cause::GenerationPassed,
        libc::ENOMEM | libc::ENOBUFS => Cause::NoMemory,
        libc::EMSGSIZE => Cause::TooLarge,
        libc::EPERM | libc::EACCES => Cause::NotPermitted,
        libc::ENFILE | libc::ENOSPC => Cause::SetFull,
        libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT => Cause::Unsupported,
        _ => Cause::Invalid,
    }
}

fn deletes(transaction: &Transaction, batch: &Batch, reply: &Reply) -> bool {
    let subject = batch.find(reply.sequence);
    subject.is_some_and(|subject| {
        matches!(
            transaction.ops[subject.step],
            Op::DeleteChain(_)
                | Op::DeleteAffinitySet(_)
                | Op::DeleteSourceSet(_)
                | Op::DeleteElements(..)
        )
    })
}

/// The kernel's answer in words.
pub(super) fn reason(reply: &Reply) -> String {
    let error = describe(&io::Error::from_raw_os_error(reply.errno));
    match &reply.message {
        Some(message) => format!("{error}: {message}"),
        None => error,
    }
}

/// An error with its symbolic name, which people search for.
fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => {
            let errno = nix::errno::Errno::from_raw(number);
            format!("{} ({errno:?})", errno.desc())
        }
        None => error.to_string(),
    }
}

/// The step that a reply is about, down to the element where the kernel says so.
fn attempted(transaction: &Transaction, batch: &Batch, reply: &Reply) -> String {
    let Some(Subject { step, elements }) = batch.find(reply.sequence) else {
        return "committing the transaction".to_owned();
    };
    match &transaction.ops[*step] {
        Op::ReplaceTable => "replace table kube-proxy".to_owned(),
        Op::AddSet { set, .. } => format!("add set {set}"),
        Op::AddCounter(counter) => format!("add counter {counter}"),
        Op::AddAffinitySet(set) => format!("add set {set}"),
        Op::AddSourceSet(set) => format!("add set {set}"),
        Op::DeleteAffinitySet(set) => format!("delete set {set}"),
        Op::DeleteSourceSet(set) => format!("delete set {set}"),
        Op::AddClients(set, clients) => format!("add {} clients to set {set}", clients.len()),
        Op::AddChain(chain) => format!("add chain {}", chain.id),
        Op::RefillChain(chain) => format!("refill chain {}", chain.id),
        Op::DeleteChain(chain) => format!("delete chain {chain}"),
        own @ (Op::AddElements(..) | Op::AddElementsOf(..) | Op::DeleteElements(..)) => {
            let Some((set, range)) = elements else {
                return String::new();
            };
            let verb = if adds(own) { "add" } else { "delete" };
            match element(transaction.family, own, *set, range, reply.offset) {
                Some(element) => format!("{verb} element {} in {set}", print::element(&element)),
                None => format!("{verb} {} elements in {set}", range.len()),
            }
        }
    }
}

/// The same for programs, if it is about something that belongs to Services.
fn object(transaction: &Transaction, batch: &Batch, reply: &Reply) -> Option<Object> {
    let Subject { step, elements } = batch.find(reply.sequence)?;
    match &transaction.ops[*step] {
        Op::ReplaceTable | Op::AddSet { .. } | Op::AddCounter(_) => None,
        Op::AddAffinitySet(set) | Op::DeleteAffinitySet(set) | Op::AddClients(set, _) => {
            Some(Object::Clients(set.clone()))
        }
        Op::AddSourceSet(set) | Op::DeleteSourceSet(set) => {
            Some(Object::Chain(ChainId::Sources(set.clone())))
        }
        Op::AddChain(chain) | Op::RefillChain(chain) => Some(Object::Chain(chain.id.clone())),
        Op::DeleteChain(chain) => Some(Object::Chain(chain.clone())),
        own @ (Op::AddElements(..) | Op::AddElementsOf(..) | Op::DeleteElements(..)) => {
            let (set, range) = elements.as_ref()?;
            let element = element(transaction.family, own, *set, range, reply.offset)?;
            Some(Object::Element(*set, element.key))
        }
    }
}

fn adds(op: &Op) -> bool {
    !matches!(op, Op::DeleteElements(..))
}

/// Which of a message's elements the kernel refused, if it says where in the
/// message it is.
fn element(
    family: Family,
    op: &Op,
    set: SetId,
    range: &Range<usize>,
    offset: Option<usize>,
) -> Option<Element> {
    let all = op.elements().into_iter();
    let of_set = all.filter_map(|(own, element)| (own == set).then_some(element));
    let mut sent: Vec<Element> = of_set.skip(range.start).take(range.len()).collect();
    let at = match sent.len() {
        // Without a place, a single element is the one all the same.
        1 => 0,
        _ => {
            let about = About {
                family,
                set,
                add: adds(op),
            };
            elements::element_at(about, &sent, offset?)?
        }
    };
    (at < sent.len()).then(|| sent.swap_remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_number_says_whether_the_table_is_to_blame() {
        let rows = [
            (libc::EEXIST, Cause::TableDiffers),
            (libc::ENOENT, Cause::TableDiffers),
            (libc::EBUSY, Cause::Interrupted),
            (libc::EINTR, Cause::Interrupted),
            (libc::EAGAIN, Cause::Interrupted),
            (libc::ENOMEM, Cause::NoMemory),
            (libc::ENOBUFS, Cause::NoMemory),
            (libc::EPERM, Cause::NotPermitted),
            (libc::EACCES, Cause::NotPermitted),
            (libc::ENFILE, Cause::SetFull),
            (libc::EMSGSIZE, Cause::TooLarge),
            (libc::EOPNOTSUPP, Cause::Unsupported),
            (libc::EINVAL, Cause::Invalid),
            (libc::ENAMETOOLONG, Cause::Invalid),
            (libc::ERANGE, Cause::Invalid),
        ];
        for (errno, expected) in rows {
            assert_eq!(cause(errno, false), expected, "{errno}");
        }
        assert_eq!(cause(libc::EBUSY, true), Cause::TableDiffers);
    }

    #[test]
    fn what_the_socket_does_not_take_names_the_setting() {
        let too_large = TooLarge {
            length: 1_000_000,
            limit: 425_952,
        };
        let attempted = "sending".to_owned();
        let error = io::Error::other(too_large);
        let refusal: Refusal = failed(Family::V4, attempted, &error);
        assert_eq!(refusal.cause, Cause::TooLarge);
        let text = refusal.to_string();
        assert!(text.contains("1000000 bytes"), "{text}");
        assert!(
            text.ends_with("net.core.wmem_max has to be at least 500016"),
            "{text}"
        );
    }
}
