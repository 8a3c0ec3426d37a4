//! Every setting that changes the rules: both proxies are started with it, and a few Services see
//! all kinds of packets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};

use crate::conformance::args::Args;
use crate::conformance::case::{Breadth, Case, FULL, Source, What, cases, tries};
use crate::conformance::rig::{DETECTION, Rig};
use crate::conformance::run::{Row, run};
use crate::conformance::spec::{
    Endpoint, Family, Frontend, Policy, SECOND_ADDRESSES, Service, State,
};
use crate::mode::Mode;

pub(crate) const GROUP: &str = "settings";
/// The Services' first slot.
const FIRST_SLOT: u8 = 170;

pub(crate) struct Variant {
    pub(crate) name: &'static str,
    words: &'static str,
    pub(crate) flags: &'static [&'static str],
    frontends: &'static [Frontend],
    /// Whether node-1's pods are on a bridge.
    bridged: bool,
}

impl Variant {
    /// About what is masqueraded: every frontend.
    const fn sources(
        name: &'static str,
        words: &'static str,
        flags: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            words,
            flags,
            frontends: &Frontend::ALL,
            bridged: false,
        }
    }

    /// About the addresses that answer node ports.
    const fn node_ports(
        name: &'static str,
        words: &'static str,
        flags: &'static [&'static str],
    ) -> Self {
        Self {
            frontends: &[Frontend::NodePort],
            ..Self::sources(name, words, flags)
        }
    }
}

const LOCALHOST_GATE: &str = "--feature-gates=KubeProxyNFTablesLocalhostNodePorts=true";
const CIDR_FLAGS: [&str; 2] = DETECTION;

const VARIANTS: [Variant; 11] = [
    Variant::sources(
        "masquerade-all",
        "everything to a cluster IP is masqueraded",
        &[CIDR_FLAGS[0], CIDR_FLAGS[1], "--masquerade-all=true"],
    ),
    Variant::sources("no-detector", "no cluster CIDR: no pod is known", &[]),
    Variant::sources(
        "cidr-of-one-family",
        "a cluster CIDR of IPv4 alone",
        &["--cluster-cidr", "10.244.0.0/16"],
    ),
    Variant::sources(
        "node-cidr",
        "pods are known by the Node's range",
        &["--detect-local-mode", "NodeCIDR"],
    ),
    Variant::sources(
        "prefix",
        "pods are known by their interfaces' names",
        &[
            "--detect-local-mode",
            "InterfaceNamePrefix",
            "--pod-interface-name-prefix",
            "pod",
        ],
    ),
    Variant {
        bridged: true,
        ..Variant::sources(
            "bridge",
            "pods are known by their bridge",
            &[
                "--detect-local-mode",
                "BridgeInterface",
                "--pod-bridge-interface",
                "cni0",
            ],
        )
    },
    Variant::node_ports(
        "ports-primary",
        "node ports on the primary addresses",
        &[CIDR_FLAGS[0], CIDR_FLAGS[1], "--nodeport-addresses=primary"],
    ),
    Variant::node_ports(
        "ports-all",
        "node ports on all addresses",
        &[CIDR_FLAGS[0], CIDR_FLAGS[1], "--nodeport-addresses=all"],
    ),
    Variant::node_ports(
        "ports-cidrs",
        "node ports on addresses in ranges of both families",
        &[
            CIDR_FLAGS[0],
            CIDR_FLAGS[1],
            "--nodeport-addresses=192.168.61.0/24,172.16.0.0/12,fd00:61::/64",
        ],
    ),
    Variant::node_ports(
        "ports-one-family",
        "node ports on addresses in a range of IPv4: IPv6 has none, so all",
        &[
            CIDR_FLAGS[0],
            CIDR_FLAGS[1],
            "--nodeport-addresses=192.168.61.0/24",
        ],
    ),
    Variant::node_ports(
        "ports-localhost",
        "node ports on loopback addresses, where mode nftables never answers",
        &[
            CIDR_FLAGS[0],
            CIDR_FLAGS[1],
            "--nodeport-addresses=localhost",
        ],
    ),
];

/// Those of mode nftables alone.
const OF_NFTABLES: [Variant; 2] = [
    Variant::node_ports(
        "localhost-proxy",
        "node ports on loopback addresses by way of a proxy",
        &[
            CIDR_FLAGS[0],
            CIDR_FLAGS[1],
            LOCALHOST_GATE,
            "--nodeport-addresses=primary,localhost",
        ],
    ),
    Variant::node_ports(
        "localhost-gate",
        "the gate for that proxy without loopback addresses",
        &[CIDR_FLAGS[0], CIDR_FLAGS[1], LOCALHOST_GATE],
    ),
];

/// Those that change nothing in mode nftables.
const OF_IPTABLES: [Variant; 4] = [
    Variant::node_ports(
        "no-localhost",
        "node ports on all addresses but loopback ones",
        &[
            CIDR_FLAGS[0],
            CIDR_FLAGS[1],
            "--iptables-localhost-nodeports=false",
        ],
    ),
    Variant::node_ports(
        "localhost-refused",
        "loopback addresses asked for and forbidden",
        &[
            CIDR_FLAGS[0],
            CIDR_FLAGS[1],
            "--nodeport-addresses=localhost,primary",
            "--iptables-localhost-nodeports=false",
        ],
    ),
    Variant::sources(
        "mark",
        "another bit of the mark",
        &[CIDR_FLAGS[0], CIDR_FLAGS[1], "--iptables-masquerade-bit=3"],
    ),
    Variant::sources(
        "bind-address",
        "a primary address of one family",
        &[CIDR_FLAGS[0], CIDR_FLAGS[1], "--bind-address=192.168.61.11"],
    ),
];

