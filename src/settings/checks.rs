//! Whether the configuration fits the node's IP families (docs/reference.md#checks-against-the-node).

use super::{DetectLocalMode, NodeportAddress, Settings};
use crate::config::{parse_cidr, parse_ip};
use ipnet::IpNet;
use rules::model::{Family, Node};
use std::net::SocketAddr;

/// What does not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpChecks {
    /// Each a message.
    pub problems: Vec<String>,
    /// They end the process, as they always did.
    pub fatal: bool,
}

/// The family of the node's first address, which `bindAddress` overrides; IPv4 while neither is
/// known.
fn primary_family(settings: &Settings, node: Option<&Node>) -> Family {
    if !settings.rules.bind_address.is_unspecified() {
        return Family::of(settings.rules.bind_address);
    }
    let first = node.and_then(|node| node.addresses.first());
    first.map_or(Family::V4, |address| Family::of(*address))
}

fn other(family: Family) -> Family {
    match family {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    }
}

/// Whether there are ranges, all of them of this family.
fn all_of(ranges: &[IpNet], family: Family) -> bool {
    !ranges.is_empty()
        && ranges
            .iter()
            .all(|range| Family::of(range.addr()) == family)
}

fn is_dual(ranges: &[IpNet]) -> bool {
    let has = |family| {
        ranges
            .iter()
            .any(|range| Family::of(range.addr()) == family)
    };
    has(Family::V4) && has(Family::V6)
}

/// Whether node ports answer on more addresses than one may think; each a message.
pub fn check_node_ports(settings: &Settings, node: Option<&Node>) -> Vec<String> {
    let addresses = &settings.rules.nodeport_addresses;
    if addresses.is_empty() {
        return vec![
            "nodePortAddresses is unset; NodePort connections will be accepted on all local IPs. \
             Consider using `--nodeport-addresses primary`"
                .to_owned(),
        ];
    }
    let primary = primary_family(settings, node);
    let covered = |family| {
        addresses
            .iter()
            .any(|address| covers(*address, node, family))
    };
    let pod_cidrs = node.map(|node| &node.pod_cidrs[..]).unwrap_or_default();
    let dual_stack = is_dual(&settings.rules.cluster_cidrs) || is_dual(pod_cidrs);
    let second = other(primary);
    if covered(primary) && !covered(second) && dual_stack {
        vec![format!(
            "cluster appears to be dual-stack but nodePortAddresses contains only {primary} \
             addresses; NodePort connections will be accepted on all local {second} IPs"
        )]
    } else if !covered(primary) {
        vec![format!(
            "cluster appears to be {primary}-primary but nodePortAddresses contains only {second} \
             addresses; NodePort connections will be accepted on all local {primary} IPs"
        )]
    } else {
        Vec::new()
    }
}

fn covers(address: NodeportAddress, node: Option<&Node>, family: Family) -> bool {
    match address {
        NodeportAddress::All | NodeportAddress::Localhost => true,
        NodeportAddress::Range(range) => Family::of(range.addr()) == family,
        NodeportAddress::Primary => node
            .into_iter()
            .flat_map(|node| &node.addresses)
            .any(|address| Family::of(*address) == family),
    }
}

/// Whether ranges and addresses are of the families that the node has.
pub fn check_ips(settings: &Settings, node: Option<&Node>, families: &[Family]) -> IpChecks {
    let primary = primary_family(settings, node);
    if !families.contains(&primary) {
        return IpChecks {
            problems: vec![format!("no support for primary IP family \"{primary}\"")],
            fatal: true,
        };
    }
    let bad = other(primary);
    let dual_stack = families.len() > 1;
    let cluster = format!("{primary}-{}", if dual_stack { "primary" } else { "only" });
    let mut problems = Vec::new();
    let mut fatal = false;
    let mut say = |what: String| problems.push(format!("cluster is {cluster} but {what}"));
    let config = &settings.config;
    let cluster_cidrs: Vec<IpNet> = config
        .cluster_cidrs
        .iter()
        .filter_map(|range| parse_cidr(range))
        .collect();
    if all_of(&cluster_cidrs, bad) {
        say(format!("clusterCIDRs contains only {bad} addresses"));
        fatal |= settings.rules.detect_local_mode == DetectLocalMode::ClusterCidr && !dual_stack;
    }
    let pod_cidrs = node.map(|node| &node.pod_cidrs[..]).unwrap_or_default();
    if all_of(pod_cidrs, bad) {
        say(format!("node.spec.podCIDRs contains only {bad} addresses"));
        fatal |= settings.rules.detect_local_mode == DetectLocalMode::NodeCidr;
    }
    if parse_ip(&config.winkernel.source_vip).is_some_and(|ip| Family::of(ip) == bad) {
        say(format!("winkernel.sourceVip is {bad}"));
    }
    if !dual_stack {
        for (field, address) in [
            ("healthzBindAddress", settings.healthz_bind_address),
            ("metricsBindAddress", Some(settings.metrics_bind_address)),
        ] {
            if address.is_some_and(|address| is_bad(address, bad)) {
                say(format!("{field} is {bad}"));
            }
        }
    }
    IpChecks { problems, fatal }
}

