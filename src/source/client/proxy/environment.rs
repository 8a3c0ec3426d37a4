//! `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, as golang.org/x/net/http/httpproxy has them.
//! client-go takes a few more notations of ranges.

use super::{Proxy, Url};
use ipnet::IpNet;
use std::net::IpAddr;

/// What the environment says of proxies, when it was asked.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Environment {
    /// For targets that are `http://`.
    pub(super) http: String,
    /// For targets that are `https://`.
    pub(super) https: String,
    pub(super) none: String,
    /// This is a CGI program, whose client may have set `HTTP_PROXY` by a header `Proxy`.
    pub(super) cgi: bool,
}

impl Environment {
    /// Of this process.
    pub(in super::super) fn current() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// Upper case comes before lower case, and an empty variable is as good as none.
    pub(in super::super) fn new(get: impl Fn(&str) -> Option<String>) -> Self {
        let any = |names: [&str; 2]| {
            let values = names.into_iter().filter_map(&get);
            values
                .into_iter()
                .find(|value| !value.is_empty())
                .unwrap_or_default()
        };
        Self {
            http: any(["HTTP_PROXY", "http_proxy"]),
            https: any(["HTTPS_PROXY", "https_proxy"]),
            none: any(["NO_PROXY", "no_proxy"]),
            cgi: get("REQUEST_METHOD").is_some_and(|value| !value.is_empty()),
        }
    }

    /// The proxy for a target; `host` is without brackets.
    ///
    /// # Errors
    /// The variable that is wrong, and why. Go says nothing about some of these, and goes on
    /// without a proxy; then the error has `ignored`.
    pub(in super::super) fn proxy(
        &self,
        scheme: &str,
        host: &str,
        port: u16,
    ) -> Result<Option<Proxy>, Unusable> {
        let (variable, value) = match scheme {
            "https" => ("HTTPS_PROXY", &self.https),
            "http" => ("HTTP_PROXY", &self.http),
            _ => return Ok(None),
        };
        if value.is_empty() {
            return Ok(None);
        }
        let unusable = |why: String, ignored| Unusable {
            why: format!("{variable}: {why}"),
            ignored,
        };
        let url = parse(value).map_err(|why| unusable(why, true))?;
        if scheme == "http" && self.cgi {
            let why = "not taken from the environment of a CGI program (REQUEST_METHOD is set)";
            return Err(unusable(why.to_owned(), false));
        }
        if !self.uses_proxy(host, port) {
            return Ok(None);
        }
        let proxy = Proxy::from_url(&url).map_err(|why| unusable(why, false))?;
        Ok(Some(proxy))
    }

    /// Whether `NO_PROXY` lets a target through to a proxy.
    pub(super) fn uses_proxy(&self, host: &str, port: u16) -> bool {
        let host = ascii(host);
        if host == "localhost" {
            return false;
        }
        let address = host
            .parse::<IpAddr>()
            .ok()
            .map(|address| address.to_canonical());
        if address.is_some_and(|address| address.is_loopback()) {
            return false;
        }
        let target = Target {
            host: host.trim().to_lowercase(),
            address,
            port,
        };
        !self.none.split(',').any(|entry| excludes(entry, &target))
    }
}

/// A variable that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Unusable {
    pub(in super::super) why: String,
    /// Go takes it as if it were not there.
    pub(in super::super) ignored: bool,
}

struct Target {
    host: String,
    address: Option<IpAddr>,
    port: u16,
}

/// `host:port` is meant as `http://host:port`.
fn parse(value: &str) -> Result<Url, String> {
    let parsed = Url::parse(value);
    if let Ok(url) = &parsed
        && !url.scheme.is_empty()
        && !url.host.is_empty()
    {
        return parsed;
    }
    match Url::parse(&format!("http://{value}")) {
        Ok(url) => Ok(url),
        Err(_) => parsed,
    }
}

/// Whether an entry of `NO_PROXY` means the target.
fn excludes(entry: &str, target: &Target) -> bool {
    let entry = entry.trim().to_lowercase();
    if entry.is_empty() {
        return false;
    }
    if entry == "*" {
        return true;
    }
    if let Some(range) = range(&entry) {
        return target
            .address
            .is_some_and(|address| range.contains(&address));
    }
    let Some((host, port)) = split(&entry) else {
        return false;
    };
    let port_fits = port.is_empty() || port == target.port.to_string();
    if let Ok(address) = host.parse::<IpAddr>() {
        return target.address == Some(address.to_canonical()) && port_fits;
    }
    // Names never mean a target that is an address.
    if host.is_empty() || target.address.is_some() {
        return false;
    }
    let host = host
        .strip_prefix('*')
        .filter(|rest| rest.starts_with('.'))
        .unwrap_or(host);
    let (suffix, itself) = match host.strip_prefix('.') {
        Some(_) => (host.to_owned(), false),
        None => (format!(".{host}"), true),
    };
    let suffix = ascii(&suffix);
    let fits = target.host.ends_with(&suffix) || (itself && target.host == suffix[1..]);
    fits && port_fits
}

/// `10.0.0.0/8`; client-go also takes `010.0.0.0/8`, in which Go's own parser sees no range.
fn range(entry: &str) -> Option<IpNet> {
    let (address, length) = entry.split_once('/')?;
    let plain = match address.contains(':') {
        true => address.to_owned(),
        false => {
            let parts = address
                .split('.')
                .map(|part| match part.trim_start_matches('0') {
                    "" if !part.is_empty() => "0",
                    rest => rest,
                });
            parts.collect::<Vec<_>>().join(".")
        }
    };
    // No sign.
    if length.is_empty() || !length.bytes().all(|own| own.is_ascii_digit()) {
        return None;
    }
    let net = IpNet::new(plain.parse().ok()?, length.parse().ok()?).ok()?;
    match net {
        // ::ffff:10.0.0.0/104 means 10.0.0.0/8.
        IpNet::V6(v6) => match v6.addr().to_ipv4_mapped() {
            Some(v4) if v6.prefix_len() >= 96 => IpNet::new(v4.into(), v6.prefix_len() - 96).ok(),
            _ => Some(net),
        },
        IpNet::V4(_) => Some(net),
    }
}

/// Host and port, where there is a port; `None` for what has a port and no host. What is no
/// pair of both (`::1`, `a:b:c`) is all host.
fn split(entry: &str) -> Option<(&str, &str)> {
    let (host, port) = match entry.strip_prefix('[') {
        Some(rest) => match rest.split_once("]:") {
            Some((host, port)) if !host.contains(['[', ']']) => (host, port),
            _ => return Some((entry, "")),
        },
        None => match entry.split_once(':') {
            Some((host, port)) => (host, port),
            None => return Some((entry, "")),
        },
    };
    if port.contains([':', '[', ']']) || host.contains(['[', ']']) {
        return Some((entry, ""));
    }
    if host.is_empty() {
        None
    } else {
        Some((host, port))
    }
}

/// Names beyond ASCII as they are asked of DNS; what cannot be is left as it is.
fn ascii(name: &str) -> String {
    if name.is_ascii() {
        return name.to_owned();
    }
    // A leading dot is no label.
    let (dot, rest) = match name.strip_prefix('.') {
        Some(rest) => (".", rest),
        None => ("", name),
    };
    idna::domain_to_ascii(rest).map_or_else(|_| name.to_owned(), |ascii| format!("{dot}{ascii}"))
}
