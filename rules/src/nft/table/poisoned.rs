//! A kernel for tests that does not take everything.

use super::Table;
use crate::RememberedClients;
use crate::model::Family;
use crate::nft::ruleset::{Key, Op, Transaction};
use crate::nft::{Kernel, Object, Refusal};
use crate::{Cause, Commit};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A [`Table`] for each family; refuses whatever serves certain addresses.
#[derive(Clone, Debug)]
pub struct Poisoned {
    /// The tables.
    pub tables: BTreeMap<Family, Table>,
    /// Addresses of frontends that it refuses.
    pub addresses: BTreeSet<IpAddr>,
    /// What it calls that.
    pub cause: Cause,
    /// It says which elements it refuses.
    pub names: bool,
    /// It refuses every transaction, whatever is in it.
    pub everything: bool,
    /// How many elements a transaction may have.
    pub largest: usize,
    /// How many transactions were sent, taken or not.
    pub sent: usize,
    /// Where in the history the last one stands.
    pub commit: Commit,
}

impl Default for Poisoned {
    fn default() -> Self {
        Self {
            tables: BTreeMap::new(),
            addresses: BTreeSet::new(),
            cause: Cause::Invalid,
            names: false,
            everything: false,
            largest: usize::MAX,
            sent: 0,
            commit: Commit::default(),
        }
    }
}

impl Poisoned {
    fn refusal(&self, family: Family, cause: Cause, objects: Vec<Object>) -> Refusal {
        Refusal {
            family,
            cause,
            refused: objects,
            attempted: "a test".to_owned(),
            reason: "no".to_owned(),
        }
    }

    /// What it does not take of a transaction.
    fn refused(&self, transaction: &Transaction) -> Vec<Object> {
        let mut objects = Vec::new();
        for op in &transaction.ops {
            if matches!(op, Op::DeleteElements(..)) {
                continue;
            }
            op.for_each_element(|set, element| {
                if let Key::Frontend(frontend) = element.key
                    && frontend
                        .address
                        .is_some_and(|own| self.addresses.contains(&own))
                {
                    objects.push(Object::Element(set, element.key));
                }
            });
        }
        objects
    }
}

impl Kernel for Poisoned {
    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        self.sent += 1;
        let family = transaction.family;
        if self.everything {
            return Err(self.refusal(family, self.cause, Vec::new()));
        }
        let ops = transaction.ops.iter();
        let elements: usize = ops.map(|op| op.elements().len()).sum();
        if elements > self.largest {
            return Err(self.refusal(family, Cause::TooLarge, Vec::new()));
        }
        let mut objects = self.refused(transaction);
        if objects.is_empty() {
            return self.tables.entry(family).or_default().apply(transaction);
        }
        if !self.names {
            objects.clear();
        }
        Err(self.refusal(family, self.cause, objects))
    }

    fn delete_table(&mut self, family: Family) -> std::io::Result<bool> {
        self.tables.entry(family).or_default().delete_table(family)
    }

    fn clients(&mut self, family: Family) -> std::io::Result<RememberedClients> {
        self.tables.entry(family).or_default().clients(family)
    }

    fn last_commit(&self) -> Commit {
        self.commit
    }
}
