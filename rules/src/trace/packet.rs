//! A packet, where it passes, and what may become of it.

use crate::model::{EndpointAddr, Protocol};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A hook of the packet path.
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

impl HookPoint {
    /// As nft names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        }
    }
}

/// Where a packet enters the packet path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// A process of the node itself sends it: hooks output and postrouting,
    /// and for an address of the node then prerouting and input by way of `lo`.
    Node,
    /// It comes in by this interface, from a pod or from outside: hook
    /// prerouting, then input, or forward and postrouting.
    Interface(Arc<str>),
}

/// The first packet of a connection. Both addresses are of one family, that
/// of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Packet {
    /// Where it comes from.
    pub origin: Origin,
    /// Transport protocol.
    pub protocol: Protocol,
    /// The client's address.
    pub source: IpAddr,
    /// The address that the client connects to.
    pub destination: IpAddr,
    /// The port that the client connects to.
    pub port: u16,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// It goes to an endpoint.
    Endpoint {
        /// The endpoint.
        backend: EndpointAddr,
        /// With the node's address as its source.
        masquerade: bool,
    },
    /// It goes where it was sent, as if there were no rules.
    Untranslated {
        /// With the node's address as its source.
        masquerade: bool,
    },
    /// It is answered with ICMP port unreachable.
    Rejected,
    /// It is discarded.
    Dropped,
}

impl End {
    /// Whether the source is replaced by an address of the node.
    pub(crate) fn masquerades(self) -> bool {
        match self {
            Self::Endpoint { masquerade, .. } | Self::Untranslated { masquerade } => masquerade,
            Self::Rejected | Self::Dropped => false,
        }
    }
}

/// What may become of a packet, each with how likely it is, from 0 to 1.
pub type Ends = BTreeMap<End, f64>;

/// Rules that packets are followed through.
pub trait Follow {
    /// Everything that may become of a packet.
    fn ends(&self, packet: &Packet) -> Ends;
}
