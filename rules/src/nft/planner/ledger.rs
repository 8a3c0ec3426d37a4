//! Reference counts of what Services share: cluster IPs (one element for all
//! ports), hairpin entries (one endpoint behind two Services), shared chains.

use crate::config::Config;
use crate::nft::base;
use crate::nft::ruleset::{ChainId, Element, Key, SetId, Value, Verdict};
use foldhash::HashMap;
use std::collections::BTreeMap;

/// Something that several Services may use at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Shared {
    Element(SetId, Key),
    Chain(ChainId),
}

/// How many uses are in the table.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    uses: HashMap<Shared, i64>,
}

impl Ledger {
    fn count(&self, shared: &Shared) -> i64 {
        self.uses.get(shared).copied().unwrap_or(0)
    }

    /// Whether an element in the table goes to the chain.
    pub(super) fn uses(&self, chain: &ChainId) -> bool {
        self.count(&Shared::Chain(chain.clone())) > 0
    }

    /// Takes in what a sync changed; yields the chains whose uses changed.
    pub(super) fn commit(&mut self, touched: Touched) -> Vec<ChainId> {
        let chain = |shared: &Shared| match shared {
            Shared::Chain(chain) => Some(chain.clone()),
            Shared::Element(..) => None,
        };
        let chains = touched.changes.keys().filter_map(chain).collect();
        if self.uses.is_empty() {
            self.uses = touched.changes;
            self.uses.retain(|_, count| *count != 0);
            return chains;
        }
        for (shared, change) in touched.changes {
            let count = self.count(&shared) + change;
            if count == 0 {
                self.uses.remove(&shared);
            } else {
                self.uses.insert(shared, count);
            }
        }
        chains
    }
}

/// What a pending sync adds to the counts.
#[derive(Debug, Default)]
pub(super) struct Touched {
    changes: HashMap<Shared, i64>,
    required: HashMap<ChainId, Vec<ChainId>>,
}

impl Touched {
    /// Counts one use more; true if the element has to be added to its set.
    pub(super) fn add(
        &mut self,
        ledger: &Ledger,
        config: &Config,
        set: SetId,
        element: &Element,
    ) -> bool {
        if let Some(chain) = target(element) {
            self.count_chain(config, chain, 1);
        }
        !set.is_shared() || self.count_shared(ledger, set, element.key, 1) == 1
    }

    /// Counts one use less; true if the element has to leave its set.
    pub(super) fn remove(
        &mut self,
        ledger: &Ledger,
        config: &Config,
        set: SetId,
        element: &Element,
    ) -> bool {
        if let Some(chain) = target(element) {
            self.count_chain(config, chain, -1);
        }
        !set.is_shared() || self.count_shared(ledger, set, element.key, -1) == 0
    }

    /// Counts uses of an element of a shared set; returns how many there are now.
    pub(super) fn count_shared(
        &mut self,
        ledger: &Ledger,
        set: SetId,
        key: Key,
        change: i64,
    ) -> i64 {
        let shared = Shared::Element(set, key);
        let in_table = ledger.count(&shared);
        let total = self.changes.entry(shared).or_insert(0);
        *total += change;
        in_table + *total
    }

    /// Takes out shared elements that leave with one Service and come with
    /// another in the same sync.
    pub(super) fn cancel(
        &self,
        gone: &mut BTreeMap<SetId, Vec<Element>>,
        come: &mut BTreeMap<SetId, Vec<Element>>,
    ) {
        for set in SetId::ALL.into_iter().filter(|set| set.is_shared()) {
            let (Some(lost), Some(gained)) = (gone.get_mut(&set), come.get_mut(&set)) else {
                continue;
            };
            // How often each key left and came; it can only alternate.
            let mut balance: BTreeMap<Key, i64> = BTreeMap::new();
            lost.iter()
                .for_each(|element| *balance.entry(element.key).or_default() -= 1);
            gained
                .iter()
                .for_each(|element| *balance.entry(element.key).or_default() += 1);
            let mut keep = |list: &mut Vec<Element>, sign: i64| {
                list.retain(|element| match balance.get_mut(&element.key) {
                    Some(rest) if *rest * sign > 0 => {
                        *rest -= sign;
                        true
                    }
                    _ => false,
                });
            };
            keep(lost, -1);
            keep(gained, 1);
        }
        gone.retain(|_, elements| !elements.is_empty());
        come.retain(|_, elements| !elements.is_empty());
    }

    /// Whether the chain has a user once this is committed.
    pub(super) fn uses(&self, ledger: &Ledger, chain: &ChainId) -> bool {
        self.total(ledger, &Shared::Chain(chain.clone())) > 0
    }

    /// The chains that got users in this sync.
    pub(super) fn used_chains(&self) -> impl Iterator<Item = ChainId> {
        self.changes
            .iter()
            .filter_map(|(shared, change)| match shared {
                Shared::Chain(chain) if *change > 0 => Some(chain.clone()),
                _ => None,
            })
    }

    fn total(&self, ledger: &Ledger, shared: &Shared) -> i64 {
        ledger.count(shared) + self.changes.get(shared).copied().unwrap_or(0)
    }

    /// Counts who goes to a chain, for that and for all that it goes on to.
    pub(super) fn count_chain(&mut self, config: &Config, chain: &ChainId, change: i64) {
        // The others are there always, or as long as their Service port is.
        if matches!(chain, ChainId::Fixed(_) | ChainId::Port(_)) {
            return;
        }
        *self
            .changes
            .entry(Shared::Chain(chain.clone()))
            .or_insert(0) += change;
        let required = self
            .required
            .entry(chain.clone())
            .or_insert_with(|| base::required(config, chain));
        for next in required {
            let next = Shared::Chain(next.clone());
            *self.changes.entry(next).or_insert(0) += change;
        }
    }
}

/// The chain that an element sends packets to.
fn target(element: &Element) -> Option<&ChainId> {
    match &element.value {
        Some(Value::Verdict(Verdict::Goto(chain))) => Some(chain),
        _ => None,
    }
}
