//! From names in a table back to what they stand for: whoever reads a table that the kernel
//! holds gets the same types as whoever plans one. A name that we would not have given is none of
//! ours.

use crate::config::{Config, Localhost};
use crate::model::{EndpointAddr, Family};
use crate::nft::ruleset::{AffinitySet, ChainId, PortChain, PortKind, PortName, PortRole, SetId};
use crate::nft::{base, port_chains};
use std::net::IpAddr;
use std::sync::OnceLock;

/// Chains that are always there: their names and comments.
fn fixed() -> &'static [(&'static str, &'static str)] {
    static FIXED: OnceLock<Vec<(&str, &str)>> = OnceLock::new();
    FIXED.get_or_init(|| {
        let config = Config {
            localhost: Localhost::Refused,
            ..Config::new(Family::V4, "")
        };
        let chains = base::chains(&config, &[]);
        let names = chains.into_iter().filter_map(|chain| match chain.id {
            ChainId::Fixed(name) => Some((name, chain.comment)),
            _ => None,
        });
        names.collect()
    })
}

/// The set or map of a name.
pub fn set(name: &str) -> Option<SetId> {
    SetId::ALL.into_iter().find(|set| set.name() == name)
}

/// The set of clients of a name; its address tells no family, so that is given.
pub fn affinity_set(name: &str, family: Family) -> Option<AffinitySet> {
    let (port, backend) = name.strip_prefix("affinity-")?.rsplit_once("__")?;
    let (address, port_of_it) = backend.split_once('/')?;
    let address = match family {
        Family::V4 => IpAddr::V4(address.parse().ok()?),
        Family::V6 => IpAddr::V6(address.replace('.', ":").parse().ok()?),
    };
    let set = AffinitySet {
        port: PortName::named(port)?,
        backend: EndpointAddr {
            address,
            port: port_of_it.parse().ok()?,
        },
    };
    (set.to_string() == name).then_some(set)
}

/// The chain of a name, but for those of sources, whose names are digests of what they hold.
pub fn chain(name: &str, family: Family) -> Option<ChainId> {
    let found = fixed().iter().find(|(known, _)| *known == name);
    let id = match found {
        Some((name, _)) => ChainId::Fixed(name),
        None => counted(name).or_else(|| port_chain(name, family).map(ChainId::Port))?,
    };
    (id.to_string() == name).then_some(id)
}

/// A chain that ports with as many endpoints share.
fn counted(name: &str) -> Option<ChainId> {
    let (nodeport, name) = flag(name, "nodeport-");
    let (masquerade, name) = flag(name, "masquerade-");
    if let Some(count) = name.strip_prefix("cluster-") {
        return Some(ChainId::Cluster {
            endpoints: count.parse().ok()?,
            masquerade,
            nodeport,
        });
    }
    let counts = name.strip_prefix("local-").filter(|_| !masquerade)?;
    Some(match counts.split_once("-of-") {
        Some((local, all)) => ChainId::ExternalLocal {
            local: local.parse().ok()?,
            all: all.parse().ok()?,
            nodeport,
        },
        None => ChainId::Local {
            endpoints: counts.parse().ok()?,
            nodeport,
        },
    })
}

fn port_chain(name: &str, family: Family) -> Option<PortChain> {
    if let Some(AffinitySet { port, backend }) = affinity_set(name, family) {
        let (kind, role) = (PortKind::Affinity, PortRole::Endpoint(backend));
        return Some(PortChain { port, kind, role });
    }
    let roles = [
        ("local-", PortRole::Local),
        ("masquerade-", PortRole::Masquerade),
        ("external-", PortRole::ExternalLocal),
    ];
    let of_role = |(prefix, role)| Some((role, name.strip_prefix(prefix)?));
    let found = roles.into_iter().find_map(of_role);
    let (role, rest) = found.unwrap_or((PortRole::Cluster, name));
    let kinds = [
        ("affinity-", PortKind::Affinity),
        ("endpoints-", PortKind::List),
    ];
    let of_kind = |(prefix, kind)| Some((kind, rest.strip_prefix(prefix)?));
    let (kind, port) = kinds.into_iter().find_map(of_kind)?;
    let port = PortName::named(port)?;
    Some(PortChain { port, kind, role })
}

