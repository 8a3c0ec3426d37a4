//! From the tree to whatever type serde derives reading for. Go's decoder has its own rules for what
//! a value fits, and its users its words for what does not.

use super::Tree;
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Null is a type's zero value, as everywhere in Go.
impl<'de> Deserializer<'de> for Tree {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Integer(value) => visitor.visit_i128(value),
            Self::Float(value) => visitor.visit_f64(value),
            Self::Text(text) => visitor.visit_string(text),
            Self::List(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter())),
            Self::Map(fields) => visitor.visit_map(MapDeserializer::new(fields.into_iter())),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Null => visitor.visit_bool(false),
            Self::Bool(value) => visitor.visit_bool(value),
            other => Err(error(other.is_not("a bool"))),
        }
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.integer();
        let is_not = || error(self.is_not("a whole number of 32 bits"));
        visitor.visit_i32(value.ok_or_else(is_not)?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.integer();
        let is_not = || error(self.is_not("a whole number from 0 on"));
        visitor.visit_u32(value.ok_or_else(is_not)?)
    }

    // Upstream's field has this precision as well.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = match self {
            Self::Null => 0.0,
            Self::Integer(value) => value as f32,
            Self::Float(value) => value as f32,
            _ => f32::NAN,
        };
        if !value.is_finite() {
            return Err(error(self.is_not("a number of 32 bits")));
        }
        visitor.visit_f32(value)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Null => visitor.visit_str(""),
            Self::Text(text) => visitor.visit_string(text),
            other => Err(error(other.is_not("a string"))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Null => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Null => Self::List(Vec::new()).deserialize_any(visitor),
            Self::List(_) => self.deserialize_any(visitor),
            other => Err(error(other.is_not("a list"))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Null => Self::Map(Vec::new()).deserialize_any(visitor),
            Self::Map(_) => self.deserialize_any(visitor),
            other => Err(error(other.is_not("an object"))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i64 i128 u8 u16 u64 u128 f64 char str bytes byte_buf unit unit_struct newtype_struct
        tuple tuple_struct enum identifier ignored_any
    }
}

fn error(message: String) -> Error {
    serde::de::Error::custom(message)
}

impl<'de> IntoDeserializer<'de, Error> for Tree {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
