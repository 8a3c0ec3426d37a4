//! What is called.

use http::Uri;
use http::uri::Scheme;
use std::fmt;
use std::net::SocketAddr;

/// A URL of HTTP, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    uri: Uri,
    host: String,
    port: u16,
}

impl Target {
    /// Reads a URL; without a scheme it is `http://`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let with_scheme = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let uri: Uri = with_scheme
            .parse()
            .map_err(|error| format!("it is no URL: {error}"))?;
        if uri.scheme() != Some(&Scheme::HTTP) {
            return Err("its scheme has to be http: echo speaks no other".to_owned());
        }
        let authority = uri.authority().map(http::uri::Authority::as_str);
        if authority.is_some_and(|text| text.contains('@')) {
            return Err("it has a user, and echo asks for none".to_owned());
        }
        let bracketed = uri.host().unwrap_or_default();
        if bracketed.is_empty() {
            return Err("it has no host".to_owned());
        }
        // http takes any number for a port, and forgets it if it is too large.
        let port = match authority.and_then(|text| text.strip_prefix(bracketed)) {
            Some("") | None => 80,
            Some(port) => match port.trim_start_matches(':').parse() {
                Ok(0) | Err(_) => return Err(format!("{port} is no port")),
                Ok(port) => port,
            },
        };
        let host = bracketed
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Ok(Self { uri, host, port })
    }

    /// The addresses behind the name.
    ///
    /// # Errors
    /// The resolver's, and that it knows none.
    pub async fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
        Ok(found.collect())
    }

    /// What a request's first line asks for.
    pub(super) fn path(&self) -> &str {
        self.uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str)
    }

    /// What the Host header says.
    pub(super) fn authority(&self) -> &str {
        self.uri
            .authority()
            .map_or("", http::uri::Authority::as_str)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}
