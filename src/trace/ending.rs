//! How a packet's way ends, told of what is foretold and of what was seen.

use schemars::JsonSchema;
use serde::Serialize;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// It goes to an endpoint.
    Delivered,
    /// It is answered with ICMP port unreachable.
    Rejected,
    /// It is discarded.
    Dropped,
    /// It is for the node itself, untranslated.
    Local,
    /// It goes onwards, untranslated.
    Routed,
}

/// Whether the pod sees the client's own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAddress {
    /// It does.
    Kept,
    /// It sees one of the node's.
    Replaced,
}