fn flag<'a>(name: &'a str, prefix: &str) -> (bool, &'a str) {
    match name.strip_prefix(prefix) {
        Some(rest) => (true, rest),
        None => (false, name),
    }
}

/// The comment of a chain, if it is one of ours.
pub fn comment(text: &str) -> Option<&'static str> {
    let others = ["", base::EXTERNAL_LOCAL, port_chains::REMEMBER];
    let fixed = fixed().iter().map(|(_, comment)| *comment);
    others.into_iter().chain(fixed).find(|known| *known == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ObjectName, Protocol};

    fn backend(family: Family) -> EndpointAddr {
        let address = match family {
            Family::V4 => "10.244.1.2",
            Family::V6 => "fd00:10:244::2",
        };
        EndpointAddr {
            address: address.parse().expect("an address"),
            port: 8080,
        }
    }

    #[test]
    fn every_chain_is_found_by_its_name() {
        for family in Family::ALL {
            let mut all: Vec<ChainId> = fixed()
                .iter()
                .map(|(name, _)| ChainId::Fixed(name))
                .collect();
            assert!(all.len() > 10, "{all:?}");
            for nodeport in [false, true] {
                for masquerade in [false, true] {
                    all.push(ChainId::Cluster {
                        endpoints: 3,
                        masquerade,
                        nodeport,
                    });
                }
                let (local, all_of) = (0, 12);
                all.push(ChainId::Local {
                    endpoints: 7,
                    nodeport,
                });
                all.push(ChainId::ExternalLocal {
                    local,
                    all: all_of,
                    nodeport,
                });
            }
            // Two that have names of their own, and one whose name is made for it.
            for (namespace, name) in [("default", "web"), ("a.b", "c-d"), ("x__y", "z _")] {
                let service = ObjectName::new(namespace, name);
                let port = PortName::new(&service, Protocol::Udp, 53);
                for kind in [PortKind::Affinity, PortKind::List] {
                    let mut roles = vec![
                        PortRole::Cluster,
                        PortRole::Local,
                        PortRole::Masquerade,
                        PortRole::ExternalLocal,
                    ];
                    if kind == PortKind::Affinity {
                        roles.push(PortRole::Endpoint(backend(family)));
                    }
                    all.extend(roles.into_iter().map(|role| {
                        let port = port.clone();
                        ChainId::Port(PortChain { port, kind, role })
                    }));
                }
            }
            for id in all {
                assert_eq!(chain(&id.to_string(), family), Some(id));
            }
        }
    }

    #[test]
    fn a_name_that_we_would_not_give_is_none_of_ours() {
        for name in [
            "",
            "input",
            "cluster-",
            "cluster-03",
            "cluster-+3",
            "cluster-3-of-4",
            "masquerade-local-3",
            "masquerade-nodeport-cluster-3",
            "local-1-of-2-of-3",
            "affinity-default/web/tcp",
            "affinity-default/web/tcp/080",
            "affinity-default/web/icmp/80",
            "affinity-default/web/tcp/80__10.0.0.1/080",
            "affinity-default/web/tcp/80__10.0.0.1",
            "endpoints-default/web/tcp/80__10.0.0.1/80",
            "affinity-default/w\"eb/tcp/80",
            "sources-00000000000000000000000000000000",
        ] {
            assert_eq!(chain(name, Family::V4), None, "{name}");
        }
        assert_eq!(set("cluster-ips"), Some(SetId::ClusterIps));
        assert_eq!(set("service-ips"), None, "upstream's");
        assert_eq!(comment(port_chains::REMEMBER), Some(port_chains::REMEMBER));
        assert_eq!(comment("somebody's"), None);
    }
}
