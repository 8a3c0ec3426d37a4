//! One request, one answer.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Channel, Full};
use hyper::body::{Bytes, Incoming};
use serde_json::{Value, json};

use super::behaviour::Kind;
use super::watches::{self, From};
use super::{Behaviour, Shared};

pub(super) type Body = BoxBody<Bytes, std::io::Error>;

/// What a request's query asks for.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    fn new(text: &str) -> Self {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let plain = |text: &str| text.replace("%3D", "=").replace("%2F", "/");
        Self(
            pairs
                .map(|(key, value)| (plain(key), plain(value)))
                .collect(),
        )
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    fn is(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| matches!(value, "true" | "1"))
    }

    /// The one object that a field selector asks for; other selectors choose all.
    pub(super) fn name(&self) -> Option<&str> {
        self.get("fieldSelector")?.strip_prefix("metadata.name=")
    }
}

/// Never fails: what is wrong is an answer too.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let behaviour = shared.behaviour();
    tokio::time::sleep(behaviour.delay).await;
    let path = request.uri().path().to_owned();
    let query = Query::new(request.uri().query().unwrap_or_default());
    if request.method() != Method::GET {
        return Ok(posted(&shared, &path, request).await);
    }
    let found = Kind::ALL.into_iter().find_map(|kind| {
        let rest = path.strip_prefix(kind.about().1)?;
        Some((kind, rest.trim_start_matches('/').to_owned()))
    });
    let Some((kind, name)) = found else {
        return Ok(status(StatusCode::NOT_FOUND, "NotFound", "no such path"));
    };
    if !name.is_empty() {
        let object = shared.store().of_kind(kind, Some(&name)).pop();
        return Ok(object.map_or_else(
            || status(StatusCode::NOT_FOUND, "NotFound", &name),
            |object| whole(StatusCode::OK, object.to_string().into()),
        ));
    }
    let is_watch = query.is("watch");
    shared.store().asked(is_watch);
    if behaviour.no_headers.contains(&kind) {
        std::future::pending::<()>().await;
    }
    Ok(match is_watch {
        true => watch(&shared, kind, &query, &behaviour),
        false => list(&shared, kind, &query, &behaviour),
    })
}

/// What was posted, as it came; Events in JSON are kept.
async fn posted(shared: &Shared, path: &str, request: Request<Incoming>) -> Response<Body> {
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let body = request.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    if path.contains("/events") {
        // Of other encodings it is enough that something came.
        let event = serde_json::from_slice(&body).unwrap_or_default();
        shared.store().posted(event);
    }
    let mut response = whole(StatusCode::CREATED, body);
    if let Some(kind) = kind {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

fn watch(shared: &Arc<Shared>, kind: Kind, query: &Query, behaviour: &Behaviour) -> Response<Body> {
    let streamed = query.is("sendInitialEvents");
    if streamed && behaviour.no_streams {
        let why =
            "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        return status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", why);
    }
    let version = query
        .get("resourceVersion")
        .and_then(|text| text.parse().ok());
    let from = match version {
        _ if streamed => From::Bookmarked,
        None | Some(0) => From::Beginning,
        Some(version) => From::Version(version),
    };
    if let From::Version(version) = from
        && shared.store().since(kind, version).is_none()
    {
        return status(StatusCode::GONE, "Expired", "too old resource version");
    }
    let (sender, body) = Channel::new(16);
    tokio::spawn(watches::send(Arc::clone(shared), kind, from, query, sender));
    response(StatusCode::OK, body.boxed())
}

fn list(shared: &Shared, kind: Kind, query: &Query, behaviour: &Behaviour) -> Response<Body> {
    let (name, _, version) = kind.about();
    let number = |key| query.get(key).and_then(|text| text.parse::<usize>().ok());
    let (objects, now) = {
        let store = shared.store();
        (store.of_kind(kind, query.name()), store.version())
    };
    let start = number("continue").unwrap_or(0).min(objects.len());
    let limit = number("limit").filter(|limit| *limit > 0);
    let end = limit.map_or(objects.len(), |limit| objects.len().min(start + limit));
    let mut metadata = json!({"resourceVersion": now.to_string()});
    if end < objects.len() {
        metadata["continue"] = end.to_string().into();
    }
    let list = json!({
        "kind": format!("{name}List"),
        "apiVersion": version,
        "metadata": metadata,
        "items": objects[start..end],
    });
    let bytes = Bytes::from(list.to_string());
    if behaviour.half_list == Some(kind) {
        return half(bytes);
    }
    whole(StatusCode::OK, bytes)
}

/// The first half of a body whose length is told, and nothing more for ever.
fn half(bytes: Bytes) -> Response<Body> {
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    let length = bytes.len();
    tokio::spawn(async move {
        sender.send_data(bytes.slice(..length / 2)).await.ok();
        std::future::pending::<()>().await;
    });
    let mut response = response(StatusCode::OK, body.boxed());
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length.into());
    response
}

fn whole(status: StatusCode, body: Bytes) -> Response<Body> {
    response(
        status,
        Full::new(body).map_err(|never| match never {}).boxed(),
    )
}

fn response(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A Status object, as failures are told.
fn status(code: StatusCode, reason: &str, message: &str) -> Response<Body> {
    let status: Value = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code.as_u16(),
    });
    whole(code, status.to_string().into())
}
