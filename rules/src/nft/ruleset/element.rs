//! Elements of sets and maps.

use super::ChainId;
use crate::model::{EndpointAddr, Frontend, Protocol};
use std::net::IpAddr;
use std::sync::Arc;

/// An element's key. Its shape follows the set's [`super::SetId::key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// `Address`.
    Address(IpAddr),
    /// `Address . Protocol . Port`, or `Protocol . Port` for a node port.
    Frontend(Frontend),
    /// A frontend's key followed by `Index`.
    Indexed(Frontend, u32),
    /// `Index`.
    Listed(u32),
    /// `Address . Address . Protocol . Port`: the same address twice.
    Hairpin(EndpointAddr, Protocol),
}

/// What a map's element yields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// [`super::DataType::Verdict`].
    Verdict(Verdict),
    /// [`super::DataType::Endpoint`].
    Endpoint(EndpointAddr),
}

/// Where a packet goes on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Discard it.
    Drop,
    /// Go on in a chain, without coming back.
    Goto(ChainId),
    /// Go on in a chain and come back at its end.
    Jump(ChainId),
}

/// One element of a set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The key, unique in its set.
    pub key: Key,
    /// The value, for maps.
    pub value: Option<Value>,
    /// A comment for readers, cut to [`Element::COMMENT_MAX`] bytes when rendered.
    pub comment: Option<Arc<str>>,
}

impl Element {
    /// The longest comment nft accepts, in bytes (its limit of 128 counts a
    /// closing NUL).
    pub const COMMENT_MAX: usize = 127;
}
