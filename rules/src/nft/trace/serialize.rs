//! Traces as data, for scripts: names and texts as nft lists them.

use super::{Path, Step, Trace};
use crate::nft::print;
use serde::ser::{Serialize, SerializeStruct, Serializer};

impl Serialize for Step {
    /// `hook`, `chain`, `position` and `rule`; `set` and `element`, `null` where none was found;
    /// `outcome`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let matched = self.matched.as_ref();
        let mut fields = serializer.serialize_struct("Step", 7)?;
        fields.serialize_field("hook", self.point.name())?;
        fields.serialize_field("chain", &self.chain.to_string())?;
        fields.serialize_field("position", &self.position)?;
        fields.serialize_field("rule", &self.rule_text())?;
        fields.serialize_field("set", &matched.map(|matched| matched.set.name()))?;
        let element = matched.map(|matched| print::element(&matched.element));
        fields.serialize_field("element", &element)?;
        fields.serialize_field("outcome", &self.outcome.to_string())?;
        fields.end()
    }
}

impl Serialize for Path {
    /// `probability`, `steps`, `remembered` (names of sets) and `end`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let remembered = self.remembered.iter().map(ToString::to_string);
        let mut fields = serializer.serialize_struct("Path", 4)?;
        fields.serialize_field("probability", &self.probability)?;
        fields.serialize_field("steps", &self.steps)?;
        fields.serialize_field("remembered", &remembered.collect::<Vec<_>>())?;
        fields.serialize_field("end", &self.end)?;
        fields.end()
    }
}

impl Serialize for Trace {
    /// `packet` and `paths`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Trace", 2)?;
        fields.serialize_field("packet", &self.packet)?;
        fields.serialize_field("paths", &self.paths)?;
        fields.end()
    }
}