/// The settings that a mode has.
pub(crate) fn variants(mode: Mode) -> impl Iterator<Item = &'static Variant> {
    let own: &[Variant] = match mode {
        Mode::Nftables => &OF_NFTABLES,
        Mode::Iptables => &OF_IPTABLES,
    };
    VARIANTS.iter().chain(own)
}

/// Runs the variants of which a case is wanted.
pub(crate) fn compare(rig: &mut Rig, args: &Args) -> Result<Vec<Row>> {
    let services = services();
    let mut rows = Vec::new();
    let mut begun = false;
    for variant in variants(rig.mode) {
        let mut cases = variant_cases(variant, &services);
        cases.retain(|case| args.wants(&case.id));
        if cases.is_empty() {
            continue;
        }
        if !begun {
            begun = true;
            for service in &services {
                rig.put(service, GROUP)?;
            }
        }
        bridge(rig, variant, true)?;
        rig.restart(variant.flags)
            .with_context(|| variant.words.to_owned())?;
        rows.extend(run(rig, &format!("set-{}", variant.name), cases)?);
        bridge(rig, variant, false)?;
    }
    if begun {
        rig.clear(GROUP)?;
        rig.restart(&DETECTION)?;
    }
    Ok(rows)
}

fn bridge(rig: &Rig, variant: &Variant, on: bool) -> Result<()> {
    let mut sides = rig.sides.iter().filter(|_| variant.bridged);
    sides.try_for_each(|side| side.bridge_pods(on))
}

/// Both policies, endpoints here and elsewhere or none at all. Under policy Cluster not both at
/// once: without a known pod range, answers from elsewhere miss node-1, and which of the two a few
/// probes meet would be chance.
pub(crate) fn services() -> Vec<Service> {
    const A1: usize = 0;
    const A2: usize = 1;
    const B1: usize = 2;
    let rows: [(&str, Policy, Policy, &[usize]); 6] = [
        ("cluster", Policy::Cluster, Policy::Cluster, &[A1, A2]),
        ("away", Policy::Cluster, Policy::Cluster, &[B1]),
        ("local", Policy::Local, Policy::Local, &[A1, B1]),
        ("elsewhere", Policy::Cluster, Policy::Local, &[B1]),
        ("none", Policy::Cluster, Policy::Cluster, &[]),
        ("hairpin", Policy::Cluster, Policy::Local, &[A1]),
    ];
    rows.into_iter()
        .zip(FIRST_SLOT..)
        .map(|((name, internal, external, pods), slot)| {
            let mut service = Service::new(&format!("set-{name}"), slot);
            (service.internal, service.external) = (internal, external);
            let ready = |pod: &usize| Endpoint::new(*pod, State::Ready);
            service.endpoints = pods.iter().map(ready).collect();
            service
        })
        .collect()
}

fn variant_cases(variant: &Variant, services: &[Service]) -> Vec<Case> {
    let mut all = Vec::new();
    for service in services {
        let sources: &[Source] = match service.name.ends_with("hairpin") {
            true => &[Source::Endpoint],
            false => FULL.sources,
        };
        let breadth = Breadth {
            frontends: variant.frontends,
            sources,
            datagrams: match sources.len() {
                1 => sources,
                _ => FULL.datagrams,
            },
        };
        all.extend(cases(service, variant.words, breadth));
        all.extend(node_ports(service, variant.words, breadth));
    }
    for case in &mut all {
        let rest = case.id.strip_prefix("set-").unwrap_or(&case.id);
        case.id = format!("set-{}/{rest}", variant.name);
    }
    all
}

/// A Service's node ports at addresses of the node that are not the primary ones.
fn node_ports(service: &Service, words: &str, breadth: Breadth<'_>) -> Vec<Case> {
    let loopback = |family| match family {
        Family::V4 => IpAddr::from(Ipv4Addr::LOCALHOST),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    };
    let mut all = Vec::new();
    for family in Family::BOTH {
        for port in &service.ports {
            let second = breadth.sources.iter();
            let second =
                second.map(|source| ("second-address", family.of(SECOND_ADDRESSES), *source));
            for (name, address, source) in
                second.chain([("loopback", loopback(family), Source::Node)])
            {
                let id = [
                    service.name.as_str(),
                    name,
                    source.name(),
                    family.name(),
                    port.name,
                ];
                all.push(Case {
                    id: id.join("/").to_lowercase(),
                    description: words.to_owned(),
                    family,
                    source,
                    what: What::Probes {
                        protocol: port.protocol,
                        targets: vec![SocketAddr::new(address, service.node_port(port))],
                        tries: tries(service.reach()),
                        sticky: false,
                    },
                    turn: None,
                });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_case_is_there_once() {
        let services = services();
        for mode in [Mode::Nftables, Mode::Iptables] {
            let cases = variants(mode).flat_map(|variant| variant_cases(variant, &services));
            let ids: Vec<_> = cases.map(|case| case.id).collect();
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        }
    }
}
