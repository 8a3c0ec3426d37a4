//! The two ends of a packet, as they are written on the command line.

use crate::pflag::UsageError;
use rules::model::ObjectName;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An end of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address.
    Address(IpAddr),
    /// `pod/NAMESPACE/NAME`.
    Pod(ObjectName),
    /// `svc/NAMESPACE/NAME`: as a source one of its endpoints.
    Service(ObjectName),
    /// `node`: the node itself; `node/NAME`: another one.
    Node(Option<String>),
    /// `outside`: an address that is no pod's and no node's.
    Outside,
}

/// A port, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// Its number, never 0.
    Number(u16),
    /// The name that a Service or a container gives it.
    Name(String),
}

/// A packet's destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Where.
    pub place: Place,
    /// Which port; `None` if it was left to be found.
    pub port: Option<Port>,
}

const PLACES: &str =
    "an address, pod/NAMESPACE/NAME, svc/NAMESPACE/NAME, node, node/NAME or outside";

impl Place {
    /// Reads a source.
    ///
    /// # Errors
    /// It is none; the error says what there is.
    pub fn source(text: &str) -> Result<Self, UsageError> {
        if text.parse::<SocketAddr>().is_ok() {
            return Err(UsageError::new(format!(
                "SRC {text:?}: a source has no port here, as any will do; give the address alone"
            )));
        }
        Self::read(text, "SRC")
    }

    fn read(text: &str, what: &str) -> Result<Self, UsageError> {
        let wrong = || UsageError::new(format!("{what} {text:?} is none of: {PLACES}"));
        let bare = text.strip_prefix('[').and_then(|own| own.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(text).parse() {
            return Ok(Self::Address(address));
        }
        let parts: Vec<&str> = text.split('/').collect();
        let object = |namespace: &str, name: &str| {
            let given = !namespace.is_empty() && !name.is_empty();
            given
                .then(|| ObjectName::new(namespace, name))
                .ok_or_else(wrong)
        };
        match *parts {
            ["node"] => Ok(Self::Node(None)),
            ["outside"] => Ok(Self::Outside),
            ["node", name] if !name.is_empty() => Ok(Self::Node(Some(name.to_owned()))),
            ["pod" | "pods" | "po", namespace, name] => object(namespace, name).map(Self::Pod),
            ["svc" | "service" | "services", namespace, name] => {
                object(namespace, name).map(Self::Service)
            }
            _ => Err(wrong()),
        }
    }
}

impl Destination {
    /// Reads a destination: a place, and behind a colon a port's number or name.
    ///
    /// # Errors
    /// It is none; the error says what there is.
    pub fn read(text: &str) -> Result<Self, UsageError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self {
                place: Place::Address(address.ip()),
                port: Some(number(text, address.port())?),
            });
        }
        let whole = text.parse::<IpAddr>().is_ok() || text.ends_with(']');
        let (place, port) = match text.rsplit_once(':') {
            Some((place, port)) if !whole => (place, Some(port)),
            _ => (text, None),
        };
        Ok(Self {
            place: Place::read(place, "DST")?,
            port: port.map(|port| self::port(text, port)).transpose()?,
        })
    }
}

fn number(text: &str, port: u16) -> Result<Port, UsageError> {
    match port {
        0 => Err(UsageError::new(format!(
            "DST {text:?}: there is no port 0; give one from 1 to 65535"
        ))),
        port => Ok(Port::Number(port)),
    }
}

fn port(text: &str, port: &str) -> Result<Port, UsageError> {
    if let Ok(given) = port.parse() {
        return number(text, given);
    }
    // What an API server takes for a port's name.
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if port.chars().all(|c| c.is_ascii_digit()) || !port.chars().all(is_name) {
        return Err(UsageError::new(format!(
            "DST {text:?}: {port:?} is no port; give a number from 1 to 65535, or the name of a \
             Service's port"
        )));
    }
    Ok(Port::Name(port.to_owned()))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Pod(name) => write!(f, "pod/{name}"),
            Self::Service(name) => write!(f, "svc/{name}"),
            Self::Node(None) => f.write_str("node"),
            Self::Node(Some(name)) => write!(f, "node/{name}"),
            Self::Outside => f.write_str("outside"),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_place() {
        let object = |name: &str| ObjectName::new("shop", name);
        let address = |text: &str| Place::Address(text.parse().expect("an address"));
        for (text, place, port) in [
            ("10.96.0.1:80", address("10.96.0.1"), Some(Port::Number(80))),
            ("10.96.0.1", address("10.96.0.1"), None),
            ("[fd00::1]:80", address("fd00::1"), Some(Port::Number(80))),
            ("[fd00::1]", address("fd00::1"), None),
            ("fd00::1", address("fd00::1"), None),
            ("fd00::1:80", address("fd00::1:80"), None),
            (
                "svc/shop/web:http",
                Place::Service(object("web")),
                Some(Port::Name("http".into())),
            ),
            ("service/shop/web", Place::Service(object("web")), None),
            (
                "pod/shop/web-1:8080",
                Place::Pod(object("web-1")),
                Some(Port::Number(8080)),
            ),
            ("node:30080", Place::Node(None), Some(Port::Number(30080))),
            (
                "node/n2:30080",
                Place::Node(Some("n2".into())),
                Some(Port::Number(30080)),
            ),
            ("outside", Place::Outside, None),
        ] {
            let expected = Destination { place, port };
            assert_eq!(Destination::read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_place_is_told_with_what_would_be() {
        let mut all = String::new();
        for text in [
            "",
            "10.0.0.256",
            "10.96.0.1:0",
            "10.96.0.1:65536",
            "10.96.0.1:",
            "svc/web",
            "svc//web:80",
            "pod/shop/web/x",
            "deployment/shop/web",
            "shop/web",
            "node/:1",
            "svc/shop/web:ht tp",
            "fd00::1]:80",
        ] {
            let error = Destination::read(text).expect_err(text);
            all += &format!("{text:?}: {error}\n");
        }
        let error = Place::source("10.0.0.1:80").expect_err("a port");
        all += &format!("{error}\n");
        insta::assert_snapshot!(all);
    }
}
