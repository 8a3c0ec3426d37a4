//! A namespace with the kernel's end of chains of iptables, and transactions from one state to another.

use crate::states::saved;
use e2e::{Namespace, nfacct};
use kube_proxy::netlink::Iptables;
use nft_wire::nf_tables::{self, Expression, nfta};
use rules::iptables::names::ChainName;
use rules::iptables::rule::{Rule, Table, Target};
use rules::iptables::{Before, Change, Content, Kernel, Object, Refusal, Ruleset, Step, Steps};
use rules::iptables::{TableChange, Transaction, print};
use rules::model::Family;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Steps that are all there at once.
#[derive(Debug, Default)]
pub struct Listed {
    apart: Vec<(Object, Before, Vec<Rule>)>,
    together: Vec<(Object, Before, Vec<Rule>)>,
    doomed: Vec<Object>,
}

impl Steps for Listed {
    fn for_each_step(&self, each: &mut dyn FnMut(Step<'_>)) {
        let fill = |each: &mut dyn FnMut(Step<'_>), fills: &[(Object, Before, Vec<Rule>)]| {
            for (Object { table, chain }, before, rules) in fills {
                each(Step::Fill {
                    table: *table,
                    chain: *chain,
                    before: *before,
                    rules,
                });
            }
        };
        fill(each, &self.apart);
        each(Step::Together);
        fill(each, &self.together);
        for Object { table, chain } in self.doomed.iter().copied() {
            each(Step::Delete { table, chain });
        }
    }

    fn rule_count(&self) -> usize {
        let fills = self.apart.iter().chain(&self.together);
        fills.map(|(_, _, rules)| rules.len()).sum()
    }
}

impl Listed {
    /// Fills chains, each after those that it leads to.
    pub fn fill(
        &mut self,
        table: Table,
        chains: &BTreeMap<ChainName, Vec<Rule>>,
        before: impl Fn(ChainName) -> Before,
    ) {
        let mut done = BTreeSet::new();
        while done.len() < chains.len() {
            for (chain, rules) in chains {
                let waits = rules.iter().any(|rule| match &rule.target {
                    Some(Target::Jump(to)) => chains.contains_key(to) && !done.contains(to),
                    _ => false,
                });
                if waits || !done.insert(*chain) {
                    continue;
                }
                let object = Object {
                    table,
                    chain: *chain,
                };
                let entry = (object, before(*chain), rules.clone());
                match chain.is_of_service() || chain.as_str() == "KUBE-MARK-MASQ" {
                    true => self.apart.push(entry),
                    false => self.together.push(entry),
                }
            }
        }
    }

    pub fn transaction(self, family: Family, whole: bool) -> Transaction {
        Transaction {
            family,
            whole,
            restores_jumps: whole,
            steps: Arc::new(self),
        }
    }
}

/// All that a state has.
pub fn whole(state: &Ruleset) -> Transaction {
    let mut steps = Listed::default();
    for (table, content) in tables(state) {
        let chains = content.by_chain().into_iter();
        let chains = chains.map(|(chain, rules)| (chain, rules.into_iter().cloned().collect()));
        steps.fill(table, &chains.collect(), |_| Before::Unknown);
    }
    steps.transaction(state.family, true)
}

/// What leads from one state to another.
pub fn change(before: &Ruleset, after: &Ruleset) -> Transaction {
    let Change { filter, nat } = Change::between(before, after);
    let mut steps = Listed::default();
    for (table, change) in [(Table::Filter, filter), (Table::Nat, nat)] {
        let TableChange {
            fresh,
            refilled,
            gone,
        } = change;
        let mut chains: BTreeMap<_, _> = refilled.into_iter().collect();
        for chain in &fresh {
            chains.entry(*chain).or_default();
        }
        steps.fill(table, &chains, |chain| match fresh.contains(&chain) {
            true => Before::Absent,
            false => Before::Present,
        });
        // Those that lead to others first.
        let last = |chain: &ChainName| chain.as_str().starts_with("KUBE-SEP-");
        let (last, first): (Vec<_>, Vec<_>) = gone.into_iter().partition(last);
        let mut first = first;
        first.sort_by_key(|chain| chain.as_str().starts_with("KUBE-SV"));
        let gone = first.into_iter().rev().rev().chain(last);
        steps
            .doomed
            .extend(gone.map(|chain| Object { table, chain }));
    }
    steps.transaction(after.family, false)
}

fn tables(state: &Ruleset) -> [(Table, &Content); 2] {
    [(Table::Filter, &state.filter), (Table::Nat, &state.nat)]
}

/// A namespace with the kernel's end in it.
pub struct Rig {
    pub namespace: Namespace,
    pub family: Family,
    pub kernel: Iptables,
}

impl Rig {
    pub fn new(family: Family) -> Self {
        let namespace = Namespace::create("written").expect("a namespace, which needs root");
        let kernel = namespace.run(Iptables::open).expect("the namespace");
        let kernel = kernel.expect("nf_tables");
        Self {
            namespace,
            family,
            kernel,
        }
    }

