//! Lists and watches of API servers that are functions, by a clock that only
//! waiting moves.

mod faults;
mod lists;
mod once;

use super::*;
use crate::metrics::Metrics;
use crate::source::client::deadline::{self, Patience, SILENCE};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tower::service_fn;

const CIDRS: &str = "/apis/networking.k8s.io/v1/servicecidrs";

type Answer = UnsyncBoxBody<Bytes, Infallible>;

/// What comes of a request.
enum Reply {
    /// A status, headers and the pieces of a body, each after so many seconds.
    Pieces(u16, Vec<(&'static str, String)>, Vec<(u64, String)>, Then),
    /// The request is taken.
    Nothing,
    /// There is no connection.
    Refused,
}

/// How a body goes on.
#[derive(Clone, Copy)]
enum Then {
    Ends,
    Silence,
}

/// A watch with these events, that goes on.
fn events(events: &[Value]) -> Reply {
    let lines = events.iter().map(|event| (0, format!("{event}\n")));
    Reply::Pieces(200, Vec::new(), lines.collect(), Then::Silence)
}

/// A watch with these events, that the server ends after some time.
fn ending(after: u64, events: &[Value]) -> Reply {
    let lines = events.iter().map(|event| (0, format!("{event}\n")));
    let last = [(after, String::new())];
    Reply::Pieces(200, Vec::new(), lines.chain(last).collect(), Then::Ends)
}

fn whole(code: u16, body: &Value) -> Reply {
    Reply::Pieces(code, Vec::new(), vec![(0, body.to_string())], Then::Ends)
}

fn cidr(name: &str, version: u32) -> Value {
    json!({
        "kind": "ServiceCIDR",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": name, "resourceVersion": version.to_string()},
        "spec": {"cidrs": ["10.96.0.0/16"]},
    })
}

fn added(name: &str, version: u32) -> Value {
    json!({"type": "ADDED", "object": cidr(name, version)})
}

fn bookmark(version: u32, end_of_list: bool) -> Value {
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if end_of_list {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    json!({"type": "BOOKMARK", "object": {
        "kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1", "metadata": metadata,
    }})
}

fn status(code: u16) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "no", "reason": "Invalid", "code": code,
    })
}

fn list(names: &[&str], version: u32, token: &str) -> Value {
    let items: Vec<Value> = names.iter().map(|name| cidr(name, 1)).collect();
    json!({
        "kind": "ServiceCIDRList", "apiVersion": "networking.k8s.io/v1",
        "metadata": {"resourceVersion": version.to_string(), "continue": token}, "items": items,
    })
}

fn is_stream(uri: &str) -> bool {
    uri.contains("sendInitialEvents=true")
}

fn is_page(uri: &str) -> bool {
    !uri.contains("watch=true")
}

fn body(pieces: Vec<(u64, String)>, then: Then) -> Answer {
    let pieces = futures::stream::iter(pieces);
    let pieces = futures::StreamExt::then(pieces, |(after, text)| async move {
        tokio::time::sleep(Duration::from_secs(after)).await;
        Ok(Frame::data(Bytes::from(text)))
    });
    match then {
        Then::Ends => StreamBody::new(pieces).boxed_unsync(),
        Then::Silence => {
            let for_ever = futures::stream::pending();
            StreamBody::new(futures::StreamExt::chain(pieces, for_ever)).boxed_unsync()
        }
    }
}

/// What was seen of one kind.
struct Seen {
    /// Events, and the seconds after which they came.
    events: Vec<(u64, String)>,
    /// Requests, likewise.
    asked: Vec<(u64, String)>,
    metrics: String,
    reports: Vec<String>,
}

impl Seen {
    fn names(&self) -> Vec<&str> {
        self.events.iter().map(|(_, name)| &**name).collect()
    }

    fn uris(&self) -> Vec<&str> {
        self.asked.iter().map(|(_, uri)| &**uri).collect()
    }

    /// When the nth request came.
    fn at(&self, number: usize) -> u64 {
        self.asked[number].0
    }

    fn has_metric(&self, line: &str) {
        let has = self.metrics.lines().any(|own| own == line);
        assert!(has, "{line} in {}", self.metrics);
    }
}

/// What was asked for, and the seconds after which.
type Asked = Arc<Mutex<Vec<(u64, String)>>>;

