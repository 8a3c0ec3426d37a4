//! Names of chains: a fixed set of base and policy chains, shared pick chains of which
//! there is one per endpoint count that occurs, and those of single Service
//! ports with session affinity.

use super::{PortChain, SourceSet};
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
