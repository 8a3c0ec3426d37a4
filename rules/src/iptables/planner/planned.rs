//! What one sync has planned, and the steps that it leads to.

use super::own::{self, Difference, OwnChains};
use super::shared::SharedChains;
use crate::Config;
use crate::iptables::kernel::Object;
use crate::iptables::port::Build;
use crate::iptables::rule::Table;
use crate::iptables::top::MARK_MASQ;
use crate::iptables::transaction::{Before, Step, Steps};
use crate::model::ObjectName;
use crate::plan::ServicePlan;
use std::sync::OnceLock;

/// A sync's Services. The rules of their own chains are made one Service after the other when somebody
/// asks for them, and never are all there.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) config: Config,
    /// Rules of endpoints carry no comments.
    pub(super) large: bool,
    /// All chains are filled, whatever there was.
    pub(super) whole: bool,
    /// In the order of their names.
    pub(super) services: Vec<PlannedService>,
    /// Shared chains that get other rules.
    pub(super) shared: SharedChains,
    /// How many rules the steps have in chains of single Services, as soon as somebody has counted.
    own_rules: OnceLock<usize>,
}

/// One Service.
#[derive(Clone, Debug)]
pub(super) struct PlannedService {
    pub(super) name: ObjectName,
    /// `None` if it is gone.
    pub(super) plan: Option<ServicePlan>,
    pub(super) chains: Chains,
}

/// What becomes of a Service's own chains.
#[derive(Clone, Debug)]
pub(super) enum Chains {
    /// All are filled, whatever there was.
    All,
    /// Some.
    Some(Difference),
}

impl Planned {
    /// All chains of these Services, and all that they share.
    pub(super) fn whole(
        build: Build<'_>,
        services: Vec<PlannedService>,
        shared: SharedChains,
    ) -> Self {
        Self {
            config: build.config.clone(),
            large: build.large,
            whole: true,
            services,
            shared,
            own_rules: OnceLock::new(),
        }
    }

    /// What changes, which is so many rules in chains of single Services.
    pub(super) fn partial(
        build: Build<'_>,
        services: Vec<PlannedService>,
        shared: SharedChains,
        own_rules: usize,
    ) -> Self {
        Self {
            whole: false,
            own_rules: own_rules.into(),
            ..Self::whole(build, services, shared)
        }
    }

    fn build(&self) -> Build<'_> {
        Build {
            config: &self.config,
            large: self.large,
        }
    }

    /// The own chains of a Service as they shall be.
    pub(super) fn own_chains(&self, service: &PlannedService) -> OwnChains {
        let plan = service.plan.as_ref();
        plan.map(|plan| own::chains(self.build(), &service.name, plan))
            .unwrap_or_default()
    }

    /// How many rules chains of single Services are filled with. Makes them all, if nobody has walked the
    /// steps before.
    pub(super) fn own_rules(&self) -> usize {
        *self.own_rules.get_or_init(|| {
            let mut count = 0;
            for service in &self.services {
                self.fill(service, &mut |step| count += rules_in(step));
            }
            count
        })
    }

    /// The steps that fill a Service's own chains.
    fn fill(&self, service: &PlannedService, each: &mut dyn FnMut(Step<'_>)) {
        let wanted = match &service.chains {
            Chains::Some(difference) if difference.filled.is_empty() => return,
            Chains::Some(difference) => Some(&difference.filled),
            Chains::All => None,
        };
        for (chain, rules) in self.own_chains(service) {
            let before = match wanted {
                None => Some(Before::Unknown),
                Some(filled) => filled.get(&chain).copied(),
            };
            if let Some(before) = before {
                let table = Table::Nat;
                let rules = &rules;
                each(Step::Fill {
                    table,
                    chain,
                    before,
                    rules,
                });
            }
        }
    }
}

impl PlannedService {
    /// Its name and what it does, if it is there.
    pub(super) fn named(&self) -> Option<(&ObjectName, &ServicePlan)> {
        Some((&self.name, self.plan.as_ref()?))
    }
}

/// Where rules of all Services lead to.
const MARK: Object = Object {
    table: Table::Nat,
    chain: MARK_MASQ,
};

impl Steps for Planned {
    fn for_each_step(&self, each: &mut dyn FnMut(Step<'_>)) {
        if self.whole {
            // Its rule is another one, if the mark is, together with what looks at that.
            each(Step::Make {
                table: MARK.table,
                chain: MARK.chain,
            });
        }
        let mut count = 0;
        for service in &self.services {
            self.fill(service, &mut |step| {
                count += rules_in(step);
                each(step);
            });
        }
        let _ = self.own_rules.set(count);
        each(Step::Together);
        let before = match self.whole {
            true => Before::Unknown,
            false => Before::Present,
        };
        for (Object { table, chain }, rules) in &self.shared {
            let (table, chain) = (*table, *chain);
            each(Step::Fill {
                table,
                chain,
                before,
                rules,
            });
        }
        for service in &self.services {
            if let Chains::Some(difference) = &service.chains {
                for chain in &difference.gone {
                    let (table, chain) = (Table::Nat, *chain);
                    each(Step::Delete { table, chain });
                }
            }
        }
    }

    fn rule_count(&self) -> usize {
        let shared: usize = self.shared.values().map(Vec::len).sum();
        shared + self.own_rules()
    }
}

fn rules_in(step: Step<'_>) -> usize {
    match step {
        Step::Fill { rules, .. } => rules.len(),
        _ => 0,
    }
}
