//! Where packets meet chains.

use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// The family of a table with packets of IP in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChainFamily {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Both.
    Inet,
    /// A device's packets, whatever they are.
    Netdev,
}

/// Where packets meet a chain (`enum nf_inet_hooks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// Before anything else is done with what a device receives.
    Ingress,
    /// Before routing.
    Prerouting,
    /// On the way to a process of this node.
    Input,
    /// On the way through this node.
    Forward,
    /// From a process of this node.
    Output,
    /// On the way out.
    Postrouting,
    /// After everything else is done with what a device sends.
    Egress,
}

/// Which destination address a chain sees of a Service's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sees {
    /// The Service's.
    Frontend,
    /// The endpoint's.
    Endpoint,
    /// The one or the other: it has the priority of the translation, and who came first goes
    /// first.
    Either,
}

impl fmt::Display for ChainFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
            Self::Netdev => "netdev",
        })
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress",
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Egress => "egress",
        })
    }
}

impl fmt::Display for Sees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frontend => "the Service's address",
            Self::Endpoint => "the endpoint's address",
            Self::Either => "the Service's or the endpoint's address",
        })
    }
}
