//! Chains: a fixed set of base and policy chains, shared pick chains of which
//! there is one per endpoint count that occurs, and those of single Service
//! ports with session affinity.

use super::{PortChain, SourceSet, Statement};
use std::fmt;

/// A chain's name, typed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChainId {
    /// A chain that is always there.
    Fixed(&'static str),
    /// Picks one of `endpoints` endpoints of the frontend.
    Cluster {
        /// How many there are, at least 1.
        endpoints: u32,
        /// Marks for masquerade first.
        masquerade: bool,
        /// Looks the frontend up without an address.
        nodeport: bool,
    },
    /// Picks one of `endpoints` endpoints of the frontend on this node.
    Local {
        /// How many there are, at least 1.
        endpoints: u32,
        /// Looks the frontend up without an address.
        nodeport: bool,
    },
    /// External policy Local: clients in the cluster get any endpoint, all
    /// others one of this node's.
    ExternalLocal {
        /// Endpoints on this node; with 0 outside traffic falls through, to be
        /// dropped by the filter hooks.
        local: u32,
        /// Endpoints in the cluster, at least 1.
        all: u32,
        /// Looks the frontend up without an address.
        nodeport: bool,
    },
    /// Drops what comes from other sources than these.
    Sources(SourceSet),
    /// A chain of a single Service port.
    Port(PortChain),
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = |nodeport: bool| if nodeport { "nodeport-" } else { "" };
        match self {
            Self::Fixed(name) => f.write_str(name),
            Self::Sources(own) => own.fmt(f),
            Self::Port(own) => own.fmt(f),
            Self::Cluster {
                endpoints,
                masquerade,
                nodeport,
            } => {
                let marked = if *masquerade { "masquerade-" } else { "" };
                write!(f, "{}{marked}cluster-{endpoints}", prefix(*nodeport))
            }
            Self::Local {
                endpoints,
                nodeport,
            } => {
                write!(f, "{}local-{endpoints}", prefix(*nodeport))
            }
            Self::ExternalLocal {
                local,
                all,
                nodeport,
            } => {
                write!(f, "{}local-{local}-of-{all}", prefix(*nodeport))
            }
        }
    }
}

/// The type of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// `type filter`.
    Filter,
    /// `type nat`.
    Nat,
}

/// Where a base chain hangs in the packet path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HookPoint {
    /// `NF_INET_PRE_ROUTING`.
    Prerouting,
    /// `NF_INET_LOCAL_IN`.
    Input,
    /// `NF_INET_FORWARD`.
    Forward,
    /// `NF_INET_LOCAL_OUT`.
    Output,
    /// `NF_INET_POST_ROUTING`.
    Postrouting,
}

/// What makes a chain a base chain; the policy is always accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The type.
    pub kind: HookKind,
    /// The hook.
    pub point: HookPoint,
    /// The order among the hook's chains, lowest first.
    pub priority: i32,
}

/// A chain with its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub id: ChainId,
    /// Set for base chains.
    pub hook: Option<Hook>,
    /// A comment in the listing; empty for none. At most 127 bytes.
    pub comment: &'static str,
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

/// A rule: its statements, evaluated in order until one does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The statements.
    pub statements: Vec<Statement>,
}
