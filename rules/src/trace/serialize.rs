//! Packets and their ends as data, for scripts.

use super::{End, Origin, Packet};
use serde::ser::{Serialize, SerializeStruct, Serializer};

impl Serialize for Packet {
    /// `interface` (`null` for the node itself), `protocol`, `source`, `destination`, `port`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let interface = match &self.origin {
            Origin::Node => None,
            Origin::Interface(name) => Some(&**name),
        };
        let mut fields = serializer.serialize_struct("Packet", 5)?;
        fields.serialize_field("interface", &interface)?;
        fields.serialize_field("protocol", &self.protocol.to_string())?;
        fields.serialize_field("source", &self.source)?;
        fields.serialize_field("destination", &self.destination)?;
        fields.serialize_field("port", &self.port)?;
        fields.end()
    }
}

impl Serialize for End {
    /// `outcome` (`endpoint`, `untranslated`, `rejected`, `dropped`), `address`, `port`,
    /// `masquerade`; the last three are `null` where they mean nothing.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (outcome, backend, masquerade) = match self {
            Self::Endpoint {
                backend,
                masquerade,
            } => ("endpoint", Some(backend), Some(masquerade)),
            Self::Untranslated { masquerade } => ("untranslated", None, Some(masquerade)),
            Self::Rejected => ("rejected", None, None),
            Self::Dropped => ("dropped", None, None),
        };
        let mut fields = serializer.serialize_struct("End", 4)?;
        fields.serialize_field("outcome", outcome)?;
        fields.serialize_field("address", &backend.map(|backend| backend.address))?;
        fields.serialize_field("port", &backend.map(|backend| backend.port))?;
        fields.serialize_field("masquerade", &masquerade)?;
        fields.end()
    }
}
