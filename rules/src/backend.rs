//! The seam between the decision and what programs it: nftables, or chains of iptables.

use crate::model::{Family, ObjectName};
use crate::{Config, RememberedClients, View};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

/// Programs the Services of one family by rules of one kind.
///
/// A sync is [`prepare`](Self::prepare), [`apply`](Self::apply), and only if that succeeded
/// [`commit`](Self::commit). What was prepared and not committed leaves no trace: the same is
/// planned again by the next sync. Whoever syncs decides by [`Cause::remedy`] what follows a
/// refusal; a backend never tries again by itself.
pub trait Backend: Sized {
    /// What a family's rules are called in a log, for example `table kube-proxy`: one thing, which may
    /// be changed and replaced.
    const RULES: &'static str;
    /// What takes the rules of all families: a socket, a program, a table in memory.
    type Kernel;
    /// A sync that is planned, and not in the kernel yet.
    type Pending: Pending;
    /// Its rules bring no connection from a loopback address to an endpoint: node ports there are
    /// left to a proxy ([`localhost`](crate::localhost)).
    const LEAVES_LOCALHOST: bool;

    /// A backend whose first sync replaces whatever rules of its kind there are.
    fn new(config: Config) -> Self;

    /// The settings of the next sync.
    fn config(&self) -> &Config;

    /// Sets the settings for the next sync, as the Node object changes them. Replaces all rules
    /// only if other elements do not do.
    fn configure(&mut self, config: Config);

    /// Adds Services to plan at the next sync, unless that plans all of them. One that is left out
    /// and changes may be accepted now.
    fn mark<'a>(&mut self, services: impl IntoIterator<Item = &'a ObjectName>);

    /// Plans what is marked; `None` if there is nothing to change. `local_addresses` are those of
    /// the node's interfaces. `clients` lists those that the present rules remember
    /// ([`clients`](Self::clients)), and is asked only if the rules are going to be replaced.
    fn prepare(
        &mut self,
        view: View<'_>,
        local_addresses: &[IpAddr],
        clients: impl FnOnce() -> RememberedClients,
    ) -> Option<Self::Pending>;

    /// Has the kernel take it, whole or not at all.
    ///
    /// # Errors
    /// It was refused, and the old rules are whole. Names the Services whose objects were refused,
    /// as far as the kernel tells.
    fn apply(&self, kernel: &mut Self::Kernel, pending: &Self::Pending) -> Result<(), Refusal>;

    /// Whether the kernel would take it. Nothing changes.
    fn would_take(&self, kernel: &mut Self::Kernel, pending: Self::Pending) -> bool;

    /// Where in the history of all rules that stands which was applied last.
    fn last_commit(kernel: &Self::Kernel) -> Commit;

    /// What was prepared is in the kernel.
    fn commit(&mut self, pending: Self::Pending);

    /// The health checks that changed since the last call; `None` where there is none any more.
    fn take_health_changes(&mut self) -> Vec<(ObjectName, Option<HealthCheck>)>;

    /// The rules are not, or may not be, what the last sync left: the next one replaces all.
    fn distrust(&mut self);

    /// What leads to the rules from chains that are everybody's may be gone: the next sync looks
    /// for it, and puts back what is missing.
    fn distrust_jumps(&mut self) {
        self.distrust();
    }

    /// Whether all rules are to be replaced once an hour though nobody has said why.
    fn wants_periodic_replacement(&self) -> bool {
        true
    }

    /// From now on these are planned as if they were not there, until they change or are
    /// [taken back](Self::take_back).
    fn leave_out(&mut self, services: impl IntoIterator<Item = ObjectName>);

    /// These are planned again.
    fn take_back<'a>(&mut self, services: impl IntoIterator<Item = &'a ObjectName>);

    /// Those that are left out.
    fn left_out(&self) -> &BTreeSet<ObjectName>;

    /// Figures over what is programmed.
    fn summary(&self) -> &Summary;

    /// The clients that the family's present rules remember for session affinity, ours or
    /// upstream's; none if there are no rules.
    ///
    /// # Errors
    /// They cannot be listed.
    fn clients(kernel: &mut Self::Kernel, family: Family) -> io::Result<RememberedClients>;

    /// Removes every rule of this kind that a kube-proxy of the family left; true if there was
    /// one.
    ///
    /// # Errors
    /// Something is there and cannot be removed.
    fn clean_up(kernel: &mut Self::Kernel, family: Family) -> io::Result<bool>;
}

/// A sync that is planned.
pub trait Pending {
    /// Whether it replaces all rules of the family.
    fn replaces_all(&self) -> bool;

    /// Whether what leads to the rules is looked for and put back, be it missing or not.
    fn restores_jumps(&self) -> bool {
        self.replaces_all()
    }

    /// Whether the kernel is told anything. If not, it is to be committed without being applied.
    fn is_for_the_kernel(&self) -> bool;

    /// Why it replaces all rules when a change was asked for, in words for a log.
    fn why_all(&self) -> Option<String>;

    /// How many Services were planned.
    fn service_count(&self) -> usize;

    /// The Services that were planned and have rules.
    fn services(&self) -> impl Iterator<Item = &ObjectName>;
}

/// What a `healthCheckNodePort` answers, for one Service and family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// `spec.healthCheckNodePort`.
    pub port: u16,
    /// Distinct addresses of ready endpoints on this node.
    pub local_endpoints: usize,
}

/// Figures over all programmed Services of a family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Service ports with internal policy Local that have endpoints, but none here.
    pub no_local_internal: i64,
    /// The same for external policy Local.
    pub no_local_external: i64,
    /// How many rules there are, where the backend has rules of Services.
    pub lines: Option<RuleLines>,
}

/// Rules of a family in mode iptables, as upstream counts them in `sync_proxy_rules_iptables_total` and
/// `sync_proxy_rules_iptables_last`: jumps from built-in chains are none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleLines {
    /// In table `filter`, all of them written by each sync.
    pub filter: usize,
    /// In table `nat`.
    pub nat: usize,
    /// Those of them that upstream would have written in the last sync: all top chains' and those of
    /// Services that were planned.
    pub nat_written: usize,
}

/// A transaction's place in the history of the ruleset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The ruleset's generation that it made, where that is known.
    pub generation: Option<u32>,
    /// Whether others changed something at a moment when nobody followed what: it may have been
    /// the rules of either family. `None` if all was followed.
    pub unseen: Option<bool>,
}

/// Why a transaction was not applied. Names what was refused: Services, or the backend's objects
/// where it is the kernel that tells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {attempted}: {reason}", family.nft())]
pub struct Refusal<Of = ObjectName> {
    /// The rules' family.
    pub family: Family,
    /// What kind of refusal it is.
    pub cause: Cause,
    /// What was refused, the first one first; empty where the answer names none, or something
    /// that is not there for Services. At most [`Refusal::NAMED`].
    pub refused: Vec<Of>,
    /// What was attempted on which object, for example `add element
    /// 10.96.0.10 . udp . 53 (kube-system/kube-dns:dns) to map services`.
    pub attempted: String,
    /// The kernel's answer, for example `File exists (EEXIST)`, with its own words behind if it
    /// has any.
    pub reason: String,
}

impl<Of> Refusal<Of> {
    /// More is not named: what follows are mostly consequences.
    pub const NAMED: usize = 1000;

    /// The same about something else, which stands for what was refused.
    pub fn about<Other>(self, refused: Vec<Other>) -> Refusal<Other> {
        Refusal {
            family: self.family,
            cause: self.cause,
            refused,
            attempted: self.attempted,
            reason: self.reason,
        }
    }
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
