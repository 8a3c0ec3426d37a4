//! One table in a namespace, beside what the table in memory makes of the same
//! transactions.

use super::small::set;
use super::text::{list, parts};
use e2e::Namespace;
use kube_proxy::netlink::Nftables;
use rules::model::Family;
use rules::nft::Table;
use rules::nft::ruleset::{Chain, Op, Transaction};
use rules::nft::{Kernel, Refusal, print};
use std::collections::BTreeMap;

/// A namespace with the real thing, and a table in memory.
pub struct Both {
    pub namespace: Namespace,
    pub family: Family,
    real: Nftables,
    pub memory: Table,
}

impl Both {
    pub fn new(family: Family) -> Self {
        let namespace = Namespace::create("kernel").expect("a namespace, which needs root");
        let real = namespace.run(Nftables::open).expect("the namespace");
        Self {
            real: real.expect("nf_tables"),
            namespace,
            family,
            memory: Table::new(),
        }
    }

    /// Sends a transaction to both: what the real kernel says, then the table in memory.
    pub fn apply(&mut self, ops: Vec<Op>) -> [Result<(), Refusal>; 2] {
        let family = self.family;
        let transaction = Transaction { family, ops };
        [
            self.real.apply(&transaction),
            self.memory.apply(&transaction),
        ]
    }

    /// Sends a transaction to the real kernel only: with many objects the other
    /// takes long.
    pub fn real(&mut self, ops: Vec<Op>) -> Result<(), Refusal> {
        let family = self.family;
        self.real.apply(&Transaction { family, ops })
    }

    /// The table as `nft` lists it.
    pub fn listed(&self) -> String {
        list(&self.namespace, self.family)
    }

    /// The table as the product prints what is in memory.
    pub fn printed(&self) -> String {
        let mut ops = vec![Op::ReplaceTable];
        let parts = self.memory.parts();
        ops.extend(parts.sets.iter().map(|(id, known)| set(*id, known.size)));
        let clients = parts.affinity_sets.keys().cloned();
        ops.extend(clients.map(Op::AddAffinitySet));
        ops.extend(parts.source_sets.iter().cloned().map(Op::AddSourceSet));
        ops.extend(parts.chains.values().cloned().map(Op::AddChain));
        for (set, elements) in self.memory.sets() {
            ops.push(Op::AddElements(set, elements.values().cloned().collect()));
        }
        let family = self.family;
        print::transaction(&Transaction { family, ops })
    }

    /// That listing and print are the same.
    pub fn compare(&self, what: &str) {
        let (listed, printed) = (parts(&self.listed()), parts(&self.printed()));
        for (head, body) in &printed {
            assert_eq!(listed.get(head), Some(body), "{what}: {head}");
        }
        let heads =
            |parts: &BTreeMap<String, Vec<String>>| parts.keys().cloned().collect::<Vec<_>>();
        assert_eq!(heads(&listed), heads(&printed), "{what}");
    }
}

/// A chain without rules.
pub fn chain(id: rules::nft::ruleset::ChainId) -> Chain {
    Chain {
        id,
        hook: None,
        comment: "",
        rules: Vec::new(),
    }
}
