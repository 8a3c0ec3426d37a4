//! The chains that one Service has of its own, all of them in table `nat`.

use crate::iptables::content::Content;
use crate::iptables::lists;
use crate::iptables::names::ChainName;
use crate::iptables::port::{Build, Port};
use crate::iptables::rule::Rule;
use crate::iptables::transaction::Before;
use crate::model::ObjectName;
use crate::plan::ServicePlan;
use std::collections::BTreeMap;

/// Chains with their rules, each after what it leads to.
pub(super) type OwnChains = Vec<(ChainName, Vec<Rule>)>;

/// Those of a Service.
pub(super) fn chains(build: Build<'_>, name: &ObjectName, plan: &ServicePlan) -> OwnChains {
    let mut content = Content::default();
    for port in &plan.ports {
        let port = Port::new(build, name, plan, port);
        port.add_own(&mut content);
        lists::add(&port, &mut content);
    }
    let place = |chain: ChainName| (chain.height(), chain);
    let chains = content.chains.into_iter();
    let mut chains: BTreeMap<_, Vec<Rule>> =
        chains.map(|chain| (place(chain), Vec::new())).collect();
    for (chain, rule) in content.rules {
        chains.entry(place(chain)).or_default().push(rule);
    }
    let chains = chains.into_iter();
    chains.map(|((_, chain), rules)| (chain, rules)).collect()
}

/// What becomes of a Service's own chains.
#[derive(Clone, Debug, Default)]
pub(super) struct Difference {
    /// Chains that get other rules.
    pub(super) filled: BTreeMap<ChainName, Before>,
    /// Chains that go, each before what it leads to.
    pub(super) gone: Vec<ChainName>,
}

impl Difference {
    /// From what there is to what there shall be; how many rules chains lose by it, and how many they are
    /// filled with.
    pub(super) fn between(old: OwnChains, new: &OwnChains) -> (Self, usize, usize) {
        let (lost, mut kept) = (count(&old), 0);
        let order: Vec<ChainName> = old.iter().map(|(chain, _)| *chain).collect();
        let mut old: BTreeMap<_, _> = old.into_iter().collect();
        let mut difference = Self::default();
        for (chain, rules) in new {
            let before = match old.get(chain) {
                Some(known) if known == rules => {
                    kept += rules.len();
                    None
                }
                Some(_) => Some(Before::Present),
                None => Some(Before::Absent),
            };
            old.remove(chain);
            difference
                .filled
                .extend(before.map(|before| (*chain, before)));
        }
        let gone = order.into_iter().rev();
        difference
            .gone
            .extend(gone.filter(|chain| old.contains_key(chain)));
        (difference, lost - kept, count(new) - kept)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.filled.is_empty() && self.gone.is_empty()
    }
}

/// How many rules they have.
pub(super) fn count(chains: &OwnChains) -> usize {
    chains.iter().map(|(_, rules)| rules.len()).sum()
}
