//! Our table of nftables.

use super::{Followed, Held, Holder, Obstacle, Unheld};
use crate::netlink::dump::{Foreign, Place, Reader};
use crate::netlink::interfaces;
use crate::trace::answer::Rules;
use crate::world::Standpoint;
use anyhow::anyhow;
use rules::model::{Family, Frontend, Protocol};
use rules::nft::ruleset::{ChainId, Key, SetId, TABLE};
use rules::nft::trace::{Trace, Tracer};
use rules::nft::{Kernel, Table, print};
use rules::trace::Packet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Chains without which a table is none of this version's.
const NEEDED: [&str; 4] = [
    "nat-prerouting",
    "nat-output",
    "nat-postrouting",
    "services",
];

/// A table.
pub(super) struct HeldTable {
    table: Table,
    /// What else is in the kernel's table.
    foreign: Vec<Foreign>,
    /// Clients and foreign pieces that were too many to be read.
    unread: usize,
}

/// The kernel's.
pub(super) fn by_kernel(family: Family) -> Result<Held, Unheld> {
    let dump = Reader::open(family)?.table()?;
    let dump = dump.ok_or(Unheld::NoTable(family))?;
    let unread = dump.more_clients + dump.more_foreign;
    let (table, foreign) = dump.into_table();
    let has = |name: &'static str| table.chains().contains_key(&ChainId::Fixed(name));
    if let Some(missing) = NEEDED.into_iter().find(|name| !has(name)) {
        return Err(Unheld::OtherVersion { family, missing });
    }
    let holder = HeldTable {
        table,
        foreign,
        unread,
    };
    Ok(Held {
        rules: Rules::Kernel,
        node_addresses: interfaces::local()?,
        holder: Holder::Table(holder),
    })
}

/// The one that is planned.
///
/// # Errors
/// The objects lead to no table, or to one that no kernel would take.
pub(super) fn planned(standpoint: Standpoint<'_>, family: Family) -> anyhow::Result<HeldTable> {
    let transaction = standpoint
        .ruleset(family)
        .ok_or_else(|| anyhow!("the objects lead to no rules of {family}"))?;
    let mut table = Table::new();
    table
        .apply(&transaction)
        .map_err(|refusal| anyhow!("the planned rules would be refused: {}", refusal.attempted))?;
    Ok(HeldTable {
        table,
        foreign: Vec::new(),
        unread: 0,
    })
}

impl HeldTable {
    pub(super) fn follow(&self, packet: &Packet, node_addresses: &[IpAddr]) -> Followed {
        let tracer = Tracer::new(&self.table, node_addresses.iter().copied());
        let trace = tracer.explain(packet);
        Followed {
            ways: tracer.ways(&trace),
            in_the_way: self.in_the_way(&trace),
            unread: self.unread,
        }
    }

    fn in_the_way(&self, trace: &Trace) -> Vec<Obstacle> {
        let visited = |name: &str| {
            let mut chains = trace.paths.iter().flat_map(|path| &path.visited);
            chains.any(|chain| chain.to_string() == name)
        };
        let is_in_the_way = |foreign: &&Foreign| match &foreign.place {
            Place::Table | Place::BaseChain(_) => true,
            Place::Chain(name) | Place::Rule { chain: name, .. } => visited(name),
            Place::Element(set) => {
                let mut all = trace.paths.iter().flat_map(|path| &path.lookups);
                let key = foreign.text.split(" : ").next().unwrap_or_default();
                all.any(|(own, looked_up)| own == set && print::key(looked_up) == key)
            }
            Place::Set(_) | Place::Object(_) => false,
        };
        let obstacle = |foreign: &Foreign| Obstacle {
            place: foreign.place.to_string(),
            text: foreign.to_string(),
        };
        let all = self.foreign.iter().filter(is_in_the_way);
        all.map(obstacle).collect()
    }

    pub(super) fn ports_of(&self, address: IpAddr) -> Vec<(u16, Protocol)> {
        let of_address = |key: &Key| match key {
            Key::Frontend(Frontend {
                address: Some(own),
                protocol,
                port,
            }) if *own == address => Some((*port, *protocol)),
            _ => None,
        };
        let sets = [SetId::Services, SetId::NoEndpoints].into_iter();
        let keys = sets.flat_map(|set| self.table.elements(set).keys());
        keys.filter_map(of_address).collect()
    }

    pub(super) fn answering(&self) -> Vec<IpAddr> {
        let keys = self.table.elements(SetId::NodeportIps).keys();
        let addresses = keys.filter_map(|key| match key {
            Key::Address(address) => Some(*address),
            _ => None,
        });
        addresses.collect()
    }

    pub(super) fn hooks(&self, family: Family) -> BTreeMap<String, String> {
        let own = self.table.chains().values().filter_map(|chain| {
            let name = format!("{} {TABLE} {}", family.nft(), chain.id);
            Some((name, chain.hook?.point.to_string()))
        });
        own.collect()
    }
}
