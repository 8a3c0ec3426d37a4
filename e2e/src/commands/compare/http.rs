//! Every endpoint of both ports: status, headers and bodies, without times, versions and what
//! tells one node from the other.

use anyhow::Result;
use e2e::http::{Request, Response};
use serde_json::Value;

use crate::compare::Programs;
use crate::compare::difference::ensure_same;
use crate::compare::rig::Port::{self, Health, Metrics};
use crate::compare::rig::Rig;
use crate::mode::Mode;
use crate::report::Cases;

/// Headers that say how a body is framed, or when.
const FRAMING: [&str; 5] = [
    "date",
    "content-length",
    "transfer-encoding",
    "connection",
    "process-start-time-unix",
];
const OWN_FLAGS: [&str; 5] = [
    "family",
    "manifests",
    "nodeport-addresses",
    "service-metrics",
    "service-metrics-limit",
];
const STATUSZ: &str = "application/json;g=config.k8s.io;v=v1beta1;as=Statusz";
const FLAGZ: &str = "application/json;g=config.k8s.io;v=v1beta1;as=Flagz";

/// What to make of a body before it is compared.
#[derive(Clone, Copy)]
enum Body {
    /// Nothing but names, addresses and times.
    Whole,
    /// It is about the process; only the status and the headers are alike.
    Own,
    /// `name<delimiter>value` lines, whose delimiter upstream draws by lot.
    Lines,
}

/// Puts all of them to both.
pub fn compare(programs: &Programs, mode: Mode, cases: &mut Cases) -> Result<()> {
    let rig = Rig::start(programs, mode, &["--profiling"])?;
    for path in [
        "/healthz",
        "/livez",
        "/",
        "/healthz/",
        "/metrics",
        "/livez?verbose",
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
            one(
                &rig,
                cases,
                Health,
                &Request::new(path).method(method),
                Body::Whole,
            )?;
        }
    }
    for (path, body) in [
        ("/healthz", Body::Whole),
        ("/healthz/ping", Body::Whole),
        ("/proxyMode", Body::Whole),
        ("/configz", Body::Whole),
        ("/flagz", Body::Lines),
        ("/statusz", Body::Lines),
        ("/metrics", Body::Own),
        ("/metrics/slis", Body::Own),
        ("/nothing", Body::Whole),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS"] {
            one(
                &rig,
                cases,
                Metrics,
                &Request::new(path).method(method),
                body,
            )?;
        }
    }
    paths(&rig, cases)?;
    oddities(&rig, cases)?;
    forms(&rig, cases)?;
    verbosity(&rig, cases)?;
    let reset = Request::new("/metrics/slis").method("DELETE");
    one(&rig, cases, Metrics, &reset, Body::Whole)
}

fn paths(rig: &Rig, cases: &mut Cases) -> Result<()> {
    for path in [
        "/",
        "/healthz?verbose",
        "/healthz?verbose=1&exclude=ping",
        "/healthz?exclude=b&exclude=a,c&verbose",
        "/healthz?exclude=a%20b+c&verbose",
        "/healthz?exclude=&verbose",
        "/healthz/nothing",
        "/healthz/",
        "/livez",
        "/readyz",
        "/metrics/",
        "/proxyMode/",
        "//metrics",
        "/debug/flags",
        "/debug/flags/",
        "/debug/flags/nothing",
        "/debug/nothing",
    ] {
        one(rig, cases, Metrics, &Request::new(path), Body::Whole)?;
    }
    Ok(())
}

/// Requests that net/http answers itself, and paths that lead to a page by a detour.
fn oddities(rig: &Rig, cases: &mut Cases) -> Result<()> {
    let get = Request::new;
    let page = || get("/healthz");
    let requests = [
        page().without_host(),
        page().without_host().header("Host", ""),
        page().without_host().header("Host", "a b"),
        page().without_host().header("Host", "a/b"),
        page().without_host().header("Host", "[::1%25eth0]:80"),
        page().header("Host", "another"),
        page().old(),
        page().old().without_host(),
        get("http://elsewhere/healthz"),
        get("http://elsewhere/healthz").without_host(),
        get("healthz"),
        get("/healthz%zz"),
        get("/%68ealthz"),
        get("/healthz?%zz"),
        get("*"),
        get("*").method("OPTIONS"),
        page().method("TRACE"),
        page().method("FOO-BAR"),
        page()
            .method("POST")
            .header("Transfer-Encoding", "gzip, chunked"),
        page().method("POST").header("Expect", "tea").body("a"),
        page().method("POST").body("a"),
    ];
    for request in &requests {
        one(rig, cases, Health, request, Body::Whole)?;
        one(rig, cases, Metrics, request, Body::Whole)?;
    }
    for path in [
        "//healthz",
        "/../../healthz?a=1&b=2",
        "/x/../livez",
        "/./livez/.",
        "/livez//",
        "/%2fhealthz",
        "/../etc/passwd",
    ] {
        for method in ["GET", "HEAD", "POST"] {
            let request = get(path).method(method);
            one(rig, cases, Health, &request, Body::Whole)?;
        }
    }
    Ok(())
}

