//! Each rule of docs/reference.md#services-and-slices as a row
//! of a table, and each kind of bad part: one message that names its field,
//! and the rest is used.

mod endpoints;
mod node;
mod parts;
mod service;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// An API object from JSON.
fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("an API object")
}

/// `base` with the value at a JSON pointer replaced; null takes it away, a new
/// name is added.
fn with(mut base: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a JSON pointer");
    let parent = base.pointer_mut(parent).expect("a parent that is there");
    match (parent, value) {
        (Value::Object(map), Value::Null) => drop(map.remove(name)),
        (Value::Object(map), value) => drop(map.insert(name.to_owned(), value)),
        (Value::Array(list), value) => {
            let at: usize = name.parse().expect("an index");
            if at < list.len() {
                list[at] = value;
            } else {
                list.push(value);
            }
        }
        (other, _) => panic!("{pointer}: {other} has no parts"),
    }
    base
}

#[test]
fn pointers_replace_add_and_take_away() {
    let base = || json!({"a": {"b": [1, 2]}});
    assert_eq!(with(base(), "/a/b", Value::Null), json!({"a": {}}));
    assert_eq!(with(base(), "/a/c", json!(3))["a"]["c"], 3);
    assert_eq!(
        with(base(), "/a/b/1", json!(3)),
        json!({"a": {"b": [1, 3]}})
    );
}
