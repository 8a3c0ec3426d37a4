//! Initial lists, as a stream and in pages, from API servers that are functions.

use super::*;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use rules::ObjectKind::ServiceCidr;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tower::service_fn;

const CIDRS: &str = "/apis/networking.k8s.io/v1/servicecidrs";

type Answer = UnsyncBoxBody<Bytes, Infallible>;

/// What an API server does with a request for a streamed list.
#[derive(Clone, Copy)]
enum Stream {
    Works,
    /// The gate is off.
    Refuses,
    /// etcd is too old: the answer begins, and is an error.
    Breaks,
    /// From before there was such a thing: never says that it is done.
    NeverEnds,
}

fn cidr(name: &str) -> Value {
    json!({
        "kind": "ServiceCIDR",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": name, "resourceVersion": "5"},
        "spec": {"cidrs": ["10.96.0.0/16"]},
    })
}

fn status(code: u16) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "no", "reason": "Invalid", "code": code,
    })
}

/// A line of a watch that goes on, like every watch here.
fn lines(events: &[Value]) -> Answer {
    let text: String = events.iter().map(|event| format!("{event}\n")).collect();
    let first = futures::stream::once(async { Ok(Frame::data(text.into())) });
    StreamBody::new(first.chain(futures::stream::pending())).boxed_unsync()
}

fn whole(object: &Value) -> Answer {
    Full::from(object.to_string()).boxed_unsync()
}

fn client(stream: Stream, asked: Arc<Mutex<Vec<String>>>) -> Client {
    let answer = move |request: Request<Body>| {
        let uri = request.uri().to_string();
        asked.lock().expect("no panic").push(uri.clone());
        let added = |name| json!({"type": "ADDED", "object": cidr(name)});
        let end = json!({"type": "BOOKMARK", "object": {
            "kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1",
            "metadata": {"resourceVersion": "7",
                         "annotations": {"k8s.io/initial-events-end": "true"}},
        }});
        let broken = json!({"type": "ERROR", "object": status(500)});
        let (code, body) = match (uri.contains("sendInitialEvents=true"), stream) {
            (true, Stream::Works) => (200, lines(&[added("a"), end])),
            (true, Stream::Refuses) => (422, whole(&status(422))),
            (true, Stream::Breaks) => (200, lines(&[broken])),
            (true, Stream::NeverEnds) => (200, lines(&[added("a")])),
            (false, _) if uri.contains("watch=true") => (200, lines(&[added("b")])),
            (false, _) => {
                let list = json!({
                    "kind": "ServiceCIDRList", "apiVersion": "networking.k8s.io/v1",
                    "metadata": {"resourceVersion": "6"}, "items": [cidr("a")],
                });
                (200, whole(&list))
            }
        };
        let response = Response::builder().status(code).body(body);
        async move { Ok::<_, Infallible>(response.expect("a response")) }
    };
    Client::new(service_fn(answer), "default")
}

/// The events until `count` have come, and the requests that led there.
async fn follow_cidrs(stream: Stream, count: usize) -> (Vec<Event>, Vec<String>) {
    let asked = Arc::default();
    let (events, mut received) = mpsc::channel(16);
    let api = Api::<ServiceCIDR>::all(client(stream, Arc::clone(&asked)));
    let nowhere = Events::nowhere();
    let following = follow(
        api,
        watcher::Config::default(),
        &events,
        &nowhere,
        ServiceCidr,
        |cidr: &ServiceCIDR| upsert(convert::service_cidr(cidr), Event::ServiceCidr),
    );
    let receiving = async {
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(received.recv().await);
        }
        all
    };
    let all = tokio::select! {
        result = following => panic!("ended with {result:?}"),
        all = receiving => all,
    };
    let asked = asked.lock().expect("no panic").clone();
    (all, asked)
}

fn names(events: &[Event]) -> Vec<String> {
    let name = |event: &Event| match event {
        Event::ListBegin(_) => "begin".to_owned(),
        Event::ListEnd(_) => "end".to_owned(),
        Event::ServiceCidr(cidr) => cidr.name.to_string(),
        other => format!("{other:?}"),
    };
    events.iter().map(name).collect()
}

#[tokio::test]
async fn a_list_is_streamed_and_goes_on_as_the_watch() {
    let (events, asked) = follow_cidrs(Stream::Works, 3).await;
    assert_eq!(names(&events), ["begin", "a", "end"]);
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].starts_with(CIDRS), "{asked:?}");
    for part in [
        "watch=true",
        "allowWatchBookmarks=true",
        "resourceVersionMatch=NotOlderThan",
    ] {
        assert!(asked[0].contains(part), "{part} in {asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_stream_is_asked_for_pages() {
    for (stream, seen) in [
        (Stream::Refuses, &["begin", "a", "end", "b"][..]),
        (Stream::Breaks, &["begin", "begin", "a", "end", "b"]),
        // The second beginning puts everything back to the start.
        (Stream::NeverEnds, &["begin", "a", "begin", "a", "end", "b"]),
    ] {
        let (events, asked) = follow_cidrs(stream, seen.len()).await;
        assert_eq!(names(&events), seen);
        let list = format!("{CIDRS}?&limit=500");
        assert!(asked.contains(&list), "{list} in {asked:?}");
        assert!(
            asked.iter().any(|uri| uri.contains("resourceVersion=6")),
            "{asked:?}"
        );
    }
}

#[test]
fn bad_objects_make_an_event_on_the_service() {
    let (reports, mut queue) = Events::queue();
    let mut log = Log::new(
        ObjectKind::EndpointSlice,
        "endpointslices".to_owned(),
        reports,
    );
    let slice = EndpointSlice {
        metadata: ObjectMeta {
            name: Some("web-x1".to_owned()),
            namespace: Some("shop".to_owned()),
            labels: Some([(convert::SERVICE_NAME.to_owned(), "web".to_owned())].into()),
            ..ObjectMeta::default()
        },
        ..EndpointSlice::default()
    };
    let problems = vec!["one".to_owned(), "two".to_owned()];
    log.problems(&slice, problems.clone());
    log.problems(&slice, problems);
    let service = ObjectName::new("shop", "web");
    let report = Report::left_out(service, "EndpointSlice web-x1: one; two".to_owned());
    let sent = queue.try_recv().expect("an event");
    assert!(matches!(sent, crate::events::Message::Report(own) if own == report));
    assert!(queue.try_recv().is_err(), "said once");
}