    pub fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        self.kernel.apply(transaction)
    }

    /// Whether the tables have our chains as the state says.
    #[track_caller]
    pub fn is(&self, state: &Ruleset) {
        for (table, content) in tables(state) {
            let table = table.name();
            let found = saved(&self.namespace, self.family, table);
            assert_eq!(
                found,
                print::saved(content, self.family),
                "{} {table}",
                self.family
            );
        }
    }

    /// All that the family's tools tell, without comments and counts.
    pub fn all(&self) -> String {
        let program = match self.family {
            Family::V4 => "iptables-save",
            Family::V6 => "ip6tables-save",
        };
        let text = self.namespace.exec(&[program]).expect("rules");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.map(|line| line.split(" [").next().unwrap_or_default());
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// A command of the family's tools: `iptables` and its arguments.
    pub fn tool(&self, arguments: &str) -> anyhow::Result<String> {
        let program = match self.family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        let words: Vec<&str> = std::iter::once(program)
            .chain(arguments.split(' '))
            .collect();
        self.namespace.exec(&words)
    }

    /// Has the family's tools write a state and what a node has once.
    pub fn restore(&self, state: &Ruleset) {
        let restore = match self.family {
            Family::V4 => "iptables-restore",
            Family::V6 => "ip6tables-restore",
        };
        let load = |text: &str| self.namespace.pipe(&[restore, "--noflush"], text);
        for counter in state.counters() {
            nfacct::add(&self.namespace, counter).expect("a counter");
        }
        load(&print::restore(state)).expect("chains");
        load(&print::setup(state)).expect("jumps");
    }

    /// How many transactions there were.
    pub fn generation(&self) -> u32 {
        let generation = self.namespace.run(|| {
            let mut socket = nf_tables::open().expect("a socket");
            nf_tables::generation(&mut socket).expect("a generation")
        });
        generation.expect("the namespace")
    }

    /// Every rule of a table, by its chain.
    pub fn rules(&self, table: &str) -> BTreeMap<String, Vec<Vec<Expression>>> {
        let protocol = match self.family {
            Family::V4 => 2,
            Family::V6 => 10,
        };
        let listed = self.namespace.run(|| {
            let mut socket = nf_tables::open().expect("a socket");
            let kind = nf_tables::message_kind(libc::NFT_MSG_GETRULE);
            let header = |out: &mut nft_wire::Writer| {
                nf_tables::header(out, protocol);
                out.text(nfta::RULE_TABLE, table);
            };
            socket.list_whole(kind, header, |message, rules| {
                let body = message.body(nf_tables::HEADER);
                rules.push(nf_tables::Rule::read(body).expect("a rule"));
            })
        });
        let mut chains: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for rule in listed.expect("the namespace").expect("rules") {
            chains.entry(rule.chain).or_default().push(rule.expressions);
        }
        chains
    }
}
