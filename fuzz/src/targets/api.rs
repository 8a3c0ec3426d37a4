//! What an API server answers: a list, or the events of a watch. It means the same however the
//! network cuts it, and its objects make rules that the kernel takes.

use crate::table::program;
use kube_proxy::fuzzing::{Answer, answer};
use rules::ObjectKind;
use serde_json::Value;

/// Longer lines would fill a log.
const LINE: usize = 4 << 10;

/// The first byte chooses the kind and whether it is a list, the second where it is cut.
pub(crate) fn run(data: &[u8]) {
    let [how, cut, body @ ..] = data else {
        return;
    };
    let kind = match how & 3 {
        0 => ObjectKind::Service,
        1 => ObjectKind::EndpointSlice,
        2 => ObjectKind::Node,
        _ => ObjectKind::ServiceCidr,
    };
    let is_list = how & 4 == 4;
    let whole = answer(kind, is_list, std::iter::once(body));
    let pieces = answer(kind, is_list, body.chunks(usize::from(*cut) + 1));
    match &whole.failure {
        None => assert_eq!(whole, pieces, "whole on the left, cut on the right"),
        // What came before the failure may have been taken or not.
        Some(failure) => {
            assert_eq!(pieces.failure.as_ref(), Some(failure));
            let is_some = whole
                .events
                .iter()
                .eq(pieces.events.iter().take(whole.events.len()));
            assert!(is_some, "whole {:?}, cut {:?}", whole.events, pieces.events);
        }
    }
    for text in whole.problems.iter().chain(&whole.failure) {
        let fits = !text.is_empty() && text.len() < LINE && !text.contains('\n');
        assert!(fits, "{text:?}");
    }
    if is_list {
        check_list(body, &whole);
    }
    program(&whole.events, true);
}

/// The objects are those that a parser of JSON finds. It finds none where one of them cannot be
/// read, which costs us that one only.
fn check_list(body: &[u8], found: &Answer) {
    let Ok(Value::Object(list)) = serde_json::from_slice(body) else {
        return;
    };
    // Of a key that occurs twice, or that is written with escapes, the parser has its own idea.
    let text = String::from_utf8_lossy(body);
    if text.matches("items").count() > 1 || text.contains("\\u") {
        return;
    }
    let (Some(Value::Array(items)), Some(_)) = (list.get("items"), &found.version) else {
        return;
    };
    let objects = found.objects.iter();
    let objects: Vec<Value> = objects
        .map(|own| serde_json::from_slice(own).unwrap_or_else(|error| panic!("{error}")))
        .collect();
    assert_eq!(&objects, items);
}
