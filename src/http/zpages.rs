//! `/flagz` and `/statusz`: text for people, or an object of `config.k8s.io`
//! in JSON or YAML for those that ask for exactly that (docs/reference.md#metrics-port).

use super::Answer;
use super::accept::{Range, accepted};
use crate::about::About;
use crate::kubernetes;
use hyper::body::Bytes;
use hyper::header::USER_AGENT;
use hyper::{Request, StatusCode};
use serde::Serialize;
use std::collections::BTreeMap;

/// What upstream's page lists as well, where both serve it.
const PATHS: [&str; 5] = ["/configz", "/flagz", "/healthz", "/metrics", "/proxyMode"];
const WARNING: &str = "Warning: This endpoint is not meant to be machine parseable, has no \
                       formatting compatibility guarantees and is for debugging purposes only.";
const REFUSAL: &str = "only the following media types are accepted: application/json, \
                       application/yaml, text/plain";
/// Upstream writes the version of Go, and this was not built by Go.
const GO_VERSION: &str = "none";

/// `/flagz`.
pub(super) fn flagz(request: &Request<Bytes>, about: &About) -> Answer {
    let text = || {
        let lines = about.flags.iter();
        let lines = lines.map(|(name, value)| format!("{name}: {value}\n"));
        page("flagz", &lines.collect::<String>())
    };
    answer(request, "Flagz", text, |version| Flagz {
        head: head("Flagz", version),
        flags: &about.flags,
    })
}

/// `/statusz`.
pub(super) fn statusz(request: &Request<Bytes>, about: &About) -> Answer {
    // The wall clock may have been set since.
    let seconds = about.started.monotonic.elapsed().as_secs();
    let text = || {
        let lines = format!(
            "\nStarted: {}\nUp: {} hr {:02} min {:02} sec\nGo version: {GO_VERSION}\n\
             Binary version: {}\nEmulation version: {}\nPaths: {}\n",
            about.started.wall.strftime("%a %b %e %H:%M:%S UTC %Y"),
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            kubernetes::VERSION,
            kubernetes::minor_version(),
            PATHS.join(" "),
        );
        page("statusz", &lines)
    };
    answer(request, "Statusz", text, |version| Statusz {
        head: head("Statusz", version),
        start_time: about
            .started
            .wall
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
        uptime_seconds: seconds,
        go_version: GO_VERSION,
        binary_version: kubernetes::VERSION,
        emulation_version: kubernetes::minor_version(),
        paths: PATHS,
    })
}

fn page(name: &str, lines: &str) -> String {
    format!("\nkube-proxy {name}\n{WARNING}\n{lines}")
}

#[derive(Serialize)]
struct Flagz<'a> {
    #[serde(flatten)]
    head: Head,
    flags: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statusz {
    #[serde(flatten)]
    head: Head,
    start_time: String,
    uptime_seconds: u64,
    go_version: &'static str,
    binary_version: &'static str,
    emulation_version: String,
    paths: [&'static str; 5],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    kind: &'static str,
    api_version: String,
    metadata: Metadata,
}

#[derive(Serialize)]
struct Metadata {
    name: &'static str,
}

fn head(kind: &'static str, version: &str) -> Head {
    Head {
        kind,
        api_version: format!("config.k8s.io/{version}"),
        metadata: Metadata { name: "kube-proxy" },
    }
}

/// The form that the client wants most, of those that there are.
fn answer<T: Serialize>(
    request: &Request<Bytes>,
    kind: &str,
    text: impl Fn() -> String,
    object: impl Fn(&'static str) -> T,
) -> Answer {
    let ranges = accepted(request.headers());
    for range in &ranges {
        match range.media.as_str() {
            "text/plain" | "text/*" | "*/*" => {
                return Answer::plain("text/plain; charset=utf-8", text());
            }
            media @ ("application/json" | "application/yaml") => {
                let Some(version) = version(range, kind) else {
                    continue;
                };
                let body = encode(request, media, &object(version));
                let content_type = format!("{media};g=config.k8s.io;v={version};as={kind}");
                let answer = Answer::plain(&content_type, body);
                return if version == "v1alpha1" {
                    answer.with_header("warning", &deprecation(kind))
                } else {
                    answer
                };
            }
            _ => {}
        }
    }
    refusal(request, &ranges)
}

/// The version of a range that asks for `kind`.
fn version(range: &Range, kind: &str) -> Option<&'static str> {
    let ours = (range.parameter("g"), range.parameter("as")) == ("config.k8s.io", kind);
    match range.parameter("v") {
        "v1alpha1" if ours => Some("v1alpha1"),
        "v1beta1" if ours => Some("v1beta1"),
        _ => None,
    }
}

fn deprecation(kind: &str) -> String {
    let page = kind.to_lowercase();
    format!(
        "299 - \"This version of the {page} endpoint is deprecated. Please use a newer version.\""
    )
}

/// A `Status`, in JSON or YAML for those that take just that, and else in JSON
/// for people.
fn refusal(request: &Request<Bytes>, ranges: &[Range]) -> Answer {
    let status = Status {
        kind: "Status",
        api_version: "v1",
        metadata: BTreeMap::new(),
        status: "Failure",
        message: REFUSAL,
        reason: "NotAcceptable",
        code: 406,
    };
    let is_plain = |range: &&Range| ["g", "v", "as"].map(|name| range.parameter(name)) == [""; 3];
    let form = ranges
        .iter()
        .filter(is_plain)
        .find_map(|range| match range.media.as_str() {
            "application/json" | "application/*" => Some("application/json"),
            "application/yaml" => Some("application/yaml"),
            _ => None,
        });
    let (form, body) = match form {
        Some(form) => (form, encode(request, form, &status)),
        None => ("application/json", indented(&status)),
    };
    Answer::plain(form, body).with_status(StatusCode::NOT_ACCEPTABLE)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    kind: &'static str,
    api_version: &'static str,
    metadata: BTreeMap<(), ()>,
    status: &'static str,
    message: &'static str,
    reason: &'static str,
    code: u16,
}

fn encode(request: &Request<Bytes>, media: &str, object: &impl Serialize) -> String {
    if media == "application/yaml" {
        return crate::yaml::write(object);
    }
    if is_for_people(request) {
        return indented(object);
    }
    serde_json::to_string(object).map_or_else(|error| error.to_string(), |line| line + "\n")
}

fn indented(object: &impl Serialize) -> String {
    serde_json::to_string_pretty(object).unwrap_or_else(|error| error.to_string())
}

/// Upstream indents for browsers and for tools that people use by hand, unless
/// the query says otherwise.
fn is_for_people(request: &Request<Bytes>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    if let Some(value) = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("pretty="))
    {
        return matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let agent = request.headers().get(USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or("");
    ["curl", "Wget", "Mozilla/5.0"]
        .iter()
        .any(|tool| agent.starts_with(tool))
}
