//! Which proxy stands between us and the API server, by client-go's rules: a kubeconfig's
//! `proxy-url`, or else the environment's, as Go's net/http reads it.

mod environment;

use super::url::Url;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use std::fmt;

pub(super) use environment::Environment;

/// A proxy, and what it wants to know of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) kind: Kind,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    user: Option<(String, Option<String>)>,
}

/// What is spoken with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    /// As `Http`, over TLS.
    Https,
    Socks5,
}

impl Proxy {
    /// Of the kubeconfig's `proxy-url`, which needs a scheme.
    ///
    /// # Errors
    /// What is wrong with it; its password is not told.
    pub(super) fn from_kubeconfig(text: &str) -> Result<Self, String> {
        let url = Url::parse(text)?;
        match url.scheme.as_str() {
            "http" | "https" | "socks5" => Self::from_url(&url),
            other => Err(format!(
                "its scheme is {other:?}; it has to be http, https or socks5"
            )),
        }
    }

    fn from_url(url: &Url) -> Result<Self, String> {
        let (kind, default) = match url.scheme.as_str() {
            "http" => (Kind::Http, 80),
            "https" => (Kind::Https, 443),
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            other => {
                return Err(format!(
                    "there are no proxies of the scheme {other:?}, but http, https and socks5"
                ));
            }
        };
        let port = match url.port() {
            "" => default,
            port => port
                .parse()
                .map_err(|_| format!("its port {port:?} is out of range"))?,
        };
        if url.hostname().is_empty() {
            return Err("it has no host".to_owned());
        }
        Ok(Self {
            kind,
            host: url.hostname().to_owned(),
            port,
            user: url.user.clone(),
        })
    }

    /// `Proxy-Authorization` for HTTP proxies (RFC 7617).
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let (name, password) = self.user.as_ref()?;
        let pair = format!("{name}:{}", password.as_deref().unwrap_or_default());
        let text = format!("Basic {}", STANDARD.encode(pair));
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// User and password for SOCKS (RFC 1929).
    pub(super) fn user(&self) -> Option<(&str, &str)> {
        let (name, password) = self.user.as_ref()?;
        Some((name, password.as_deref().unwrap_or_default()))
    }

    /// `host:port`, with brackets where they belong.
    pub(super) fn authority(&self) -> String {
        host_port(&self.host, self.port)
    }
}

/// Without user and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Https => "https",
            Kind::Socks5 => "socks5",
        };
        write!(f, "{scheme}://{}", self.authority())
    }
}

pub(super) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests;