fn is_bad(address: SocketAddr, bad: Family) -> bool {
    !address.ip().is_unspecified() && Family::of(address.ip()) == bad
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(flags: &[&str]) -> Settings {
        let mut words = vec!["--hostname-override=n1", "--proxy-mode=nftables"];
        words.extend(flags);
        Settings::from_flags(&words).expect("valid flags")
    }

    fn node(addresses: &[&str], pod_cidrs: &[&str]) -> Node {
        Node {
            addresses: addresses
                .iter()
                .map(|ip| ip.parse().expect("an IP"))
                .collect(),
            pod_cidrs: pod_cidrs
                .iter()
                .map(|net| net.parse().expect("a range"))
                .collect(),
            ..Node::default()
        }
    }

    #[test]
    fn node_ports() {
        let four = node(&["192.0.2.1"], &[]);
        let both = node(&["192.0.2.1", "2001:db8::1"], &["10.0.0.0/24", "fd00::/64"]);
        for (flags, node, says) in [
            (&[][..], &both, None),
            (&["--nodeport-addresses=all"], &four, None),
            (&["--nodeport-addresses=10.0.0.0/8"], &four, None),
            (
                &["--nodeport-addresses=10.0.0.0/8"],
                &both,
                Some("dual-stack but nodePortAddresses contains only IPv4"),
            ),
            (
                &["--nodeport-addresses=fd00::/8"],
                &four,
                Some("IPv4-primary but nodePortAddresses contains only IPv6"),
            ),
            (
                &["--proxy-mode=iptables"],
                &four,
                Some("nodePortAddresses is unset"),
            ),
        ] {
            let problems = check_node_ports(&settings(flags), Some(node));
            match says {
                None => assert_eq!(problems, Vec::<String>::new(), "{flags:?}"),
                Some(says) => assert!(problems[0].contains(says), "{flags:?}: {problems:?}"),
            }
        }
    }

    #[test]
    fn families() {
        let four = node(&["192.0.2.1"], &["fd00::/64"]);
        let six = node(&["2001:db8::1"], &[]);
        let (single, dual): (&[Family], &[Family]) = (&[Family::V4], &Family::ALL);
        for (flags, node, families, says, fatal) in [
            (
                &["--cluster-cidr=10.0.0.0/8"][..],
                &six,
                dual,
                "IPv6-primary but clusterCIDRs contains only IPv4",
                false,
            ),
            (
                &["--cluster-cidr=fd00::/8"],
                &four,
                single,
                "IPv4-only but clusterCIDRs contains only IPv6",
                true,
            ),
            (
                &["--detect-local-mode=NodeCIDR"],
                &four,
                dual,
                "node.spec.podCIDRs contains only IPv6",
                true,
            ),
            (
                &[
                    "--detect-local-mode=BridgeInterface",
                    "--pod-bridge-interface=br0",
                ],
                &four,
                dual,
                "node.spec.podCIDRs",
                false,
            ),
            (
                &["--metrics-bind-address=[fd00::1]:1"],
                &four,
                single,
                "metricsBindAddress is IPv6",
                false,
            ),
            (
                &[],
                &six,
                single,
                "no support for primary IP family \"IPv6\"",
                true,
            ),
            (
                &["--bind-address=2001:db8::1"],
                &four,
                single,
                "no support for primary",
                true,
            ),
        ] {
            let checks = check_ips(&settings(flags), Some(node), families);
            assert!(
                checks.problems.iter().any(|problem| problem.contains(says)),
                "{flags:?}: {checks:?}"
            );
            assert_eq!(checks.fatal, fatal, "{flags:?}: {checks:?}");
        }
        let fine = check_ips(&settings(&["--metrics-bind-address=[::]:1"]), None, single);
        assert_eq!(fine, IpChecks::default());
    }
}
