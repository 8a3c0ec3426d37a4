//! Answers.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

/// A status, headers and a body.
#[derive(Debug)]
pub struct Answer(Response<Full<Bytes>>);

impl Answer {
    /// `application/json`.
    pub fn json(status: StatusCode, body: String) -> Self {
        Self::new(status, "application/json", body).without_sniffing()
    }

    /// `text/plain`.
    pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body).without_sniffing()
    }

    /// What Go's servers say of an error.
    pub fn error(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::text(status, body)
    }

    /// What Go's servers say of an unknown path.
    pub fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "404 page not found\n")
    }

    /// 400 in Go's words, which begin with the code and are in the status line as well.
    pub(super) fn bad_request(words: &'static str) -> Self {
        let mut answer = Self::new(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", words);
        if let Some((_, reason)) = words.split_once(' ') {
            let reason = ReasonPhrase::from_static(reason.as_bytes());
            answer.0.extensions_mut().insert(reason);
        }
        answer.closing()
    }

    /// A status without a body.
    pub(super) fn empty(status: StatusCode) -> Self {
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        Self(response)
    }

    /// The connection ends with it.
    pub(super) fn closing(self) -> Self {
        self.with_header("connection", "close")
    }

    /// Status 200 and this body, without further headers: so are upstream's
    /// pages that nobody thought of browsers for.
    pub fn plain(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, content_type, body)
    }

    /// Any status and type, without further headers.
    pub fn new(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(Full::new(body.into()));
        *response.status_mut() = status;
        Self(response).with_header("content-type", content_type)
    }

    /// Another status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        *self.0.status_mut() = status;
        self
    }

    /// Adds a header; a value that no header can have is left out.
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Tells browsers to believe the type.
    pub fn without_sniffing(self) -> Self {
        self.with_header("x-content-type-options", "nosniff")
    }
}

impl From<Answer> for Response<Full<Bytes>> {
    fn from(Answer(response): Answer) -> Self {
        response
    }
}
