//! One table in a namespace, beside what the table in memory makes of the same
//! transactions.

use super::small::set;
use super::text::{list, parts};
use e2e::Namespace;
use kube_proxy::netlink::Nftables;
use kube_proxy::netlink::dump::{Dump, Reader};
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
    pub reader: Reader,
    pub memory: Table,
}

impl Both {
    pub fn new(family: Family) -> Self {
        let namespace = Namespace::create("kernel").expect("a namespace, which needs root");
        let real = namespace.run(Nftables::open).expect("the namespace");
        let reader = namespace.run(|| Reader::open(family));
        Self {
            real: real.expect("nf_tables"),
            reader: reader.expect("the namespace").expect("a socket"),
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
        ops.extend(parts.counters.iter().copied().map(Op::AddCounter));
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

    /// That listing and print are the same, and what is read back is the table in memory.
    pub fn compare(&mut self, what: &str) {
        let (listed, printed) = (parts(&self.listed()), parts(&self.printed()));
        for (head, body) in &printed {
            assert_eq!(listed.get(head), Some(body), "{what}: {head}");
        }
        let heads =
            |parts: &BTreeMap<String, Vec<String>>| parts.keys().cloned().collect::<Vec<_>>();
        assert_eq!(heads(&listed), heads(&printed), "{what}");
        self.compare_dump(what);
    }

    /// The whole table, which has to be nobody else's in part.
    pub fn dump(&mut self, what: &str) -> Dump {
        let dump = self
            .reader
            .table()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let dump = dump.unwrap_or_else(|| panic!("{what}: there is no table"));
        assert!(dump.generation.is_some(), "{what}: nobody else changes it");
        dump
    }

    fn compare_dump(&mut self, what: &str) {
        let dump = self.dump(what);
        self.compare_singly(what, &dump);
        // What goes to the kernel is harmless and short.
        let mut expected = self.memory.clone();
        expected.edit(|parts| {
            let sets = parts.sets.values_mut();
            for element in sets.flat_map(|set| set.elements.values_mut()) {
                let comment = element.comment.take();
                element.comment = comment.map(|text| print::comment(&text).into());
            }
        });
        assert_eq!(dump.into_table(), (expected, Vec::new()), "{what}");
    }

    /// Chains and elements that are asked for one by one are the same as those of the whole table.
    fn compare_singly(&mut self, what: &str, dump: &Dump) {
        /// Of each set.
        const ELEMENTS: usize = 20;
        for (id, expected) in &dump.chains {
            let found = self.reader.chain(id).expect("a chain");
            assert_eq!(found, Some((expected.clone(), Vec::new())), "{what}: {id}");
        }
        for (set, (_, all)) in &dump.sets {
            let some = all.get(..all.len().min(ELEMENTS)).unwrap_or_default();
            let keys = some.iter().map(|element| element.key);
            let (found, foreign) = self.reader.elements(*set, keys).expect("elements");
            assert_eq!((&*found, &*foreign), (some, &[][..]), "{what}: {set}");
        }
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
