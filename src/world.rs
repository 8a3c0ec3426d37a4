//! The cluster's objects under the settings: the one place where the daemon, `render` and every
//! other command turn the two into what is programmed.
//!
//! Objects are held once, whoever's view is asked for: [`World::here`] is that of this node,
//! [`World::seen_from`] that of any other one that was loaded.

mod load;

pub use load::{Loaded, Nodes, load};

use crate::addresses;
use crate::settings::{DetectLocalMode, RuleSettings, Settings};
use ipnet::IpNet;
use rules::iptables;
use rules::model::{Family, Node, ObjectName};
use rules::nft::{Planner, ruleset::Transaction};
use rules::{Applied, Change, Config, Counters, LocalDetector, Localhost, NodeportAddresses};
use rules::{State, Trigger, View};
use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// The objects as far as they are known, and what the settings let count of them.
#[derive(Debug)]
pub struct World {
    settings: RuleSettings,
    node_name: Arc<str>,
    state: State,
    /// Nodes but this one.
    others: BTreeMap<Arc<str>, Node>,
}

impl World {
    /// A cluster without objects, as the node that the settings name sees it.
    pub fn new(settings: &Settings) -> Self {
        let rules = settings.rules.clone();
        Self {
            state: if rules.external_ips {
                State::new()
            } else {
                State::without_external_ips()
            },
            settings: rules,
            node_name: settings.node_name.clone(),
            others: BTreeMap::new(),
        }
    }

    /// Takes in a change of the cluster. A Node of another name than this one's changes nothing
    /// for this one; it is remembered for [`seen_from`](Self::seen_from).
    pub fn apply(&mut self, change: Change) -> Applied {
        match change {
            Change::Node(node) if node.name != self.node_name => {
                self.others.insert(node.name.clone(), node);
                Applied::default()
            }
            change => self.state.apply(change),
        }
    }

    /// The objects.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The Services touched since the last call.
    pub fn take_dirty(&mut self) -> HashSet<ObjectName> {
        self.state.take_dirty()
    }

    /// The changes of endpoints since the last call; see [`State::take_triggers`].
    pub fn take_triggers(&mut self) -> Vec<Trigger> {
        self.state.take_triggers()
    }

    /// The names of all Nodes that were loaded, in order.
    pub fn nodes(&self) -> Vec<Arc<str>> {
        let here = self.state.node().map(|node| node.name.clone());
        let mut names: Vec<Arc<str>> = self.others.keys().cloned().chain(here).collect();
        names.sort_unstable();
        names
    }

    /// All Nodes that were loaded, this one among them.
    pub fn node_objects(&self) -> Vec<&Node> {
        let mut nodes: Vec<&Node> = self.others.values().chain(self.state.node()).collect();
        nodes.sort_unstable_by_key(|node| &node.name);
        nodes
    }

    /// This node's view, with what its object told last.
    pub fn here(&self) -> Standpoint<'_> {
        Standpoint {
            settings: &self.settings,
            name: &self.node_name,
            view: self.state.view(),
            node: self.state.last_node(),
        }
    }

    /// The view of any Node; `None` if there is none of that name.
    ///
    /// The settings are this node's: `--bind-address`, where it is an address, overrides that of
    /// each Node.
    pub fn seen_from(&self, name: &str) -> Option<Standpoint<'_>> {
        if *self.node_name == *name {
            return self.state.node().map(|_| self.here());
        }
        let node = self.others.get(name)?;
        Some(Standpoint {
            settings: &self.settings,
            name: &node.name,
            view: self.state.view_from(node),
            node: Some(node),
        })
    }
}

/// The cluster as one node sees it. To ask is cheap: nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct Standpoint<'a> {
    settings: &'a RuleSettings,
    name: &'a Arc<str>,
    view: View<'a>,
    /// What the Node object told last.
    node: Option<&'a Node>,
}

