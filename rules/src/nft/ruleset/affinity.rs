//! What some Service ports have of their own: chains, and with session affinity
//! a set of clients for each endpoint. The only named objects that multiply with
//! Services.

use super::digest::digest;
use crate::model::{EndpointAddr, ObjectName, Protocol};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// `namespace/name/protocol/port`, as part of names in the table. At most 138
/// bytes, so that the longest name around it stays under nftables' 255.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortName(Arc<str>);

impl PortName {
    /// Names a port, differently from every other port. Names that the API
    /// server would accept are kept as they are; in others, what nft could not
    /// read is replaced, what is too long is cut, and a digest of the whole name
    /// is appended.
    pub fn new(service: &ObjectName, protocol: Protocol, port: u16) -> Self {
        let namespace = clean(&service.namespace);
        let name = clean(&service.name);
        Self(format!("{namespace}/{name}/{protocol}/{port}").into())
    }

    /// The port of a name that a table has; `None` for one that [`new`](Self::new) would not
    /// give.
    pub(crate) fn named(text: &str) -> Option<Self> {
        const MAX: usize = 138;
        let [namespace, name, protocol, port] = *text.split('/').collect::<Vec<_>>().as_slice()
        else {
            return None;
        };
        let is_plain = |part: &str| part.chars().all(|c| c == '_' || is_plain(c));
        let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
        let is_protocol = protocols.iter().any(|known| known.to_string() == protocol);
        let is_port = port.parse::<u16>().is_ok_and(|own| own.to_string() == port);
        let is_ours = text.len() <= MAX && is_protocol && is_port;
        (is_ours && is_plain(namespace) && is_plain(name)).then(|| Self(text.into()))
    }
}

/// A DNS label's length is enough for every name that the API server accepts.
/// What is kept as it is has no underscore, what is not has at least one.
fn clean(name: &str) -> Cow<'_, str> {
    const LABEL_MAX: usize = 63;
    const KEPT: usize = 30;
    if name.len() <= LABEL_MAX && name.chars().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let kept = name.chars().take(KEPT);
    let mut cleaned: String = kept.map(|c| if is_plain(c) { c } else { '_' }).collect();
    cleaned.push('_');
    cleaned.push_str(&digest([name.as_bytes()]));
    Cow::Owned(cleaned)
}

/// What names of the API server are made of, and nft reads in a name.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.')
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The clients that an endpoint was chosen for; each leaves when its timeout
/// ends. Filled by the rules, not by us.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AffinitySet {
    /// The Service port.
    pub port: PortName,
    /// The endpoint.
    pub backend: EndpointAddr,
}

impl AffinitySet {
    /// How many clients it holds at the most. One more is balanced like
    /// anybody else, and not remembered. It is the kernel's own limit for a set
    /// that rules fill (`nft list` shows it as the set's size), and it is not
    /// declared: a hash table for so many takes 2 MiB, clients or none.
    pub const CLIENTS_MAX: usize = 65_535;
}

impl fmt::Display for AffinitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_endpoint(f, &self.port, &self.backend)
    }
}

/// A client that a new set remembers from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// How long it is remembered after a connection, in milliseconds.
    pub timeout: u64,
    /// How much of that is left, in milliseconds; at least 1, at most `timeout`.
    pub remaining: u64,
}

/// A chain of a single Service port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortChain {
    /// The Service port.
    pub port: PortName,
    /// Why it has chains of its own.
    pub kind: PortKind,
    /// What it is for.
    pub role: PortRole,
}

/// Why a port has chains of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortKind {
    /// Its endpoints remember their clients.
    Affinity,
    /// Its endpoints are listed once for many frontends.
    List,
}

/// What a port's chain is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortRole {
    /// Remembers the client and translates to one endpoint; with affinity only.
    Endpoint(EndpointAddr),
    /// Chooses among all endpoints: the client's, or a random one.
    Cluster,
    /// The same among those on this node.
    Local,
    /// Marks for masquerade, then `Cluster`.
    Masquerade,
    /// External policy Local: see [`super::ChainId::ExternalLocal`].
    ExternalLocal,
}

impl fmt::Display for PortChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match &self.role {
            PortRole::Endpoint(backend) => return write_endpoint(f, &self.port, backend),
            PortRole::Cluster => "",
            PortRole::Local => "local-",
            PortRole::Masquerade => "masquerade-",
            PortRole::ExternalLocal => "external-",
        };
        let kind = match self.kind {
            PortKind::Affinity => "affinity",
            PortKind::List => "endpoints",
        };
        write!(f, "{prefix}{kind}-{}", self.port)
    }
}

/// Set and chain of an endpoint have one name. Colons would end a name in nft.
fn write_endpoint(
    f: &mut fmt::Formatter<'_>,
    port: &PortName,
    EndpointAddr { address, port: own }: &EndpointAddr,
) -> fmt::Result {
    let address = address.to_string().replace(':', ".");
    write!(f, "affinity-{port}__{address}/{own}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_short_and_readable_to_nft() {
        let usual = PortName::new(&ObjectName::new("default", "web"), Protocol::Tcp, 80);
        let chain = |port: &PortName, role| {
            let (port, kind) = (port.clone(), PortKind::Affinity);
            PortChain { port, kind, role }.to_string()
        };
        assert_eq!(
            chain(&usual, PortRole::Masquerade),
            "masquerade-affinity-default/web/tcp/80"
        );
        let backend = EndpointAddr {
            address: "fd00:10:244:ffff:ffff:ffff:ffff:ffff"
                .parse()
                .expect("an address"),
            port: 65_535,
        };
        let endpoint = chain(&usual, PortRole::Endpoint(backend));
        assert_eq!(
            endpoint,
            "affinity-default/web/tcp/80__fd00.10.244.ffff.ffff.ffff.ffff.ffff/65535"
        );
        let strange = ObjectName::new("a\"; flush ruleset; ".repeat(40), "ü\n".repeat(200));
        let strange = PortName::new(&strange, Protocol::Sctp, 65_535);
        let name = chain(&strange, PortRole::Endpoint(backend));
        assert!(name.len() < 255, "{} bytes", name.len());
        let readable = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        assert!(name.chars().all(readable), "{name}");
    }

    #[test]
    fn no_two_ports_have_one_name() {
        let long = "n".repeat(63);
        let longer = |last: &str| format!("{long}{last}");
        let one = longer("1");
        let names = [
            "a",
            "a.b",
            "a-b",
            "a_b",
            "a/b",
            "a\"b",
            "ab",
            "A",
            "",
            "ä",
            "ö",
            "__",
            "_",
            " ",
            &long,
            &long[1..],
            &longer("1"),
            &longer("2"),
            &longer(""),
            &longer("ä"),
            &"ü".repeat(40),
            &"ü".repeat(41),
            &clean("a/b"),
            &clean(&one),
        ];
        let names: BTreeSet<&str> = names.into_iter().collect();
        let mut made = BTreeSet::new();
        for namespace in &names {
            for name in &names {
                for protocol in [Protocol::Tcp, Protocol::Udp] {
                    for port in [8, 80] {
                        let service = ObjectName::new(*namespace, *name);
                        let own = PortName::new(&service, protocol, port).to_string();
                        assert!(own.len() <= 138, "{own}");
                        assert!(made.insert(own.clone()), "{own} twice");
                    }
                }
            }
        }
        assert_eq!(made.len(), names.len() * names.len() * 4);
    }
}
