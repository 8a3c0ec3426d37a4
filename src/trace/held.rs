//! The table that packets are followed through: the kernel's, or the planned one.

use super::answer::Rules;
use crate::netlink::dump::{Foreign, Place, Reader};
use crate::netlink::interfaces;
use crate::world::Standpoint;
use anyhow::anyhow;
use rules::model::Family;
use rules::nft::ruleset::{ChainId, TABLE};
use rules::nft::trace::Trace;
use rules::nft::{Kernel, Table, print};
use std::net::IpAddr;

/// Chains without which a table is none of this version's.
const NEEDED: [&str; 4] = [
    "nat-prerouting",
    "nat-output",
    "nat-postrouting",
    "services",
];

/// A table, and the node that it is on.
#[derive(Clone, Debug)]
pub struct Held {
    /// Whose rules they are.
    pub rules: Rules,
    /// The rules.
    pub table: Table,
    /// What else is in the kernel's table.
    pub foreign: Vec<Foreign>,
    /// Clients and foreign pieces that were too many to be read.
    pub unread: usize,
    /// The addresses on the node's interfaces, as far as they are known.
    pub node_addresses: Vec<IpAddr>,
}

/// Why the kernel's table cannot be followed, in one line with what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheld {
    /// There is none.
    #[error("no table {} {TABLE}: is the daemon running on this node?", .0.nft())]
    NoTable(Family),
    /// It is another version's.
    #[error(
        "the table {} {TABLE} is another version's, or another proxy's: it has no chain {missing}; \
         --planned follows the packet through this version's rules",
        .family.nft()
    )]
    OtherVersion {
        /// The family.
        family: Family,
        /// A chain that this version has.
        missing: &'static str,
    },
    /// The kernel does not permit it.
    #[error("not permitted to read nftables: run as root or with the capability NET_ADMIN")]
    NotPermitted,
    /// Something else.
    #[error("reading nftables: {0}")]
    Failed(String),
}

impl Held {
    /// Reads the kernel's table, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// See [`Unheld`].
    pub fn by_kernel(family: Family) -> Result<Self, Unheld> {
        let failed = |error: std::io::Error| match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Unheld::NotPermitted,
            _ => Unheld::Failed(error.to_string()),
        };
        let mut reader = Reader::open(family).map_err(failed)?;
        let dump = reader.table().map_err(failed)?;
        let dump = dump.ok_or(Unheld::NoTable(family))?;
        let unread = dump.more_clients + dump.more_foreign;
        let (table, foreign) = dump.into_table();
        let has = |name: &'static str| table.chains().contains_key(&ChainId::Fixed(name));
        if let Some(missing) = NEEDED.into_iter().find(|name| !has(name)) {
            return Err(Unheld::OtherVersion { family, missing });
        }
        Ok(Self {
            rules: Rules::Kernel,
            table,
            foreign,
            unread,
            node_addresses: interfaces::local().map_err(failed)?,
        })
    }

    /// Plans the table of a node. `interfaces` are its addresses, if this is the node itself.
    ///
    /// # Errors
    /// The objects lead to no table, or to one that no kernel would take.
    pub fn planned(
        standpoint: Standpoint<'_>,
        family: Family,
        interfaces: Option<&[IpAddr]>,
    ) -> anyhow::Result<Self> {
        let transaction = standpoint
            .ruleset(family)
            .ok_or_else(|| anyhow!("the objects lead to no rules of {family}"))?;
        let mut table = Table::new();
        table.apply(&transaction).map_err(|refusal| {
            anyhow!("the planned rules would be refused: {}", refusal.attempted)
        })?;
        let addresses = match interfaces {
            Some(addresses) => addresses.to_vec(),
            None => standpoint.stated_addresses(),
        };
        Ok(Self {
            rules: Rules::Planned,
            table,
            foreign: Vec::new(),
            unread: 0,
            node_addresses: addresses,
        })
    }

    /// What of somebody else's in the table stands in a packet's way, so that it may go another way
    /// than the one that was followed.
    pub fn in_the_way(&self, trace: &Trace) -> Vec<&Foreign> {
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
        self.foreign.iter().filter(is_in_the_way).collect()
    }
}