/// A client of a server that answers the nth request with this URI so.
fn client<S>(server: S, begun: Instant, noted: Asked) -> Client
where
    S: Fn(usize, &str) -> Reply + Clone + Send + Sync + 'static,
{
    let answer = move |request: Request<Body>| {
        let uri = request.uri().to_string();
        let number = {
            let mut asked = noted.lock().expect("no panic");
            asked.push((begun.elapsed().as_secs(), uri.clone()));
            asked.len() - 1
        };
        let reply = server(number, &uri);
        let patience = request
            .extensions()
            .get()
            .map_or(SILENCE, |own: &Patience| own.0);
        let answer = async move {
            match reply {
                Reply::Nothing => std::future::pending().await,
                Reply::Refused => Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
                Reply::Pieces(code, headers, pieces, then) => {
                    let mut response = Response::builder().status(code);
                    for (name, value) in headers {
                        response = response.header(name, value);
                    }
                    Ok(response.body(body(pieces, then)).expect("a response"))
                }
            }
        };
        deadline::keep(answer, SILENCE, patience, || {})
    };
    Client::new(service_fn(answer), "default")
}

/// Follows ServiceCIDRs until so many events have come from a server that
/// answers the nth request with this URI so.
async fn follow<S>(server: S, count: usize) -> Seen
where
    S: Fn(usize, &str) -> Reply + Clone + Send + Sync + 'static,
{
    let begun = Instant::now();
    let asked = Asked::default();
    let client = client(server, begun, asked.clone());
    let (events, mut received) = mpsc::channel(16);
    let (reports, mut queue) = Recorder::queue();
    let metrics = Metrics::new().expect("metrics");
    let kind = ObjectKind::ServiceCidr;
    let following = Follow::new(
        client,
        Target::all::<ServiceCIDR>(),
        kind,
        &events,
        Log::new(
            kind,
            "servicecidrs",
            reports,
            metrics.watch().of("servicecidrs"),
        ),
        |cidr: &ServiceCIDR| upsert(convert::service_cidr(cidr), Change::ServiceCidr),
    )
    .run(Persistence::ForEver);
    let receiving = async {
        let mut all = Vec::new();
        while all.len() < count {
            let event = received.recv().await.expect("an event");
            all.push((begun.elapsed().as_secs(), name(&event)));
        }
        all
    };
    let events = tokio::select! {
        result = following => panic!("ended with {result:?}"),
        all = tokio::time::timeout(Duration::from_secs(3600), receiving) => all,
    };
    let asked = asked.lock().expect("no panic").clone();
    let Ok(events) = events else {
        panic!("not so many events; asked for {asked:#?}");
    };
    let mut reports = Vec::new();
    while let Ok(message) = queue.try_recv() {
        reports.push(format!("{message:?}"));
    }
    Seen {
        events,
        asked,
        metrics: metrics.text(),
        reports,
    }
}

fn name(event: &Change) -> String {
    match event {
        Change::ListBegin(_) => "begin".to_owned(),
        Change::ListEnd(_) => "end".to_owned(),
        Change::ServiceCidr(cidr) => cidr.name.to_string(),
        Change::ServiceCidrGone(name) => format!("-{name}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn bad_objects_make_an_event_on_the_service() {
    use crate::events::{Event, Message};
    use rules::model::ObjectName;
    let (reports, mut queue) = Recorder::queue();
    let metrics = Metrics::new().expect("metrics");
    let watch = metrics.watch().of("endpointslices");
    let mut log = Log::new(ObjectKind::EndpointSlice, "endpointslices", reports, watch);
    let metadata = ObjectMeta {
        name: Some("web-x1".to_owned()),
        namespace: Some("shop".to_owned()),
        labels: Some([(convert::SERVICE_NAME.to_owned(), "web".to_owned())].into()),
        ..ObjectMeta::default()
    };
    let problems = vec!["one".to_owned(), "two".to_owned()];
    log.problems(&metadata, problems.clone());
    // A list that has it still.
    log.list_begins();
    log.problems(&metadata, problems.clone());
    log.listed();
    log.problems(&metadata, problems.clone());
    let service = ObjectName::new("shop", "web");
    let report = Event::left_out(service, "EndpointSlice web-x1: one; two".to_owned());
    let sent = queue.try_recv().expect("an event");
    assert!(matches!(sent, Message::Event(own) if own == report));
    assert!(queue.try_recv().is_err(), "said once");
    // And one that has not: it is gone, and a new one of the name is another one.
    log.list_begins();
    log.listed();
    log.problems(&metadata, problems);
    assert!(queue.try_recv().is_ok());
}
