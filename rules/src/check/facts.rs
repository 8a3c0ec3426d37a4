//! What was seen of a node, before anything is made of it.

use super::chain::ForeignChain;
use super::owner::OwnerCensus;
use crate::model::{Family, Protocol};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A fact, or why it could not be had, in words.
pub type Seen<T> = Result<T, String>;

/// A node, as far as a proxy has to do with it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The kernel.
    pub kernel: Kernel,
    /// What this process may do.
    pub rights: Rights,
    /// Settings below `/proc/sys`, by their path there; those that are not there are left out.
    pub sysctls: BTreeMap<String, String>,
    /// Settings that the configuration wants otherwise.
    pub differing: Vec<DifferingSetting>,
    /// Connection tracking; an error if the kernel does not tell.
    pub conntrack: Seen<Conntrack>,
    /// What mode iptables needs, if that is the mode of this proxy: chains of kube-proxy are its own
    /// then.
    pub iptables: Option<Iptables>,
    /// What others have in nf_tables.
    pub others: Seen<Others>,
    /// The tables of legacy iptables that are there.
    pub legacy: Vec<(Family, Vec<String>)>,
    /// What the tables `kube-proxy` are.
    pub tables: Vec<(Family, ProxyTable)>,
    /// Mode ipvs.
    pub ipvs: Ipvs,
    /// The node's addresses, loopback included.
    pub addresses: Seen<Vec<IpAddr>>,
    /// Bridges that are there, of those that network plugins make.
    pub bridges: Vec<String>,
    /// What kube-proxy in mode iptables counts, by nfacct or its metrics.
    pub counted: Counted,
    /// Connections to loopback addresses at ports of Services, as the kernel has them.
    pub localhost_flows: Seen<Vec<LocalhostFlows>>,
}

impl Facts {
    /// Whether the node has addresses of a family that others may reach it by.
    pub fn has_addresses_of(&self, family: Family) -> bool {
        let reachable = |address: &IpAddr| {
            let local = match address {
                IpAddr::V4(_) => false,
                IpAddr::V6(address) => address.is_unicast_link_local(),
            };
            Family::of(*address) == family && !address.is_loopback() && !local
        };
        // Where they are unknown, every family may be there.
        (self.addresses.as_ref()).map_or(true, |addresses| addresses.iter().any(reachable))
    }
}

/// The kernel, and what it can.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// `/proc/sys/kernel/osrelease`.
    pub release: String,
    /// Why it is too old, if it is.
    pub too_old: Option<String>,
    /// Parts of it that rules are made of, and whether they are there.
    pub features: Seen<Vec<Feature>>,
    /// Its modules of netfilter, as far as they are loaded; `None` if it has no modules at all.
    pub modules: Option<Vec<String>>,
}

/// What the kernel and the node have of iptables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iptables {
    /// Matches and targets that rules of a family need and the kernel has not, by name.
    pub missing: Seen<Vec<(Family, Vec<&'static str>)>>,
    /// The tables of legacy iptables that the node's programs write, if it is those.
    pub legacy: Option<String>,
}

/// Something that rules are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// What it is: `fib`, `chains of type nat`.
    pub name: String,
    /// The module that has it.
    pub module: String,
    /// The family in which it was tried.
    pub family: Family,
    /// Why it is not there, if it is not.
    pub lack: Option<String>,
}

/// Rights of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The capability NET_ADMIN.
    pub net_admin: bool,
    /// `/proc/sys` can be written.
    pub proc_sys: bool,
    /// Features were tried in a network namespace that was made for it; false if in a transaction
    /// that was never to be kept.
    pub own_namespace: bool,
}

/// A setting that the daemon would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DifferingSetting {
    /// The file, from the root.
    pub file: String,
    /// What it holds; `None` if it cannot be read.
    pub found: Option<i64>,
    /// What it should hold.
    pub wanted: i64,
}

/// How full connection tracking is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conntrack {
    /// Connections, in this network namespace.
    pub count: u64,
    /// How many there may be.
    pub max: u64,
    /// Packets dropped because no connection could be added, since the start.
    pub dropped: u64,
    /// Connections dropped to make room for others, since the start.
    pub early_dropped: u64,
}

/// What others have in nf_tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Others {
    /// Base chains on the hooks that Services' packets pass, in the order in which packets meet
    /// them.
    pub chains: Vec<ForeignChain>,
    /// Whose chains there are, by table, base chains or not.
    pub census: Vec<OwnerCensus>,
}

/// Whose a table `kube-proxy` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyTable {
    /// This program's.
    Ours,
    /// Upstream's, of mode nftables.
    Upstreams,
    /// It has the sets of neither.
    Unknown,
}

/// What there is of mode ipvs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ipvs {
    /// Addresses of the interface `kube-ipvs0`; `None` if there is no such interface.
    pub addresses: Option<usize>,
    /// `/proc/net/ip_vs` has virtual servers; `None` if there is no IPVS.
    pub servers: Option<usize>,
    /// Their schedulers but `rr`.
    pub schedulers: Vec<String>,
}

/// What kube-proxy in mode iptables counts; `None` if nobody does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Connections that node ports on loopback addresses took.
    pub localhost_node_ports: Option<u64>,
    /// Packets dropped as INVALID.
    pub invalid: Option<u64>,
}

/// Connections to a port on loopback addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalhostFlows {
    /// The protocol.
    pub protocol: Protocol,
    /// The port, which is some Service's node port.
    pub port: u16,
    /// How many.
    pub count: usize,
}
