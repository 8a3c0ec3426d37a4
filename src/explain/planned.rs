//! The rules of the Services that are known as they should be, and what the kernel holds of them: by
//! tables of nftables, or by chains of iptables.

mod chains;
mod table;

use super::here::Here;
use crate::mode::Mode;
use crate::world::World;
use chains::PlannedChains;
use rules::explain::{Answer, Clients, KernelState, Standpoint, Wanted};
use rules::model::{Family, Frontend, ObjectName};
use rules::plan::ServicePlan;
use rules::{Config, NodeportAddresses};
use std::collections::BTreeSet;
use std::net::IpAddr;
use table::PlannedTable;

/// One family's rules.
pub(super) struct Planned {
    pub(super) family: Family,
    pub(super) config: Config,
    /// The node's addresses.
    pub(super) addresses: Vec<IpAddr>,
    rules: Rules,
}

enum Rules {
    Table(PlannedTable),
    Chains(PlannedChains),
}

/// A Service that rules are asked about.
pub(super) struct Subject<'a> {
    pub(super) name: &'a ObjectName,
    pub(super) plan: &'a ServicePlan,
    /// Where it wants to be reached, whoever has that.
    pub(super) frontends: &'a [Wanted],
}

/// What rules do for a Service.
pub(super) struct Told {
    /// Of each frontend in their order.
    pub(super) frontends: Vec<FrontendTold>,
    /// The rules as `iptables-save` tells them; none of a table of nftables, whose elements are in
    /// maps.
    pub(super) lines: Vec<String>,
    /// What the kernel holds; `None` if it was not looked at.
    pub(super) kernel: Option<KernelState>,
}

/// What rules do for a frontend.
pub(super) struct FrontendTold {
    pub(super) chain: Option<String>,
    pub(super) meaning: String,
    pub(super) outside: Answer,
    pub(super) pods: Answer,
    pub(super) node: Answer,
}

impl FrontendTold {
    fn new(
        (chain, meaning): (Option<String>, String),
        answer: impl Fn(Standpoint) -> Answer,
    ) -> Self {
        Self {
            chain,
            meaning,
            outside: answer(Standpoint::Outside),
            pods: answer(Standpoint::Pod),
            node: answer(Standpoint::Node),
        }
    }
}

impl Planned {
    /// Both families.
    pub(super) fn all(world: &World, mode: Mode, here: &Here) -> Vec<Self> {
        let standpoint = world.here();
        let addresses = match here.addresses() {
            Some(addresses) => addresses.to_vec(),
            None => standpoint.stated_addresses(),
        };
        let planned = Family::ALL.into_iter().map(|family| {
            let config = standpoint.config(family);
            let rules = match here.serving(family, mode) {
                Mode::Nftables => Rules::Table(PlannedTable::new(standpoint, &config, &addresses)),
                Mode::Iptables => {
                    Rules::Chains(PlannedChains::new(standpoint, &config, &addresses))
                }
            };
            Self {
                family,
                config,
                addresses: addresses.clone(),
                rules,
            }
        });
        planned.collect()
    }

    /// What becomes of connections to a Service, and what the kernel holds of it.
    pub(super) fn told(&self, subject: &Subject<'_>, here: &mut Here) -> Told {
        match &self.rules {
            Rules::Table(table) => table.told(self, subject, here),
            Rules::Chains(chains) => chains.told(self, subject, here),
        }
    }

    /// Services that the kernel has rules of for these frontends; `None` if it cannot be looked at.
    pub(super) fn owners(
        &self,
        frontends: Vec<Frontend>,
        here: &mut Here,
    ) -> Option<BTreeSet<ObjectName>> {
        match &self.rules {
            Rules::Table(_) => table::owners(self.family, frontends, here),
            Rules::Chains(_) => chains::owners(self.family, &frontends, here),
        }
    }

    /// The addresses that answer node ports, if not all do; `None` as well where they are not known.
    pub(super) fn nodeport_addresses(&self) -> (Family, Option<Vec<IpAddr>>) {
        let chosen = match &self.config.nodeport_addresses {
            // Of a node whose addresses are not known nothing can be said.
            NodeportAddresses::Within(_) if self.addresses.is_empty() => None,
            addresses => addresses.choose(self.family, &self.addresses),
        };
        (self.family, chosen)
    }

    /// Clients that stand for all of their kind.
    fn clients(&self, plan: &ServicePlan) -> Clients {
        let sources = plan.sources.as_ref();
        let allowed = sources.map(|own| &own.allowed[..]).unwrap_or_default();
        Clients::new(&self.config, &self.addresses, allowed)
    }

    fn state(&self, differences: Vec<String>) -> KernelState {
        KernelState {
            family: self.family.label().to_owned(),
            as_it_should: Some(differences.is_empty()),
            differences,
        }
    }
}
