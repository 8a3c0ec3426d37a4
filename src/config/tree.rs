//! YAML or JSON as a tree that keeps what Rust's types would drop: keys that occur twice.

mod deserializer;

use crate::yaml;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;

/// A value of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// The first document of a text: upstream leaves what follows alone.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((_, document)) = yaml::documents(text).into_iter().next() else {
            return Ok(Self::Null);
        };
        let options = serde_saphyr::options! {
            duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
            legacy_octal_numbers: true,
            with_snippet: false,
        };
        serde_saphyr::from_str_with_options(document, options).map_err(|error| error.to_string())
    }

    /// What Go's decoder calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Integer(_) | Self::Float(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Map(_) => "object",
        }
    }

    /// A whole number that the type can hold, whether or not it is written as one: `1e3`.
    #[allow(clippy::cast_possible_truncation)]
    pub fn integer<T: TryFrom<i128>>(&self) -> Option<T> {
        let value = match self {
            Self::Null => 0,
            Self::Integer(value) => *value,
            Self::Float(value) if value.fract() == 0.0 => *value as i128,
            _ => return None,
        };
        T::try_from(value).ok()
    }

    /// That a field takes something else.
    pub fn is_not(&self, what: &str) -> String {
        let number = match self {
            Self::Integer(number) => format!(" {number}"),
            Self::Float(number) => format!(" {number}"),
            _ => String::new(),
        };
        let article = match self {
            Self::List(_) | Self::Map(_) => "an",
            _ => "a",
        };
        format!("is {article} {}{number}, not {what}", self.kind())
    }

    /// Leaves the last of the values that one key has, and tells the paths of such keys.
    pub fn remove_duplicates(&mut self, path: &str, duplicates: &mut Vec<String>) {
        match self {
            Self::List(items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    item.remove_duplicates(&format!("{path}[{at}]"), duplicates);
                }
            }
            Self::Map(fields) => {
                let prefix = match path {
                    "" => String::new(),
                    path => format!("{path}."),
                };
                let mut later = BTreeSet::new();
                fields.reverse();
                fields.retain(|(key, _)| {
                    let is_last = later.insert(key.clone());
                    if !is_last {
                        duplicates.push(format!("{prefix}{key}"));
                    }
                    is_last
                });
                fields.reverse();
                for (key, value) in fields {
                    value.remove_duplicates(&format!("{prefix}{key}"), duplicates);
                }
            }
            _ => {}
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Build)
    }
}

struct Build;
impl<'de> Visitor<'de> for Build {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Tree, E> {
        Ok(Tree::Integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = access.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = access.next_entry::<Tree, Tree>()? {
            let key = match key {
                Tree::Text(key) => key,
                Tree::Integer(key) => key.to_string(),
                Tree::Bool(key) => key.to_string(),
                other => {
                    return Err(serde::de::Error::custom(format!(
                        "a key has to be a string, not {}",
                        other.kind()
                    )));
                }
            };
            map.push((key, value));
        }
        Ok(Tree::Map(map))
    }
}
