//! By chains of iptables.

use super::{FrontendTold, Here, Planned, Subject, Told};
use crate::world::Standpoint;
use rules::Config;
use rules::explain::{Answers, outcomes};
use rules::iptables::explain::{self, Ports, differences, lines, serving};
use rules::iptables::trace::{Chains, Tracer};
use rules::model::{Family, Frontend, ObjectName};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The chains as they should be.
pub(super) struct PlannedChains {
    chains: Chains,
}

impl PlannedChains {
    pub(super) fn new(standpoint: Standpoint<'_>, config: &Config, addresses: &[IpAddr]) -> Self {
        let ruleset = rules::iptables::ruleset(config, standpoint.view(), addresses);
        Self {
            chains: Chains::planned(&ruleset),
        }
    }

    pub(super) fn told(&self, planned: &Planned, subject: &Subject<'_>, here: &mut Here) -> Told {
        let (family, addresses) = (planned.family, &planned.addresses);
        let ports = Ports::of(subject.name, subject.plan);
        let clients = planned.clients(subject.plan);
        let tracer = Tracer::new(&self.chains, addresses.iter().copied());
        let answers = Answers::new(&tracer, &clients);
        let frontends = subject.frontends.iter().map(|own| {
            let of = |from| answers.answer(from, &own.frontend);
            FrontendTold::new(serving(&self.chains, &own.frontend), of)
        });
        let kernel = here.chains(family, Some(&ports)).map(|held| {
            let Some(held) = held else {
                let none = format!(
                    "there is no chain KUBE-SERVICES in table {} nat: no proxy of this kind has \
                     programmed this node",
                    family.nft()
                );
                return planned.state(vec![none]);
            };
            let tracer = Tracer::new(&held, addresses.iter().copied());
            let is = Answers::new(&tracer, &clients);
            let mut found = Vec::new();
            for own in subject.frontends {
                found.extend(outcomes(&answers, &is, &own.frontend));
            }
            found.extend(differences(&self.chains, &held, &ports, family));
            planned.state(found)
        });
        Told {
            frontends: frontends.collect(),
            lines: lines(&self.chains, &ports, family),
            kernel,
        }
    }
}

/// Services that have rules for the addresses of these frontends.
pub(super) fn owners(
    family: Family,
    frontends: &[Frontend],
    here: &mut Here,
) -> Option<BTreeSet<ObjectName>> {
    let held = here.chains(family, None)?;
    let addresses: Vec<IpAddr> = frontends.iter().filter_map(|own| own.address).collect();
    let owners = held.map(|held| explain::owners(&held, &addresses));
    Some(owners.unwrap_or_default())
}