/// By the Accept header and by who asks.
fn forms(rig: &Rig, cases: &mut Cases) -> Result<()> {
    for page in ["/flagz", "/statusz"] {
        for accept in [
            "text/plain",
            "text/*",
            "TEXT/PLAIN",
            "text/html",
            "text/html, text/plain;q=0.5",
            "application/xml, */*;q=0.1",
            "application/json",
            "application/yaml",
            "application/yaml;q=0.9,application/json",
            "application/*",
            "application/json;g=config.k8s.io;v=v2;as=Statusz",
            "nothing",
            STATUSZ,
            FLAGZ,
            &STATUSZ.replace("json", "yaml"),
            &FLAGZ.replace("json", "yaml"),
            &STATUSZ.replace("beta", "alpha"),
            &FLAGZ.replace("beta", "alpha"),
            &format!("text/plain;q=0.5, {FLAGZ};q=0.6"),
            &format!("{STATUSZ}, text/plain"),
        ] {
            let request = Request::new(page).header("Accept", accept);
            one(rig, cases, Metrics, &request, Body::Lines)?;
        }
    }
    for (path, agent) in [
        ("/statusz", "curl/8.0"),
        ("/statusz?pretty=1", "Go-http-client/1.1"),
        ("/statusz?pretty=false", "curl/8.0"),
    ] {
        let request = Request::new(path)
            .header("Accept", STATUSZ)
            .header("User-Agent", agent);
        one(rig, cases, Metrics, &request, Body::Lines)?;
    }
    let binary = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    for accept in [
        "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
        "text/plain;version=0.0.4;escaping=allow-utf-8",
        "text/html",
        binary,
        &format!("{binary};q=0.3,text/plain;version=0.0.4;q=0.4"),
    ] {
        let request = Request::new("/metrics").header("Accept", accept);
        one(rig, cases, Metrics, &request, Body::Own)?;
    }
    for coding in ["gzip", "deflate, gzip;q=0.5", "zstd", "identity"] {
        let request = Request::new("/metrics").header("Accept-Encoding", coding);
        one(rig, cases, Metrics, &request, Body::Own)?;
    }
    Ok(())
}

fn verbosity(rig: &Rig, cases: &mut Cases) -> Result<()> {
    for body in ["4", "", "x", "-1", "99999999999", "2"] {
        let request = Request::new("/debug/flags/v").method("PUT").body(body);
        one(rig, cases, Metrics, &request, Body::Whole)?;
    }
    for method in ["GET", "POST"] {
        let request = Request::new("/debug/flags/v").method(method);
        one(rig, cases, Metrics, &request, Body::Whole)?;
    }
    Ok(())
}

/// Puts one request to both.
fn one(rig: &Rig, cases: &mut Cases, port: Port, request: &Request, body: Body) -> Result<()> {
    let answers = rig.ask(port, request)?;
    let [upstream, ours] = answers.map(|answer| rig.anonymous(&shown(&answer, body)));
    cases.case(&request.to_string(), || ensure_same(&upstream, &ours));
    Ok(())
}

/// Status, headers in alphabetical order, body.
fn shown(answer: &Response, body: Body) -> String {
    let mut headers: Vec<&str> = answer
        .head
        .lines()
        .skip(1)
        .filter(|line| {
            let name = line.split(':').next().unwrap_or_default().to_lowercase();
            !FRAMING.contains(&name.as_str())
        })
        .collect();
    headers.sort_unstable();
    let body = match body {
        Body::Whole => without_times(&answer.body),
        Body::Own => String::new(),
        Body::Lines => lines(&answer.body),
    };
    format!("{}\n{}\n\n{body}", answer.status, headers.join("\n"))
}

/// RFC 3339 times and what is counted from them.
fn without_times(body: &str) -> String {
    body.split('"')
        .map(|part| {
            let is_time = part.len() >= 20
                && part.ends_with('Z')
                && part.as_bytes().get(10) == Some(&b'T')
                && part.starts_with(|c: char| c.is_ascii_digit());
            if is_time { "TIME" } else { part }
        })
        .collect::<Vec<_>>()
        .join("\"")
}

/// A page in any of its forms, without times, versions, and the flags that differ on purpose:
/// those that only ours has, and `nodeport-addresses`, whose keywords upstream has replaced by
/// then.
fn lines(body: &str) -> String {
    let body = without_times(body);
    match serde_json::from_str::<Value>(&body) {
        // Laid out by the first byte after the bracket.
        Ok(mut object) => {
            let form = if body.starts_with("{\n") {
                "indented"
            } else {
                "a line"
            };
            let end = if body.ends_with('\n') {
                "with"
            } else {
                "without"
            };
            for name in ["goVersion", "uptimeSeconds"] {
                object[name].take();
            }
            for flag in OWN_FLAGS {
                if let Some(flags) = object["flags"].as_object_mut() {
                    flags.remove(flag);
                }
            }
            format!("{form} {end} a last line end: {object}")
        }
        Err(_) => {
            let kept = body.lines().filter_map(line);
            kept.collect::<Vec<_>>().join("\n")
        }
    }
}

/// A line of text or YAML.
fn line(line: &str) -> Option<String> {
    let separators = [' ', ':', '='];
    let text = line.trim_start();
    let about = [
        "Started",
        "Up",
        "Go version",
        "goVersion",
        "uptimeSeconds",
        "startTime",
    ];
    if let Some(name) = about.iter().find(|name| text.starts_with(*name)) {
        return Some((*name).to_owned());
    }
    let names = ["Binary version", "Emulation version"];
    let name = names.into_iter().find(|name| text.starts_with(name));
    let name = name.unwrap_or_else(|| text.split(separators).next().unwrap_or_default());
    if OWN_FLAGS.contains(&name) {
        return None;
    }
    let indent = &line[..line.len() - text.len()];
    let value = text[name.len()..].trim_start_matches(separators);
    Some(format!("{indent}{name}: {value}"))
}
