//! Base chains of other tables.

use super::fate::Fate;
use super::hook::{ChainFamily, Hook, Sees};
use super::owner::Owner;
use crate::model::Family;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// A base chain of somebody else's, and what its rules and those that they lead to may do.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForeignChain {
    /// Its table's family.
    pub family: ChainFamily,
    /// Its table.
    pub table: String,
    /// Its name.
    pub chain: String,
    /// `filter`, `nat` or `route`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where packets meet it.
    pub hook: Hook,
    /// The order among the hook's chains, lowest first.
    pub priority: i32,
    /// What no rule decides is dropped.
    pub policy_drop: bool,
    /// What becomes of packets in it.
    pub fate: Fate,
    /// Whose it is, as far as names tell.
    pub owner: Option<Owner>,
}

impl ForeignChain {
    /// Which destination address it sees of a Service's packets, where those are translated at
    /// priority -100 (`dstnat`) of prerouting and output.
    pub fn sees(&self) -> Sees {
        /// `NF_IP_PRI_NAT_DST`.
        const DSTNAT: i32 = -100;
        match self.hook {
            Hook::Ingress => Sees::Frontend,
            Hook::Prerouting | Hook::Output => match self.priority.cmp(&DSTNAT) {
                std::cmp::Ordering::Less => Sees::Frontend,
                std::cmp::Ordering::Equal => Sees::Either,
                std::cmp::Ordering::Greater => Sees::Endpoint,
            },
            Hook::Input | Hook::Forward | Hook::Postrouting | Hook::Egress => Sees::Endpoint,
        }
    }

    /// Whether packets of IPv4 come by, or of IPv6.
    pub fn has_packets_of(&self, family: Family) -> bool {
        match self.family {
            ChainFamily::Ip => family == Family::V4,
            ChainFamily::Ip6 => family == Family::V6,
            ChainFamily::Inet | ChainFamily::Netdev => true,
        }
    }
}

/// As nft names it: family, table and chain.
impl fmt::Display for ForeignChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.family, self.table, self.chain)
    }
}
