//! Lists cut anywhere, and what is no list.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The objects and the end of a list that comes in such pieces.
fn read(text: &str, size: usize) -> (Vec<Value>, Result<ListEnd, Failure>) {
    let mut list = List::default();
    let mut objects = Vec::new();
    for piece in text.as_bytes().chunks(size) {
        let pushed = list.push(piece, |object| {
            objects.push(serde_json::from_slice(object).expect("an object"));
        });
        if let Err(failure) = pushed {
            return (objects, Err(failure));
        }
    }
    (objects, list.end())
}

fn list(items: &Value, metadata: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": metadata, "items": items})
}

#[test]
fn objects_come_out_wherever_the_pieces_end() {
    let items = json!([
        {"metadata": {"name": "a\\\"]}", "items": [{"b": [1]}]}, "items": []},
        {},
        {"x": "[{", "ü": "\u{1F600}\\"},
    ]);
    let value = list(&items, &json!({"resourceVersion": "7", "continue": "next"}));
    let pretty = serde_json::to_string_pretty(&value).expect("JSON");
    let first = format!(
        r#"{{"items": {items} , "kind":"L\"items\":List","metadata":{{"resourceVersion":"7","continue":"next"}}}}"#
    );
    for text in [value.to_string(), pretty, first] {
        for size in [1, 2, 3, 7, text.len()] {
            let (objects, end) = read(&text, size);
            assert_eq!(Value::from(objects), items, "{size} of {text}");
            let expected = ListEnd {
                version: "7".to_owned(),
                token: Some("next".to_owned()),
            };
            assert_eq!(end.expect("a list"), expected);
        }
    }
}

#[test]
fn only_the_items_of_the_list_itself_are_objects() {
    let metadata = json!({"resourceVersion": "7", "items": [{"no": 1}], "continue": ""});
    let mut value = list(&json!([{"yes": 1}]), &metadata);
    value["other"] = json!(["items", [{"no": 2}]]);
    let (objects, end) = read(&value.to_string(), 5);
    assert_eq!(objects, [json!({"yes": 1})]);
    assert_eq!(end.expect("a list").token, None);
    let (objects, end) = read(&list(&Value::Null, &metadata).to_string(), 5);
    assert!(objects.is_empty() && end.is_ok());
}

#[test]
fn what_is_no_list_is_shown_from_its_beginning() {
    let whole = list(&json!([{"a": 1}]), &json!({"resourceVersion": "7"})).to_string();
    for (text, says) in [
        (
            "<html><body>Sign in",
            "this is no answer of an API server: <html><body>Sign in",
        ),
        ("", "this is no answer of an API server: "),
        ("[]", "this is no answer of an API server: []"),
        (
            r#"{"kind":"Status","metadata":{}}"#,
            r#"this is no answer of an API server: {"kind":"Status","metadata":{}}"#,
        ),
        (
            r#"{"kind":"ServiceList","metadata":{},"items":[]}"#,
            r#"this is no answer of an API server: {"kind":"ServiceList","metadata":{},"items":[]}"#,
        ),
        (
            r#"{"items":[1]}"#,
            "this is no answer of an API server: a list of something else",
        ),
        (&whole[..whole.len() - 9], "the list stops in the middle"),
        (&whole[..30], "the list stops in the middle"),
    ] {
        let (_, end) = read(text, 4);
        assert_eq!(end.expect_err(text).to_string(), says);
    }
}

#[test]
fn nothing_that_has_no_end_is_held() {
    let piece = vec![b'x'; 1 << 20];
    for (begins, at_most) in [("", MAX_REST), (r#"{"items":[{"a":""#, MAX_OBJECT)] {
        let mut list = List::default();
        list.push(begins.as_bytes(), |_| {}).expect("a beginning");
        let mut pushed = 0;
        while list.push(&piece, |_| {}).is_ok() {
            pushed += piece.len();
            assert!(pushed <= at_most, "{begins}");
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        r#"[\[\]{}",:\\items ]{0,8}"#.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(r#"items|[\[{"\\a]{0,3}"#, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// The same objects as a parser of the whole finds.
    #[test]
    fn any_list_comes_out_whole(
        items in prop::collection::vec(prop::collection::btree_map("[a-c]", any_json(), 0..3), 0..5),
        extra in any_json(),
        pretty in any::<bool>(),
        size in 1_usize..40,
    ) {
        let items = serde_json::to_value(items).expect("JSON");
        let mut value = list(&items, &json!({"resourceVersion": "7"}));
        value["a"] = extra.clone();
        value["z"] = extra;
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let (objects, end) = read(&text.expect("JSON"), size);
        prop_assert_eq!(Value::from(objects), items);
        prop_assert_eq!(end.expect("a list").version, "7");
    }

    /// Nothing makes it panic.
    #[test]
    fn any_text_ends_somehow(text in r#"[\[\]{}",:\\itemsa ]{0,60}"#, size in 1_usize..9) {
        let mut list = List::default();
        for piece in text.as_bytes().chunks(size) {
            if list.push(piece, |_| {}).is_err() {
                return Ok(());
            }
        }
        drop(list.end());
    }
}