impl<'a> Standpoint<'a> {
    /// The node's name.
    pub fn name(&self) -> &'a Arc<str> {
        self.name
    }

    /// What a planner is asked with.
    pub fn view(&self) -> View<'a> {
        self.view
    }

    /// The settings of one family's rules. What the Node object tells of them may change later;
    /// see [`Planner::configure`].
    pub fn config(&self, family: Family) -> Config {
        config(self.settings, self.name, self.node, family)
    }

    /// The node's addresses as far as its object and `--bind-address` tell them, for want of its
    /// interfaces: whoever asks is seldom on the node itself.
    pub fn stated_addresses(&self) -> Vec<IpAddr> {
        let primary = |family| addresses::primary(self.node, self.settings.bind_address, family);
        let stated = Family::ALL.into_iter().filter_map(primary);
        let told = self.node.into_iter().flat_map(|node| &node.addresses);
        stated.chain(told.copied()).collect()
    }

    /// The transaction that makes one family's table as it is to be on this node, whatever is
    /// there; node ports answer on the [stated addresses](Self::stated_addresses).
    pub fn ruleset(&self, family: Family) -> Option<Transaction> {
        let mut planner = Planner::new(self.config(family));
        let local = self.stated_addresses();
        let pending = planner.prepare_seen(self.view, &local, Default::default);
        pending.map(|pending| pending.transaction)
    }

    /// What upstream's mode iptables has of one family on this node, if the kernel has its counters;
    /// node ports answer on the [stated addresses](Self::stated_addresses) and loopback ones.
    pub fn chains(&self, family: Family) -> iptables::Ruleset {
        let mut local = self.stated_addresses();
        local.extend([
            IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        ]);
        self.chains_with(family, &local)
    }

    /// The same of a node that has these addresses on its interfaces, loopback ones among them.
    pub fn chains_with(&self, family: Family, local: &[IpAddr]) -> iptables::Ruleset {
        let config = Config {
            counters: Counters {
                invalid_dropped: true,
                localhost_nodeports: true,
            },
            ..self.config(family)
        };
        iptables::ruleset(&config, self.view, local)
    }
}

/// The settings of one family's rules on a node that is called so, as its object tells.
pub fn config(
    settings: &RuleSettings,
    node_name: &Arc<str>,
    node: Option<&Node>,
    family: Family,
) -> Config {
    let primary = addresses::primary(node, settings.bind_address, family);
    let nodeport_addresses =
        addresses::nodeport_addresses(&settings.nodeport_addresses, primary, family);
    Config {
        masquerade_mark: settings.masquerade_mark,
        masquerade_all: settings.masquerade_all,
        count_services: settings.count_services,
        local_detector: local_detector(settings, node, family),
        node_ip: primary,
        localhost_nodeports: settings.localhost_nodeports
            && family == Family::V4
            && nodeport_addresses.hold_ipv4_loopback(),
        localhost: localhost(settings, family, &nodeport_addresses),
        drop_invalid: settings.drop_invalid,
        counters: settings.counters,
        nodeport_addresses,
        ..Config::new(family, node_name.clone())
    }
}

/// What becomes of node ports on loopback addresses where nftables serves: docs/localhost-node-ports.md.
fn localhost(
    settings: &RuleSettings,
    family: Family,
    nodeport_addresses: &NodeportAddresses,
) -> Localhost {
    if settings.localhost_gate {
        return match addresses::name_localhost(&settings.nodeport_addresses, family) {
            true => Localhost::Proxied {
                local_policy_serves_all: false,
            },
            false => Localhost::Refused,
        };
    }
    // Mode iptables, which has no such thing in IPv6.
    let own = rules::localhost::address(family);
    let is_one = match nodeport_addresses {
        NodeportAddresses::All => true,
        NodeportAddresses::Within(ranges) => ranges.iter().any(|range| range.contains(&own)),
    };
    match settings.localhost_nodeports && family == Family::V4 && is_one {
        true => Localhost::Proxied {
            local_policy_serves_all: true,
        },
        false => Localhost::Untouched,
    }
}

/// How pods of a node are recognised: docs/reference.md#local-traffic. Of several ranges of a
/// family the first one counts.
fn local_detector(settings: &RuleSettings, node: Option<&Node>, family: Family) -> LocalDetector {
    let by_source = |ranges: &[IpNet]| {
        let first = ranges
            .iter()
            .find(|range| Family::of(range.addr()) == family);
        first.map_or(LocalDetector::None, |range| {
            LocalDetector::Source(range.trunc())
        })
    };
    let by_interface = |name: &str, wildcard| LocalDetector::Interface {
        name: name.into(),
        wildcard,
    };
    match settings.detect_local_mode {
        DetectLocalMode::ClusterCidr => by_source(&settings.cluster_cidrs),
        DetectLocalMode::NodeCidr => {
            by_source(node.map(|node| &node.pod_cidrs[..]).unwrap_or_default())
        }
        DetectLocalMode::BridgeInterface => by_interface(&settings.bridge_interface, false),
        DetectLocalMode::InterfaceNamePrefix => by_interface(&settings.interface_name_prefix, true),
    }
}

#[cfg(test)]
mod tests;
