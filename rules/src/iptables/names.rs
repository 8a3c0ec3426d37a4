//! Names of chains, which are upstream's: whoever takes a node over finds the other's chains.

use crate::model::{EndpointAddr, ObjectName, Protocol};
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::SocketAddr;

/// The name of a chain, at most [`ChainName::MAX`] bytes. Ordered as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainName {
    /// Zeros behind the name.
    bytes: [u8; Self::MAX],
}

impl ChainName {
    /// The kernel's `XT_EXTENSION_MAXNAMELEN` without the closing NUL.
    pub const MAX: usize = 28;

    /// A name that is known when this is compiled.
    pub(super) const fn fixed(name: &'static str) -> Self {
        let name = name.as_bytes();
        assert!(name.len() <= Self::MAX, "too long");
        let mut bytes = [0; Self::MAX];
        let mut at = 0;
        while at < name.len() {
            bytes[at] = name[at];
            at += 1;
        }
        Self { bytes }
    }

    /// A prefix with a hash behind it.
    fn hashed(prefix: &'static str, hash: &Hash) -> Self {
        let mut name = Self::fixed(prefix);
        let behind = &mut name.bytes[prefix.len()..];
        behind[..hash.len()].copy_from_slice(hash);
        name
    }

    /// A name that was read somewhere; `None` if no chain can have it.
    pub fn read(name: &str) -> Option<Self> {
        let fits = !name.is_empty() && name.len() <= Self::MAX && !name.contains('\0');
        let mut bytes = [0; Self::MAX];
        bytes
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        fits.then_some(Self { bytes })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let length = self.bytes.iter().position(|byte| *byte == 0);
        let name = &self.bytes[..length.unwrap_or(Self::MAX)];
        str::from_utf8(name).unwrap_or_default()
    }

    /// What the names of endpoints' chains begin with.
    pub const ENDPOINT: &'static str = ENDPOINT;

    /// Whether it is `KUBE-SVL-…`, of the node's endpoints alone.
    pub fn is_of_local(&self) -> bool {
        self.as_str().starts_with(LOCAL)
    }

    /// Whether it is `KUBE-EXT-…`, of what comes to anything but a cluster IP.
    pub fn is_of_external(&self) -> bool {
        self.as_str().starts_with(EXTERNAL)
    }

    /// Whether it is `KUBE-FW-…`, of source ranges.
    pub fn is_of_firewall(&self) -> bool {
        self.as_str().starts_with(FIREWALL)
    }

    /// Whether it is a chain of one endpoint.
    pub fn is_of_endpoint(&self) -> bool {
        self.as_str().starts_with(ENDPOINT)
    }

    /// Whether it is a chain of one Service port or endpoint: such a one goes when nobody uses it
    /// any more.
    pub fn is_of_service(&self) -> bool {
        let prefixes = [SERVICE, LOCAL, ENDPOINT, FIREWALL, EXTERNAL];
        prefixes.iter().any(|own| self.as_str().starts_with(own))
    }

