//! Lines, whole and cut, good and bad.

use super::*;
use crate::source::objects::EndpointSlice;
use serde_json::json;

fn event(kind: &str, object: &Value) -> Result<Option<WatchEvent<EndpointSlice>>, Failure> {
    read(
        json!({"type": kind, "object": object})
            .to_string()
            .as_bytes(),
    )
}

fn slice(port: &Value) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "namespace": "shop", "resourceVersion": "5",
                     "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": port}], "nobody": {"knows": []},
    })
}

#[test]
fn objects_that_can_be_read_are() {
    for (kind, is_added) in [("ADDED", true), ("MODIFIED", false)] {
        match event(kind, &slice(&json!(80))) {
            Ok(Some(WatchEvent::Applied { object, added })) => {
                assert_eq!((added, object.address_type.as_str()), (is_added, "IPv4"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_object_that_cannot_be_read_says_which_and_why() {
    let mut nameless = slice(&json!(80));
    nameless["metadata"] = json!({"namespace": "shop", "name": ""});
    for (object, name, says) in [
        (
            slice(&json!("8080")),
            Some("web-1"),
            "invalid type: string \"8080\", expected i32",
        ),
        (
            slice(&json!(1e30)),
            Some("web-1"),
            "invalid type: floating point",
        ),
        (nameless, None, "metadata.name: is missing"),
        (json!(["a"]), None, "invalid type"),
        (json!(null), None, "invalid type"),
    ] {
        match event("MODIFIED", &object) {
            Ok(Some(WatchEvent::Undecodable(own))) => {
                assert_eq!(own.metadata.name.as_deref(), name);
                assert!(own.reason.contains(says), "{own:?}");
            }
            other => panic!("{object}: {other:?}"),
        }
    }
}

#[test]
fn what_is_deleted_needs_no_more_than_a_name() {
    let deleted = event("DELETED", &slice(&json!("8080")));
    let Ok(Some(WatchEvent::Deleted { metadata })) = deleted else {
        panic!("{deleted:?}");
    };
    assert_eq!(metadata.namespace.as_deref(), Some("shop"));
    assert_eq!(metadata.resource_version.as_deref(), Some("5"));
    let nameless = event("DELETED", &json!({}));
    assert!(
        matches!(nameless, Ok(Some(WatchEvent::Undecodable(_)))),
        "{nameless:?}"
    );
}

#[test]
fn bookmarks_and_types_that_nobody_knows() {
    let end = json!({"metadata": {"resourceVersion": "7", "annotations": {END_OF_LIST: "true"}}});
    for (object, version, is_end) in [
        (end, "7", true),
        (
            json!({"metadata": {"resourceVersion": "8", "labels": 5}}),
            "8",
            false,
        ),
        (json!({}), "", false),
    ] {
        match event("BOOKMARK", &object) {
            Ok(Some(WatchEvent::Bookmark {
                version: own,
                end_of_list,
            })) => {
                assert_eq!((&*own, end_of_list), (version, is_end));
            }
            other => panic!("{other:?}"),
        }
    }
    let unknown = event("REPLACED", &json!({}));
    assert!(matches!(unknown, Ok(Some(WatchEvent::Unknown(name))) if name == "REPLACED"));
}

#[test]
fn errors_and_garbage_are_failures() {
    let status = json!({"kind": "Status", "code": 410, "message": "too old"});
    for (line, says) in [
        (
            json!({"type": "ERROR", "object": status}).to_string(),
            "410 Gone: too old",
        ),
        (status.to_string(), "410 Gone: too old"),
        (
            "<html>".to_owned(),
            "this is no answer of an API server: <html>",
        ),
        (
            "{\"type\":\"ADDED\"}".to_owned(),
            "this is no answer of an API server: {\"type\":\"ADDED\"}",
        ),
        (
            "{\"type\":\"ADD".to_owned(),
            "this is no answer of an API server: {\"type\":\"ADD",
        ),
        (
            "\u{0}\u{1}".to_owned(),
            "this is no answer of an API server: \u{0}",
        ),
    ] {
        let failure = read::<EndpointSlice>(line.as_bytes())
            .expect_err(&line)
            .to_string();
        assert_eq!(failure, says.trim_end_matches('\u{0}'), "{line}");
    }
    for empty in ["", "  ", "\r"] {
        assert!(matches!(read::<EndpointSlice>(empty.as_bytes()), Ok(None)));
    }
}

#[test]
fn lines_are_bounded_and_come_in_pieces() {
    let mut lines = Lines::with_limit(10);
    lines.push(b"one\r\ntw");
    assert_eq!(
        lines.next().expect("a line").as_deref(),
        Some(&b"one\r"[..])
    );
    assert_eq!(lines.next().expect("none yet"), None);
    lines.push(b"o\n\n");
    assert_eq!(lines.next().expect("a line").as_deref(), Some(&b"two"[..]));
    assert_eq!(lines.next().expect("a line").as_deref(), Some(&b""[..]));
    // As long as can be, in pieces.
    lines.push(&[b'x'; 6]);
    assert_eq!(lines.next().expect("none yet"), None);
    lines.push(b"xxxx");
    assert_eq!(lines.next().expect("none yet"), None);
    lines.push(b"\nx");
    assert_eq!(
        lines.next().expect("a line").map(|line| line.len()),
        Some(10)
    );
    for longer in [&[b'x'; 10][..], b"xxxxxxxxxx\n"] {
        let mut lines = Lines::with_limit(10);
        lines.push(b"x");
        assert_eq!(lines.next().expect("none yet"), None);
        lines.push(longer);
        let failure = lines.next().expect_err("too long").to_string();
        assert!(
            failure.contains("an event of more than 10 bytes"),
            "{failure}"
        );
    }
    assert_eq!(lines.rest(), "x");
}
