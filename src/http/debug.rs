//! `/debug`, which is there with `--profiling` only (docs/reference.md#metrics-port).

use super::Answer;
use crate::logging;
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};

const FLAGS: &str = "<html>\n<head>\n<title>/debug/flags/</title>\n</head>\n<body>\n\
                     /debug/flags/<br>\n<br>\nflags:<br>\n<table>\n<tr>v<br>\n</table>\n<br>\n\
                     full flags configurable<br>\n</body>\n</html>\n";
/// The profiles are those of Go's run-time, which is not here.
const NO_PROFILES: &str = "kube-proxy-rs has no profiles of Go's run-time; for a CPU profile use \
                           perf: perf record --call-graph dwarf -p PID\n";

/// Answers below `/debug`.
pub(super) fn answer(request: &Request<Bytes>) -> Answer {
    match &*super::request::path(request) {
        "/debug/flags/v" => verbosity(request),
        path if path == "/debug/flags" || path.starts_with("/debug/flags/") => {
            Answer::plain("text/html; charset=utf-8", FLAGS)
        }
        path if path == "/debug/pprof" || path.starts_with("/debug/pprof/") => {
            Answer::error(StatusCode::NOT_FOUND, NO_PROFILES)
        }
        _ => Answer::not_found(),
    }
}

/// A PUT changes how much is logged.
fn verbosity(request: &Request<Bytes>) -> Answer {
    if request.method() != Method::PUT {
        return say(StatusCode::NOT_ACCEPTABLE, "unsupported http method\n");
    }
    let text = String::from_utf8_lossy(request.body());
    match logging::parse_level(&text) {
        Ok(level) => {
            logging::set_verbosity(level);
            let done = format!("successfully set klog.logging.verbosity to {text}\n");
            say(StatusCode::OK, done)
        }
        Err(refusal) => say(StatusCode::BAD_REQUEST, refusal + "\n"),
    }
}

fn say(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    Answer::new(status, "text/plain", text).without_sniffing()
}
