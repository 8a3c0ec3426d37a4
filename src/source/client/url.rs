//! URLs as Go's net/url takes them apart.
//!
//! A kubeconfig's `server` and `proxy-url` and the proxies of the environment were written for
//! programs in Go, and which of `host:port`, `host` and `scheme://host` mean what follows from
//! what that parser says of them.

use std::net::Ipv6Addr;

/// What is asked of a URL here. Queries and fragments are dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Url {
    /// In lower case; empty if there is none.
    pub(super) scheme: String,
    /// User and password, unescaped.
    pub(super) user: Option<(String, Option<String>)>,
    /// As written, with its port and an IPv6 address' brackets; may be empty.
    pub(super) host: String,
    pub(super) path: String,
}

impl Url {
    /// Takes a text apart.
    ///
    /// # Errors
    /// Go's parser refuses it as well; why.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.split('#').next().unwrap_or_default();
        if text.bytes().any(|own| own < 0x20 || own == 0x7f) {
            return Err("it has control characters".to_owned());
        }
        let (scheme, rest) = scheme(text)?;
        let rest = rest.split('?').next().unwrap_or_default();
        let mut url = Self {
            scheme: scheme.to_ascii_lowercase(),
            ..Self::default()
        };
        if !rest.starts_with('/') {
            if !scheme.is_empty() {
                // What Go calls opaque: `mailto:somebody`, and `localhost:6443` too.
                return Ok(url);
            }
            if rest
                .split('/')
                .next()
                .is_some_and(|first| first.contains(':'))
            {
                return Err("its first part cannot have a colon".to_owned());
            }
        }
        let mut path = rest;
        if (!scheme.is_empty() || !rest.starts_with("///"))
            && let Some(rest) = rest.strip_prefix("//")
        {
            let end = rest.find('/').unwrap_or(rest.len());
            path = &rest[end..];
            (url.user, url.host) = authority(&url.scheme, &rest[..end])?;
        }
        url.path = unescape(path)?;
        Ok(url)
    }

    /// The host without port and brackets.
    pub(super) fn hostname(&self) -> &str {
        split_port(&self.host).0
    }

    /// The port as it is written, if any.
    pub(super) fn port(&self) -> &str {
        split_port(&self.host).1
    }
}

/// Host without brackets, and port; of what [`Url::parse`] let through.
fn split_port(host: &str) -> (&str, &str) {
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|own| own.is_ascii_digit()) => (host, port),
        _ => (host, ""),
    };
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    (inner.unwrap_or(host), port)
}

/// `https://host` is `https` and `//host`; what cannot be a scheme is none.
fn scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, own) in text.bytes().enumerate() {
        match own {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("it has no scheme before the colon".to_owned()),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

type User = Option<(String, Option<String>)>;

fn authority(scheme: &str, text: &str) -> Result<(User, String), String> {
    let Some((user, host)) = text.rsplit_once('@') else {
        return Ok((None, checked_host(scheme, text)?));
    };
    let host = checked_host(scheme, host)?;
    let allowed = |own: u8| own.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&own);
    if !user.bytes().all(allowed) {
        return Err("its user or password has characters that have to be escaped".to_owned());
    }
    let user = match user.split_once(':') {
        None => (unescape(user)?, None),
        Some((name, password)) => (unescape(name)?, Some(unescape(password)?)),
    };
    Ok((Some(user), host))
}

fn checked_host(scheme: &str, host: &str) -> Result<String, String> {
    match host.rfind('[') {
        Some(0) => return literal(host),
        Some(_) => return Err("its host has a bracket within".to_owned()),
        None => {}
    }
    if let Some((before, after)) = host.split_once(':') {
        let port = host.rsplit_once(':').map_or("", |(_, port)| port);
        // Elsewhere several hosts with ports may be listed.
        let port = if matches!(scheme, "http" | "https") {
            after
        } else {
            port
        };
        check_port(port)?;
        check_characters(before)?;
    }
    unescaped_host(host)
}

/// `[address]` or `[address]:port`.
fn literal(host: &str) -> Result<String, String> {
    let Some(end) = host.rfind(']') else {
        return Err("its host lacks the closing bracket".to_owned());
    };
    match &host[end + 1..] {
        "" => {}
        rest => match rest.strip_prefix(':') {
            Some(port) => check_port(port)?,
            None => return Err("its host goes on after the bracket".to_owned()),
        },
    }
    let inner = &host[1..end];
    let (address, zone) = inner
        .split_once("%25")
        .map_or((inner, None), |(address, zone)| (address, Some(zone)));
    if address.parse::<Ipv6Addr>().is_err() || zone.is_some_and(str::is_empty) {
        return Err(format!("{inner:?} in brackets is not an IPv6 address"));
    }
    match zone {
        None => Ok(host.to_owned()),
        Some(zone) => Ok(format!(
            "[{address}%{}]{}",
            unescape(zone)?,
            &host[end + 1..]
        )),
    }
}

fn check_port(port: &str) -> Result<(), String> {
    if port.bytes().all(|own| own.is_ascii_digit()) {
        Ok(())
    } else {
        Err(format!("its port {port:?} is not a number"))
    }
}

fn check_characters(host: &str) -> Result<(), String> {
    let fits = |own: u8| {
        own >= 0x80 || own.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&own)
    };
    match host.bytes().find(|own| !fits(*own)) {
        None => Ok(()),
        Some(own) => Err(format!("its host has the character {:?}", char::from(own))),
    }
}

/// Only bytes beyond ASCII may be escaped in a host.
fn unescaped_host(host: &str) -> Result<String, String> {
    check_characters(host)?;
    let bytes = host.as_bytes();
    for (at, _) in host.match_indices('%') {
        let high = bytes.get(at + 1).copied().unwrap_or_default();
        let is_percent = host[at..].starts_with("%25");
        if high.is_ascii_digit() && high < b'8' && !is_percent {
            return Err("its host has an escape that is not for it".to_owned());
        }
    }
    unescape(host)
}

/// `%41` is `A`.
fn unescape(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(own) = rest.next() {
        if own != b'%' {
            out.push(own);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        match (digit(), digit()) {
            (Some(high), Some(low)) => out.extend(u8::try_from(high * 16 + low)),
            _ => return Err("it has a % that is not followed by two digits".to_owned()),
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}
