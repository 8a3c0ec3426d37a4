//! What can go wrong with a request of a watch.

use crate::source::client::deadline::{Silent, silence};
use crate::source::describe::{describe, describe_status, one_line};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::Status;
use std::time::Duration;
use thiserror::Error;

/// Why an answer is of no use, or of none any more.
#[derive(Debug, Error)]
pub enum Failure {
    /// No connection, or one that broke.
    #[error("{0}")]
    Broken(String),
    /// No answer, or one that stopped.
    #[error(transparent)]
    Silent(#[from] Silent),
    /// A streamed list ended, or brought no object for too long, before it was whole.
    #[error("the streamed list {0}")]
    Incomplete(&'static str),
    /// The API server says no.
    #[error("{0}")]
    Refused(Refusal),
    /// A watch that the server ended at once and without an event.
    #[error("the API server ends each watch at once")]
    Short,
    /// What came is not what an API server sends.
    #[error("this is no answer of an API server: {0}")]
    Garbage(String),
    /// An event about an object that cannot be read; the object has been named.
    #[error("an event cannot be read")]
    Undecodable,
    /// Whoever takes the objects is gone. Nothing goes on after that.
    #[error("the sync loop ended")]
    NoReceiver,
}

impl Failure {
    /// What a client's error comes down to.
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        match silence(error) {
            Some(silent) => Self::Silent(silent),
            None => Self::Broken(describe(error)),
        }
    }

    /// The `reason` of the metric.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Broken(_) => "connection",
            Self::Silent(_) => "silence",
            Self::Incomplete(_) => "incomplete",
            Self::Refused(refusal) if refusal.is_expired() => "expired",
            Self::Refused(_) => "status",
            Self::Short => "short",
            Self::Garbage(_) => "garbage",
            Self::Undecodable => "undecodable",
            Self::NoReceiver => "end",
        }
    }

    /// When the API server wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }
}

/// A `Status` of the API, as an answer of its own or as an event in a watch.
#[derive(Clone, Debug, Error)]
#[error("{}", describe_status(.status))]
pub struct Refusal {
    status: Box<Status>,
    /// When the server wants to be asked again.
    pub retry_after: Option<Duration>,
    /// The answer was 200, and this is in it.
    pub in_stream: bool,
}

impl Refusal {
    /// An answer that is none of success. A body that is no `Status` is shown from its beginning.
    pub fn answer(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let header = headers.get(RETRY_AFTER).and_then(|own| own.to_str().ok());
        let asked = header.and_then(|own| own.trim().parse().ok());
        let mut refusal = Self::new(body, false);
        refusal.status.code = code.as_u16();
        refusal.retry_after = asked.map(Duration::from_secs).or(refusal.retry_after);
        refusal
    }

    /// The object of an event of type ERROR.
    pub fn event(object: &[u8]) -> Self {
        Self::new(object, true)
    }

    /// A `Status` by itself where events are expected.
    pub fn line(line: &[u8]) -> Option<Self> {
        let refusal = Self::new(line, true);
        (refusal.status.code != 0).then_some(refusal)
    }

    fn new(text: &[u8], in_stream: bool) -> Self {
        let status: Status = serde_json::from_slice(text).unwrap_or_else(|_| {
            // kube's way to say that this is somebody else's text.
            Status::failure(&excerpt(text), "Failed to parse error data")
        });
        let asked = status
            .details
            .as_ref()
            .map_or(0, |own| own.retry_after_seconds);
        Self {
            status: Box::new(status),
            retry_after: (asked > 0).then(|| Duration::from_secs(asked.into())),
            in_stream,
        }
    }

    /// The HTTP status, or the one that an event has instead; 0 if it has none.
    pub fn code(&self) -> u16 {
        self.status.code
    }

    /// The server no longer has what the version, or the next page, refers to.
    pub fn is_expired(&self) -> bool {
        self.status.code == StatusCode::GONE || self.status.reason == "Expired"
    }

    /// The version is newer than what the server has: a backup was restored.
    pub fn is_too_large(&self) -> bool {
        let details = self.status.details.as_ref();
        let mut causes = details.into_iter().flat_map(|own| &own.causes);
        // Older servers do not give the cause.
        causes.any(|own| own.reason == "ResourceVersionTooLarge")
            || self.status.message.contains("Too large resource version")
    }
}

/// An object that cannot be read, as far as it says which one it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Undecodable {
    /// Name, namespace and labels; without a name if it tells none.
    pub metadata: Box<ObjectMeta>,
    /// The field, or the place, and what is wrong there.
    pub reason: String,
}

/// The beginning of a text that nobody expected, fit for a line of a log.
pub fn excerpt(text: &[u8]) -> String {
    one_line(&String::from_utf8_lossy(text.get(..4096).unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_status_is_shown() {
        let headers = HeaderMap::new();
        for (code, body, says) in [
            (
                403,
                r#"{"kind":"Status","message":"no","code":1}"#,
                "403 Forbidden: no",
            ),
            (410, r#"{"reason":"Expired"}"#, "410 Gone"),
            (
                502,
                "<html>\r\n <h1>Bad Gateway</h1>",
                "502 Bad Gateway: \"Bad Gateway\"",
            ),
            (
                500,
                r#"{"code":"x"}"#,
                r#"500 Internal Server Error: "{\"code\":\"x\"}""#,
            ),
        ] {
            let code = StatusCode::from_u16(code).expect("a status");
            let refusal = Refusal::answer(code, &headers, body.as_bytes());
            assert_eq!(refusal.code(), code.as_u16());
            assert_eq!(refusal.to_string(), says);
        }
    }

    #[test]
    fn when_to_come_again_is_in_the_header_or_in_the_status() {
        let status = json!({"kind": "Status", "details": {"retryAfterSeconds": 3}}).to_string();
        for (header, body, expected) in [
            (Some("5"), "", Some(5)),
            (Some("5"), &*status, Some(5)),
            (None, &*status, Some(3)),
            // A date: client-go does not read it either.
            (Some("Wed, 21 Oct 2026 07:28:00 GMT"), "", None),
            (Some("-1"), "", None),
            (None, "", None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = header {
                headers.insert(RETRY_AFTER, value.parse().expect("a header"));
            }
            let code = StatusCode::TOO_MANY_REQUESTS;
            let refusal = Refusal::answer(code, &headers, body.as_bytes());
            assert_eq!(refusal.retry_after, expected.map(Duration::from_secs));
        }
    }

    #[test]
    fn versions_that_the_server_does_not_know_yet_are_told_apart() {
        let message = "Timeout: Too large resource version: 9, current: 5";
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "", "field": ""});
        let new = json!({"code": 504, "details": {"causes": [cause]}});
        for (status, too_large) in [
            (new, true),
            (json!({"code": 504, "message": message}), true),
            (json!({"code": 504, "message": "etcd"}), false),
        ] {
            let refusal = Refusal::event(status.to_string().as_bytes());
            assert_eq!((refusal.code(), refusal.is_too_large()), (504, too_large));
            assert!(refusal.in_stream);
        }
    }
}
