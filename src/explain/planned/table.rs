//! By a table of nftables.

use super::{FrontendTold, Here, Planned, Subject, Told};
use crate::explain::here::Held;
use crate::world::Standpoint;
use rules::Config;
use rules::explain::Answers;
use rules::model::{Family, Frontend, ObjectName};
use rules::nft::explain::{Asked, Excerpt, differences, excerpt, owner, serving};
use rules::nft::ruleset::SetId;
use rules::nft::trace::Tracer;
use rules::nft::{Kernel as _, Planner, Table};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;

/// The table as it should be.
pub(super) struct PlannedTable {
    table: Table,
}

impl PlannedTable {
    pub(super) fn new(standpoint: Standpoint<'_>, config: &Config, addresses: &[IpAddr]) -> Self {
        let mut planner = Planner::new(config.clone());
        let mut table = Table::new();
        let pending = planner.prepare_seen(standpoint.view(), addresses, Default::default);
        if let Some(pending) = pending {
            // It is the first one, into a table that takes what the kernel takes.
            table.apply(&pending.transaction).ok();
        }
        Self { table }
    }

    fn excerpt(&self, asked: &Asked) -> Excerpt {
        let read: Result<Excerpt, Infallible> = excerpt(&mut &self.table, asked);
        match read {
            Ok(excerpt) => excerpt,
            Err(never) => match never {},
        }
    }

    pub(super) fn told(&self, planned: &Planned, subject: &Subject<'_>, here: &mut Here) -> Told {
        let (family, addresses) = (planned.family, &planned.addresses);
        let every = subject.frontends.iter().map(|own| own.frontend).collect();
        let mut asked = Asked::of(&planned.config, subject.plan, every);
        let nodeports = &planned.config.nodeport_addresses;
        asked.nodeport_addresses = nodeports.choose(family, addresses);
        let should = self.excerpt(&asked);
        let clients = planned.clients(subject.plan);
        let table = should.clone().into_table();
        let tracer = Tracer::new(&table, addresses.iter().copied());
        let answers = Answers::new(&tracer, &clients);
        let frontends = subject.frontends.iter().map(|own| {
            let of = |from| answers.answer(from, &own.frontend);
            FrontendTold::new(serving(&should, &own.frontend), of)
        });
        let kernel = here.held(family, &asked).map(|held: Held| {
            let mut found = match held.other {
                Some(other) => vec![other],
                None => differences(&should, &held.excerpt, &asked, family, addresses, &clients),
            };
            found.extend(held.foreign.iter().map(|own| format!("not ours: {own}")));
            planned.state(found)
        });
        Told {
            frontends: frontends.collect(),
            lines: Vec::new(),
            kernel,
        }
    }
}

/// Services that the kernel's elements name.
pub(super) fn owners(
    family: Family,
    frontends: Vec<Frontend>,
    here: &mut Here,
) -> Option<BTreeSet<ObjectName>> {
    let asked = Asked {
        frontends,
        ..Asked::default()
    };
    let held = here.held(family, &asked)?;
    let sets = [SetId::Services, SetId::NoEndpoints].into_iter();
    let sets = sets.filter_map(|set| held.excerpt.parts.sets.get(&set));
    let elements = sets.flat_map(|set| set.elements.values());
    Some(elements.filter_map(|own| Some(owner(own)?.0)).collect())
}
