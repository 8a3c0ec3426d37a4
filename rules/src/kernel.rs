//! The boundary to whatever holds the rules.

use crate::clients::RememberedClient;
use crate::model::Family;
use crate::ruleset::Transaction;

/// Something that takes transactions: the kernel, or the fake one of the tests.
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
    fn clients(&mut self, family: Family) -> std::io::Result<Vec<RememberedClient>>;
}

/// Why a transaction was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{family} {attempted}: {reason}")]
pub struct Refusal {
    /// nftables name of the family, `ip` or `ip6`.
    pub family: &'static str,
    /// What was attempted on which object, for example `add element
    /// 10.96.0.10 . udp . 53 (kube-system/kube-dns:dns) to map services`.
    pub attempted: String,
    /// The kernel's answer, for example `File exists (EEXIST)`.
    pub reason: String,
}
