//! What echo says of a connection, and what probe reads of it.

use crate::report::API_VERSION;
use hyper::Request;
use hyper::header::{FORWARDED, HeaderMap};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A connection and one request of it, as the pod sees them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Echo {
    /// `kube-proxy-rs/v1`.
    pub api_version: String,
    /// `Echo`.
    pub kind: String,
    /// Who answers.
    #[serde(flatten)]
    pub identity: Identity,
    /// Whom the connection comes from: the source address of its packets as they arrive here, the
    /// one thing below that no client can make up.
    pub remote: End,
    /// Where the connection arrived: the pod's own address.
    pub local: End,
    /// What others say of the client.
    pub claims: Claims,
    /// `GET` and the like.
    pub method: String,
    /// The path, with the query.
    pub path: String,
    /// All headers, names in small letters.
    pub headers: BTreeMap<String, Vec<String>>,
}

/// Who answers, from the environment (the downward API).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// `POD_NAME`, or else the host's name, which is the pod's unless it has the node's network.
    pub pod: Option<String>,
    /// `POD_NAMESPACE`.
    pub namespace: Option<String>,
    /// `NODE_NAME`.
    pub node: Option<String>,
}

/// An end of a connection.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct End {
    /// An IPv4 address is one, whatever the socket's family is.
    pub address: IpAddr,
    /// TCP port.
    pub port: u16,
}

/// What is said of the client. Nobody vouches for any of it: it is worth as much as whoever
/// `remote` is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// The header of PROXY protocol, if one came.
    pub proxy_protocol: Option<ProxyClaim>,
    /// `X-Forwarded-For`, as it came.
    pub x_forwarded_for: Vec<String>,
    /// `X-Real-IP`, as it came.
    pub x_real_ip: Vec<String>,
    /// `Forwarded` (RFC 7239), as it came.
    pub forwarded: Vec<String>,
}

/// A header of PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProxyClaim {
    /// 1 or 2.
    pub version: u8,
    /// The client; `null` if the proxy speaks for itself, as its health checks do.
    pub source: Option<End>,
    /// Where the client connected to.
    pub destination: Option<End>,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

impl From<SocketAddr> for End {
    fn from(address: SocketAddr) -> Self {
        Self {
            address: address.ip().to_canonical(),
            port: address.port(),
        }
    }
}

impl Identity {
    /// What the environment tells.
    pub fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let host = || gethostname::gethostname().into_string().ok();
        Self {
            pod: variable("POD_NAME").or_else(host),
            namespace: variable("POD_NAMESPACE"),
            node: variable("NODE_NAME"),
        }
    }
}

impl Echo {
    /// `kind`.
    pub const KIND: &str = "Echo";

    pub(crate) fn new<B>(
        remote: SocketAddr,
        local: SocketAddr,
        proxy_protocol: Option<ProxyClaim>,
        identity: &Identity,
        request: &Request<B>,
    ) -> Self {
        let headers = request.headers();
        let path = request.uri().path_and_query();
        Self {
            api_version: API_VERSION.to_owned(),
            kind: Self::KIND.to_owned(),
            identity: identity.clone(),
            remote: remote.into(),
            local: local.into(),
            claims: Claims {
                proxy_protocol,
                x_forwarded_for: values(headers, "x-forwarded-for"),
                x_real_ip: values(headers, "x-real-ip"),
                forwarded: values(headers, FORWARDED.as_str()),
            },
            method: request.method().to_string(),
            path: path.map_or_else(|| request.uri().to_string(), ToString::to_string),
            headers: headers
                .keys()
                .map(|name| (name.to_string(), values(headers, name.as_str())))
                .collect(),
        }
    }
}

fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter();
    let text =
        |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    values.map(text).collect()
}
