//! The boundary to whatever holds the rules.

use crate::model::Family;
use crate::nft::clients::RememberedClients;
use crate::nft::ruleset::{AffinitySet, ChainId, Key, SetId, Transaction};

/// Something that takes transactions: the kernel, or a table in memory.
pub trait Kernel {
    /// Applies a transaction whole, or changes nothing.
    ///
    /// # Errors
    /// Names the object that was refused, or the step that failed.
    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal>;

    /// The clients that the family's present table remembers for session
    /// affinity, ours or upstream's; none if there is no table.
    ///
    /// # Errors
    /// They cannot be listed.
    fn clients(&mut self, family: Family) -> std::io::Result<RememberedClients>;

    /// Where in the history of the ruleset the transaction stands that was applied last.
    fn last_commit(&self) -> Commit {
        Commit::default()
    }
}

/// A transaction's place in the history of the ruleset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The ruleset's generation that it made, where that is known.
    pub generation: Option<u32>,
    /// Whether others changed something at a moment when nobody followed what: it may have been
    /// the table of either family. `None` if all was followed.
    pub unseen: Option<bool>,
}

/// Why a transaction was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {attempted}: {reason}", family.nft())]
pub struct Refusal {
    /// The table's family.
    pub family: Family,
    /// What kind of refusal it is.
    pub cause: Cause,
    /// The objects that were refused, the first one first; empty where the answer names none,
    /// or something that is not an object of Services. At most [`Refusal::OBJECTS`].
    pub objects: Vec<Object>,
    /// What was attempted on which object, for example `add element
    /// 10.96.0.10 . udp . 53 (kube-system/kube-dns:dns) to map services`.
    pub attempted: String,
    /// The kernel's answer, for example `File exists (EEXIST)`, with its own words behind if it
    /// has any.
    pub reason: String,
}

impl Refusal {
    /// More objects are not named: those that follow are mostly consequences.
    pub const OBJECTS: usize = 1000;
}

/// An object of the table that single Services are the reason for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// A chain, or one of its rules.
    Chain(ChainId),
    /// An element.
    Element(SetId, Key),
    /// A set of clients, or one of them.
    Clients(AffinitySet),
}

/// What a refusal says about the transaction, the table and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Something is there that should not be, or is not there: EEXIST, ENOENT, or EBUSY where
    /// something was to be deleted.
    TableDiffers,
    /// Not a word about the transaction: EINTR, EAGAIN, or EBUSY elsewhere.
    Interrupted,
    /// The ruleset is not at the generation any more that the transaction was for: ERESTART.
    GenerationPassed,
    /// The kernel is short of memory: ENOMEM, ENOBUFS.
    NoMemory,
    /// It does not fit the socket's buffer, and that cannot be made larger.
    TooLarge,
    /// A right is missing, or the table belongs to another process: EPERM, EACCES.
    NotPermitted,
    /// A set holds no more: ENFILE, ENOSPC.
    SetFull,
    /// The kernel cannot do that: EOPNOTSUPP and the like.
    Unsupported,
    /// The kernel does not like what it was given: EINVAL, ERANGE and all others.
    Invalid,
    /// It did not say that it has taken the transaction.
    NoAnswer,
}

/// What a refusal is followed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// At once by a transaction that replaces the table: that is another thing than what was
    /// refused.
    Replace,
    /// At once by the same without the Services that are the reason.
    LeaveOut,
    /// By the same, after a pause.
    Retry,
    /// By a replacement, after a pause: what is in the kernel now is not known.
    ReplaceLater,
}

/// After so many refusals in a row for want of memory, the reason is looked for among the
/// Services: a single one may want more than there is.
pub const PATIENCE_WITH_MEMORY: u32 = 3;

impl Cause {
    /// What follows. `full` says that the transaction was to replace the whole table, `before`
    /// how many attempts in a row failed before this one.
    pub fn remedy(self, full: bool, before: u32) -> Remedy {
        match self {
            Self::TableDiffers | Self::SetFull if !full => Remedy::Replace,
            Self::TableDiffers
            | Self::SetFull
            | Self::TooLarge
            | Self::Unsupported
            | Self::Invalid => Remedy::LeaveOut,
            Self::NoMemory if before >= PATIENCE_WITH_MEMORY => Remedy::LeaveOut,
            Self::NoMemory | Self::Interrupted | Self::GenerationPassed | Self::NotPermitted => {
                Remedy::Retry
            }
            Self::NoAnswer => Remedy::ReplaceLater,
        }
    }

    /// What it means, in a person's words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::TableDiffers => "the table is not what was left there",
            Self::Interrupted => "the kernel was interrupted or busy",
            Self::GenerationPassed => "others changed the ruleset at the same time",
            Self::NoMemory => "the kernel is short of memory",
            Self::TooLarge => "the transaction is larger than the socket takes",
            Self::NotPermitted => {
                "not permitted: NET_ADMIN is missing, or the table belongs to another process"
            }
            Self::SetFull => "a set is full",
            Self::Unsupported => "this kernel cannot do that",
            Self::Invalid => "the kernel takes it for wrong",
            Self::NoAnswer => "the kernel did not answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_refusal_has_its_remedy() {
        use Cause::*;
        use Remedy::*;
        // A change, a replacement, and either of them after three failures.
        let rows = [
            (TableDiffers, Replace, LeaveOut, Replace, LeaveOut),
            (SetFull, Replace, LeaveOut, Replace, LeaveOut),
            (TooLarge, LeaveOut, LeaveOut, LeaveOut, LeaveOut),
            (Unsupported, LeaveOut, LeaveOut, LeaveOut, LeaveOut),
            (Invalid, LeaveOut, LeaveOut, LeaveOut, LeaveOut),
            (NoMemory, Retry, Retry, LeaveOut, LeaveOut),
            (Interrupted, Retry, Retry, Retry, Retry),
            (GenerationPassed, Retry, Retry, Retry, Retry),
            (NotPermitted, Retry, Retry, Retry, Retry),
            (
                NoAnswer,
                ReplaceLater,
                ReplaceLater,
                ReplaceLater,
                ReplaceLater,
            ),
        ];
        for (cause, change, whole, change_later, whole_later) in rows {
            let later = PATIENCE_WITH_MEMORY;
            assert_eq!(cause.remedy(false, 0), change, "{cause:?}");
            assert_eq!(cause.remedy(true, later - 1), whole, "{cause:?}");
            assert_eq!(cause.remedy(false, later), change_later, "{cause:?}");
            assert_eq!(cause.remedy(true, later), whole_later, "{cause:?}");
        }
    }
}
