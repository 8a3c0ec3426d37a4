//! The API server's URL, as client-go completes it (`rest.DefaultServerURL`).

use super::proxy::host_port;
use super::url::Url;

/// Where the API server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    tls: bool,
    host: String,
    port: u16,
    /// As it is written in requests: without the port that goes with the scheme.
    authority: String,
    prefix: String,
    /// User and password in the URL, which Go sends if there is nothing else.
    pub(super) user: Option<(String, Option<String>)>,
    /// The scheme was not given, and taken to be http.
    pub(super) without_scheme: bool,
}

impl Server {
    /// A URL, or `host` or `host:port`, which is http as in client-go: it knows of TLS by then
    /// only from the scheme.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parsed = Url::parse(text);
        let (url, without_scheme) = match parsed {
            Ok(url) if !url.scheme.is_empty() && !url.host.is_empty() => (url, false),
            // client-go would try these as hosts, and say less.
            Ok(_) if text.contains("://") => return Err("it has no host".to_owned()),
            Err(why) if text.contains("://") => return Err(why),
            _ => (Url::parse(&format!("http://{text}"))?, true),
        };
        if without_scheme && !matches!(url.path.as_str(), "" | "/") {
            return Err("it has to be a URL, like https://HOST:PORT/PATH, or HOST:PORT".to_owned());
        }
        let tls = match url.scheme.as_str() {
            "https" => true,
            "http" => false,
            other => return Err(format!("its scheme is {other:?}, not https or http")),
        };
        let default = if tls { 443 } else { 80 };
        let port = match url.port() {
            "" => default,
            port => port
                .parse()
                .map_err(|_| format!("its port {port:?} is out of range"))?,
        };
        let host = match url.hostname() {
            "" => return Err("it has no host".to_owned()),
            name if name.is_ascii() => name.to_owned(),
            name => idna::domain_to_ascii(name)
                .map_err(|_| format!("its host {name:?} is no name of DNS"))?,
        };
        let all = host_port(&host, port);
        let authority = if port == default {
            all.strip_suffix(&format!(":{port}"))
                .unwrap_or(&all)
                .to_owned()
        } else {
            all
        };
        authority
            .parse::<http::uri::Authority>()
            .map_err(|error| format!("its host {host:?}: {error}"))?;
        let prefix = prefix(&url.path);
        prefix_fits(&prefix)?;
        Ok(Self {
            tls,
            host,
            port,
            authority,
            prefix,
            user: url.user,
            without_scheme,
        })
    }

    pub(super) fn has_tls(&self) -> bool {
        self.tls
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// What comes before `/api`; empty, or `/a/b`.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// A path as Go's `path.Join` leaves it.
fn prefix(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.iter().map(|part| format!("/{part}")).collect()
}

fn prefix_fits(prefix: &str) -> Result<(), String> {
    if prefix.is_empty() || prefix.parse::<http::uri::PathAndQuery>().is_ok() {
        Ok(())
    } else {
        Err(format!(
            "its path {prefix:?} has characters that no path has"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (text, scheme, authority, prefix) or what is wrong; client-go 1.37 agrees on each.
    #[test]
    fn urls_as_client_go_completes_them() {
        for (text, scheme, authority, prefix) in [
            ("https://10.9.0.2:6443", "https", "10.9.0.2:6443", ""),
            ("https://10.9.0.2:6443/", "https", "10.9.0.2:6443", ""),
            ("https://api.example/", "https", "api.example", ""),
            ("https://api.example:443", "https", "api.example", ""),
            (
                "https://api.example/k8s/c//x/",
                "https",
                "api.example",
                "/k8s/c/x",
            ),
            (
                "https://api.example/a/../b?x=1#y",
                "https",
                "api.example",
                "/b",
            ),
            ("HTTPS://api.example", "https", "api.example", ""),
            (
                "https://[2001:db8::1]:6443",
                "https",
                "[2001:db8::1]:6443",
                "",
            ),
            (
                "https://bücher.example:1",
                "https",
                "xn--bcher-kva.example:1",
                "",
            ),
            ("http://10.9.0.2:8080", "http", "10.9.0.2:8080", ""),
            ("10.9.0.2:6443", "http", "10.9.0.2:6443", ""),
            ("10.9.0.2", "http", "10.9.0.2", ""),
            ("localhost:6443", "http", "localhost:6443", ""),
            ("[::1]:6443", "http", "[::1]:6443", ""),
            ("api.example/", "http", "api.example", ""),
        ] {
            let server = Server::parse(text).expect(text);
            let found = (server.scheme(), server.authority(), server.prefix());
            assert_eq!(found, (scheme, authority, prefix), "{text}");
            assert_eq!(
                server.without_scheme,
                !text.to_lowercase().starts_with("http"),
                "{text}"
            );
        }
        for (text, says) in [
            ("", "no host"),
            ("10.9.0.2:6443/prefix", "has to be a URL"),
            ("ftp://10.9.0.2", "its scheme is \"ftp\""),
            ("https://", "no host"),
            ("https://10.9.0.2:644300", "out of range"),
            ("https://10.9.0.2:x", "not a number"),
            ("https://a b", "the character ' '"),
            ("https://2001:db8::1:6443", "not a number"),
        ] {
            let error = Server::parse(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