    /// How many chains of Services a packet meets at most from here on: what a chain leads to has a
    /// lower number.
    pub(super) fn height(&self) -> u8 {
        let heights = [
            (ENDPOINT, 1),
            (SERVICE, 2),
            (LOCAL, 2),
            (EXTERNAL, 3),
            (FIREWALL, 4),
        ];
        let own = |(prefix, _): &&(&str, u8)| self.as_str().starts_with(prefix);
        heights.iter().find(own).map_or(0, |(_, height)| *height)
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const SERVICE: &str = "KUBE-SVC-";
const LOCAL: &str = "KUBE-SVL-";
const EXTERNAL: &str = "KUBE-EXT-";
const FIREWALL: &str = "KUBE-FW-";
const ENDPOINT: &str = "KUBE-SEP-";

/// The chains that one Service port may have.
#[derive(Clone, Copy, Debug)]
pub struct PortChains {
    /// `KUBE-SVC-…`: the endpoints for policy Cluster.
    pub cluster: ChainName,
    /// `KUBE-SVL-…`: the endpoints for policy Local.
    pub local: ChainName,
    /// `KUBE-EXT-…`: what comes to anything but a cluster IP.
    pub external: ChainName,
    /// `KUBE-FW-…`: the sources that load-balancer IPs let through.
    pub firewall: ChainName,
}

impl PortChains {
    /// Those of the port that [`port_name`] calls so.
    pub fn of(port_name: &str, protocol: Protocol) -> Self {
        let hash = hash(&[port_name, keyword(protocol)]);
        Self {
            cluster: ChainName::hashed(SERVICE, &hash),
            local: ChainName::hashed(LOCAL, &hash),
            external: ChainName::hashed(EXTERNAL, &hash),
            firewall: ChainName::hashed(FIREWALL, &hash),
        }
    }
}

/// `KUBE-SEP-…` of an endpoint of a port.
pub fn endpoint_chain(port_name: &str, protocol: Protocol, endpoint: &str) -> ChainName {
    let hash = hash(&[port_name, keyword(protocol), endpoint]);
    ChainName::hashed(ENDPOINT, &hash)
}

/// A Service port's name in comments and hashes: `namespace/service:port`, without a colon if the
/// port has no name.
pub fn port_name(service: &ObjectName, port: &str) -> String {
    match port {
        "" => service.to_string(),
        port => format!("{service}:{port}"),
    }
}

/// An endpoint's name in comments and hashes: `10.244.1.10:8080`, `[fd00::1]:8080`.
pub fn endpoint_name(endpoint: &EndpointAddr) -> String {
    SocketAddr::new(endpoint.address, endpoint.port).to_string()
}

/// What `-p` takes, and part of what names are hashes of.
pub fn keyword(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// 80 bits in 16 letters.
type Hash = [u8; 16];

/// The first letters of what upstream makes of a text: SHA-256 in RFC 4648's base 32.
fn hash(parts: &[&str]) -> Hash {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let mut hash = [0; 16];
    for (at, letter) in hash.iter_mut().enumerate() {
        let (byte, bit) = (at * 5 / 8, at * 5 % 8);
        let two = u16::from_be_bytes([digest[byte], digest[byte + 1]]);
        *letter = LETTERS[usize::from(two >> (11 - bit) & 31)];
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that upstream's own tests expect (`pkg/proxy/iptables/proxier_test.go`, v1.37.2).
    #[test]
    fn names_are_upstreams() {
        let service = ObjectName::new("ns1", "svc1");
        let name = port_name(&service, "p80");
        assert_eq!(name, "ns1/svc1:p80");
        let chains = PortChains::of(&name, Protocol::Tcp);
        assert_eq!(chains.cluster.as_str(), "KUBE-SVC-XPGD46QRK7WJZT7O");
        assert_eq!(chains.external.as_str(), "KUBE-EXT-XPGD46QRK7WJZT7O");
        let endpoint = EndpointAddr {
            address: [10, 180, 0, 1].into(),
            port: 80,
        };
        let chain = endpoint_chain(&name, Protocol::Tcp, &endpoint_name(&endpoint));
        assert_eq!(chain.as_str(), "KUBE-SEP-SXIVWICOYRO3J4NJ");
        assert!(chain.is_of_service());
    }

    #[test]
    fn a_port_without_a_name_has_no_colon() {
        let service = ObjectName::new("default", "web");
        assert_eq!(port_name(&service, ""), "default/web");
    }

    #[test]
    fn a_name_that_no_chain_can_have_is_none() {
        assert_eq!(ChainName::read(""), None);
        assert_eq!(ChainName::read(&"x".repeat(29)), None);
        assert_eq!(ChainName::read("a\0b"), None);
        let longest = "x".repeat(28);
        assert_eq!(ChainName::read(&longest).expect("a name").as_str(), longest);
        let ours = ChainName::read("KUBE-SERVICES").expect("a name");
        assert!(!ours.is_of_service());
        assert!(ChainName::fixed("A") < ChainName::fixed("A-B"));
    }
}
