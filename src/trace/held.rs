//! The rules that packets are followed through: those of a table of nftables or chains of iptables, the
//! kernel's or planned ones.

mod chains;
mod table;

use super::answer::Rules;
use crate::mode::Mode;
use crate::world::Standpoint;
use chains::HeldChains;
use rules::model::{Family, Protocol};
use rules::nft::ruleset::TABLE;
use rules::trace::{Packet, Way};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use table::HeldTable;

/// Rules, and the node that they are on.
pub struct Held {
    /// Whose rules they are.
    pub rules: Rules,
    /// The addresses on the node's interfaces, as far as they are known.
    pub node_addresses: Vec<IpAddr>,
    holder: Holder,
}

enum Holder {
    Table(HeldTable),
    Chains(HeldChains),
}

/// Where a packet goes.
pub struct Followed {
    /// Every way that it may go, the likeliest first.
    pub ways: Vec<Way>,
    /// What of somebody else's stands among the rules in its way, so that it may go another one.
    pub in_the_way: Vec<Obstacle>,
    /// Pieces that were too many to be read.
    pub unread: usize,
}

/// Something of somebody else's among our rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Where it stands.
    pub place: String,
    /// Where, and what it is.
    pub text: String,
}

/// Why the kernel's rules cannot be followed, in one line with what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheld {
    /// There is no table, and there are no chains either.
    #[error("no table {} {TABLE}: is the daemon running on this node?", .0.nft())]
    NoTable(Family),
    /// There are no chains, and there is no table either.
    #[error(
        "no chain KUBE-SERVICES in table {family} nat, and no table {family} {TABLE}: is the daemon \
         running on this node?",
        family = .0.nft()
    )]
    NoChains(Family),
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

impl From<io::Error> for Unheld {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl Held {
    /// Reads the kernel's rules, in the network namespace of the calling thread: those of the mode, or
    /// if there are none those of the other one, which serves where the mode's cannot be had.
    ///
    /// # Errors
    /// See [`Unheld`].
    pub fn by_kernel(family: Family, mode: Mode) -> Result<Self, Unheld> {
        match mode {
            Mode::Nftables => match table::by_kernel(family) {
                Err(none @ Unheld::NoTable(_)) => chains::by_kernel(family)?.ok_or(none),
                held => held,
            },
            Mode::Iptables => match chains::by_kernel(family)? {
                Some(held) => Ok(held),
                None => table::by_kernel(family).map_err(|error| match error {
                    Unheld::NoTable(family) => Unheld::NoChains(family),
                    error => error,
                }),
            },
        }
    }

    /// Plans the rules of a node. `interfaces` are its addresses, if this is the node itself.
    ///
    /// # Errors
    /// The objects lead to no rules, or to such as no kernel would take.
    pub fn planned(
        standpoint: Standpoint<'_>,
        family: Family,
        mode: Mode,
        interfaces: Option<&[IpAddr]>,
    ) -> anyhow::Result<Self> {
        let holder = match mode {
            Mode::Nftables => Holder::Table(table::planned(standpoint, family)?),
            Mode::Iptables => Holder::Chains(chains::planned(standpoint, family, interfaces)),
        };
        Ok(Self {
            rules: Rules::Planned,
            node_addresses: match interfaces {
                Some(addresses) => addresses.to_vec(),
                None => standpoint.stated_addresses(),
            },
            holder,
        })
    }

    /// Follows a packet.
    ///
    /// # Errors
    /// The kernel's rules cannot be read.
    pub fn follow(&self, packet: &Packet) -> Result<Followed, Unheld> {
        match &self.holder {
            Holder::Table(table) => Ok(table.follow(packet, &self.node_addresses)),
            Holder::Chains(chains) => chains.follow(packet, &self.node_addresses),
        }
    }

    /// The ports of an address that is a Service's.
    pub fn ports_of(&self, address: IpAddr) -> Vec<(u16, Protocol)> {
        let mut all = match &self.holder {
            Holder::Table(table) => table.ports_of(address),
            Holder::Chains(chains) => chains.ports_of(address),
        };
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The node's addresses that are listed to answer node ports.
    pub fn answering(&self) -> Vec<IpAddr> {
        match &self.holder {
            Holder::Table(table) => table.answering(),
            Holder::Chains(chains) => chains.answering(),
        }
    }

    /// The hook of each base chain of ours, by family, table and name.
    pub fn hooks(&self, family: Family) -> BTreeMap<String, String> {
        match &self.holder {
            Holder::Table(table) => table.hooks(family),
            // They are everybody's, and told with those of others.
            Holder::Chains(_) => BTreeMap::new(),
        }
    }

    /// What a report calls them.
    pub fn name(&self, family: Family) -> String {
        match &self.holder {
            Holder::Table(_) => format!("kernel: table {}", family.nft()),
            Holder::Chains(_) => format!("kernel: chains of iptables, {}", family.nft()),
        }
    }
}
