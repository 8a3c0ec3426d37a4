//! A healthy node is silent; each thing that is wrong with it is found.

use super::*;
use crate::finding::{Code, Severity};
use crate::model::{Family, ObjectName, Protocol, Service, ServicePort};
use std::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A node that can have chains of iptables.
fn in_mode_iptables() -> Iptables {
    Iptables {
        missing: Ok(vec![(Family::V4, Vec::new()), (Family::V6, Vec::new())]),
        legacy: None,
    }
}

#[test]
fn chains_of_mode_iptables_are_its_own() {
    let mut facts = healthy();
    facts.tables.clear();
    facts.iptables = Some(in_mode_iptables());
    owned(&mut facts, Owner::KubeProxy, "nat");
    let (groups, findings) = check(&facts, None, None);
    assert_eq!(findings, []);
    let checks = groups.iter().flat_map(|group| &group.checks);
    let detail = |name: &str| {
        let mut checks = checks.clone().filter(|check| check.name == name);
        checks.next().map(|check| check.detail.clone())
    };
    assert_eq!(detail("matches and targets").as_deref(), Some("all there"));
    assert_eq!(detail("flavour").as_deref(), Some("nf_tables"));
    let chains = detail("chains of iptables on nf_tables").expect("a check");
    assert!(chains.contains("which mode iptables has"), "{chains}");
}

/// Nothing is wrong with it.
fn healthy() -> Facts {
    let feature = |name: &str| Feature {
        name: name.to_owned(),
        module: format!("nft_{name}"),
        family: Family::V4,
        lack: None,
    };
    let sysctls = [
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv6/conf/all/forwarding", "1"),
        ("net/ipv4/conf/all/rp_filter", "2"),
        ("net/ipv4/conf/all/route_localnet", "0"),
        ("net/netfilter/nf_conntrack_tcp_be_liberal", "0"),
    ];
    Facts {
        kernel: Kernel {
            release: "6.1.0".to_owned(),
            too_old: None,
            features: Ok(vec![feature("fib"), feature("ct")]),
            modules: Some(vec!["nf_tables".to_owned()]),
        },
        rights: Rights {
            net_admin: true,
            proc_sys: true,
            own_namespace: true,
        },
        sysctls: sysctls
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        differing: Vec::new(),
        conntrack: Ok(Conntrack {
            count: 1000,
            max: 262_144,
            dropped: 0,
            early_dropped: 0,
        }),
        iptables: None,
        others: Ok(Others::default()),
        legacy: Vec::new(),
        tables: vec![(Family::V4, ProxyTable::Ours)],
        ipvs: Ipvs::default(),
        addresses: Ok(vec![
            ip("127.0.0.1"),
            ip("192.0.2.1"),
            ip("192.0.2.99"),
            ip("2001:db8::1"),
        ]),
        bridges: Vec::new(),
        counted: Counted::default(),
        localhost_flows: Ok(Vec::new()),
    }
}

fn web() -> Service {
    Service {
        name: ObjectName::new("shop", "web"),
        cluster_ips: vec![ip("10.96.0.10")],
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: Some(30517),
        }],
        session_affinity: Some(10800),
        health_check_node_port: Some(31022),
        ..Service::default()
    }
}

fn cluster(service: &Service) -> Cluster<'_> {
    Cluster {
        services: vec![service],
        node_port_addresses: vec![
            (Family::V4, Some(vec![ip("192.0.2.1")])),
            (Family::V6, None),
        ],
        ipvs_scheduler: String::new(),
        ipvs_excludes: false,
    }
}

fn others(facts: &mut Facts) -> &mut Others {
    facts.others.as_mut().expect("they were seen")
}

fn owned(facts: &mut Facts, owner: Owner, table: &str) {
    others(facts).census.push(OwnerCensus {
        owner,
        family: ChainFamily::Ip,
        table: table.to_owned(),
        chains: 3,
        example: "EXAMPLE".to_owned(),
    });
}

/// A chain of iptables whose policy is drop, behind some rules that accept.
fn dropping(facts: &mut Facts, hook: Hook) {
    others(facts).chains.push(ForeignChain {
        family: ChainFamily::Ip,
        table: "filter".to_owned(),
        chain: hook.to_string().to_uppercase(),
        kind: "filter".to_owned(),
        hook,
        priority: 0,
        policy_drop: true,
        fate: Fate {
            rules: 4,
            lets_pass: true,
            drops_rest: true,
            ..Fate::default()
        },
        owner: None,
    });
}

fn found(facts: &Facts, from: Option<From>) -> Vec<(Code, Severity)> {
    let web = web();
    let cluster = cluster(&web);
    let (_, findings) = check(facts, Some(&cluster), from);
    findings
        .iter()
        .map(|finding| (finding.code, finding.severity))
        .collect()
}

#[test]
fn a_healthy_node_is_silent() {
    let (groups, findings) = check(&healthy(), None, None);
    assert_eq!(findings, []);
    let statuses = groups.iter().flat_map(|group| &group.checks);
    let bad: Vec<&Item> = statuses
        .filter(|check| matches!(check.status, Status::Warning | Status::Error))
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!(found(&healthy(), None), []);
}

/// What is done to a node.
type Fault = fn(&mut Facts);

/// A fault by its name, and what is found of it.
type Row = (&'static str, Fault, &'static [(Code, Severity)]);

#[test]
fn what_is_wrong_with_a_node_is_found() {
    use Severity::{Error, Info, Warning};
    let rows: &[Row] = &[
        (
            "an old kernel",
            |facts| facts.kernel.too_old = Some("older than 5.13".to_owned()),
            &[(Code::KernelFeatureMissing, Error)],
        ),
        (
            "a kernel without fib",
            |facts| {
                for feature in facts.kernel.features.iter_mut().flatten() {
                    if feature.name == "fib" {
                        feature.lack = Some("No such file or directory".to_owned());
                    }
                }
            },
            &[(Code::KernelFeatureMissing, Error)],
        ),
        (
            "no forwarding",
            |facts| {
                facts
                    .sysctls
                    .insert("net/ipv4/ip_forward".to_owned(), "0".to_owned());
            },
            &[(Code::SysctlDiffers, Error)],
        ),
        (
            "no forwarding, and no address of the family",
            |facts| {
                facts
                    .sysctls
                    .insert("net/ipv6/conf/all/forwarding".to_owned(), "0".to_owned());
                facts.addresses = Ok(vec![ip("192.0.2.1"), ip("::1"), ip("fe80::1")]);
            },
            &[],
        ),
        (
            "a bridge that passes netfilter by",
            |facts| facts.bridges = vec!["cni0".to_owned()],
            &[(Code::SysctlDiffers, Warning)],
        ),
        (
            "what mode iptables switched on",
            |facts| {
                let name = "net/ipv4/conf/all/route_localnet".to_owned();
                facts.sysctls.insert(name, "1".to_owned());
            },
            &[(Code::SysctlDiffers, Info)],
        ),
        (
            "a setting that nobody can set from here",
            |facts| {
                facts.rights.proc_sys = false;
                facts.differing = vec![DifferingSetting {
                    file: "/proc/sys/net/netfilter/nf_conntrack_max".to_owned(),
                    found: Some(1024),
                    wanted: 131_072,
                }];
            },
            &[(Code::SysctlDiffers, Warning)],
        ),
        (
            "little room",
            |facts| facts.conntrack.as_mut().expect("seen").count = 200_000,
            &[(Code::ConntrackRoom, Warning)],
        ),
        (
            "no room",
            |facts| {
                let conntrack = facts.conntrack.as_mut().expect("seen");
                conntrack.count = 262_000;
                conntrack.dropped = 12;
            },
            &[(Code::ConntrackRoom, Error), (Code::ConntrackRoom, Warning)],
        ),
        (
            "kube-proxy's chains beside our table",
            |facts| owned(facts, Owner::KubeProxy, "nat"),
            &[(Code::OtherProxy, Error)],
        ),
        (
            "a kernel without some matches, in mode iptables",
            |facts| {
                facts.tables.clear();
                facts.iptables = Some(Iptables {
                    missing: Ok(vec![(Family::V4, vec!["recent", "DNAT"])]),
                    legacy: None,
                });
            },
            &[(Code::KernelFeatureMissing, Warning)],
        ),
        (
            "a node whose iptables are legacy, in mode iptables",
            |facts| {
                facts.iptables = Some(Iptables {
                    missing: Ok(Vec::new()),
                    legacy: Some("filter, nat (IPv4)".to_owned()),
                });
            },
            &[(Code::KernelFeatureMissing, Warning)],
        ),
        (
            "chains beside our table, in mode iptables too",
            |facts| {
                facts.iptables = Some(in_mode_iptables());
                owned(facts, Owner::KubeProxy, "nat");
            },
            &[(Code::OtherProxy, Error)],
        ),
        (
            "kube-router",
            |facts| {
                facts.tables.clear();
                owned(facts, Owner::KubeRouter, "nat");
            },
            &[(Code::OtherProxy, Warning)],
        ),
        (
            "upstream's table",
            |facts| facts.tables = vec![(Family::V6, ProxyTable::Upstreams)],
            &[(Code::OtherProxy, Warning)],
        ),
        (
            "mode ipvs",
            |facts| facts.ipvs.addresses = Some(12),
            &[(Code::OtherProxy, Warning)],
        ),
        (
            "legacy iptables",
            |facts| facts.legacy = vec![(Family::V4, vec!["nat".to_owned()])],
            &[(Code::OtherProxy, Info)],
        ),
        (
            "a chain that drops",
            |facts| dropping(facts, Hook::Forward),
            &[(Code::ForeignDrop, Warning)],
        ),
        (
            "firewalld",
            |facts| owned(facts, Owner::Firewalld, "firewalld"),
            &[(Code::FirewallManager, Warning)],
        ),
        (
            "the kubelet's chains",
            |facts| owned(facts, Owner::Kubelet, "filter"),
            &[],
        ),
        (
            "Calico by iptables",
            |facts| owned(facts, Owner::Calico, "filter"),
            &[(Code::NeighbourNeedsAttention, Warning)],
        ),
        (
            "Calico by nftables",
            |facts| owned(facts, Owner::Calico, "calico"),
            &[],
        ),
        (
            "the AWS VPC CNI by iptables",
            |facts| owned(facts, Owner::AwsVpcCni, "nat"),
            &[(Code::NeighbourNeedsAttention, Warning)],
        ),
        (
            "the AWS VPC CNI by nftables",
            |facts| owned(facts, Owner::AwsVpcCni, "aws-cni"),
            &[],
        ),
        (
            "a DNS cache on the node",
            |facts| facts.addresses = Ok(vec![ip("192.0.2.1"), ip("169.254.20.10")]),
            &[(Code::NeighbourNeedsAttention, Info)],
        ),
        (
            "node ports on localhost, counted",
            |facts| facts.counted.localhost_node_ports = Some(118),
            &[(Code::LocalhostNodePortInUse, Warning)],
        ),
        (
            "a connection to one",
            |facts| {
                facts.localhost_flows = Ok(vec![LocalhostFlows {
                    protocol: Protocol::Tcp,
                    port: 30517,
                    count: 2,
                }]);
            },
            &[(Code::LocalhostNodePortInUse, Warning)],
        ),
    ];
    for (name, fault, expected) in rows {
        let mut facts = healthy();
        fault(&mut facts);
        assert_eq!(found(&facts, None), *expected, "{name}");
    }
}

#[test]
fn what_could_not_be_seen_is_skipped_and_says_why() {
    let mut facts = healthy();
    facts.others = Err("not permitted".to_owned());
    facts.conntrack = Err("no conntrack".to_owned());
    facts.kernel.features = Err("no rights".to_owned());
    facts.addresses = Err("no addresses".to_owned());
    let web = web();
    let (groups, findings) = check(&facts, Some(&cluster(&web)), Some(From::Iptables));
    let skipped = groups.iter().flat_map(|group| &group.checks);
    let skipped: Vec<&str> = skipped
        .filter(|check| check.status == Status::Skipped)
        .map(|check| &*check.detail)
        .collect();
    for why in ["not permitted", "no conntrack", "no rights", "no addresses"] {
        assert!(skipped.contains(&why), "{why}: {skipped:?}");
    }
    assert!(
        findings
            .iter()
            .all(|finding| finding.code == Code::ModeSwitch)
    );
}

/// What is found for a switch, of what is there at all: severity and the message's beginning.
fn switched(facts: &Facts, cluster: &Cluster<'_>, from: From) -> Vec<String> {
    let (_, findings) = check(facts, Some(cluster), Some(from));
    let lines = findings.iter().map(|finding| {
        let evidence = match finding.evidence.is_empty() {
            true => String::new(),
            false => format!(" [{}]", finding.evidence.join("; ")),
        };
        format!(
            "{} {} {}{evidence}",
            finding.code, finding.severity, finding.message
        )
    });
    lines.collect()
}

#[test]
fn a_switch_from_mode_iptables() {
    let web = web();
    let mut facts = healthy();
    facts.tables.clear();
    owned(&mut facts, Owner::KubeProxy, "filter");
    dropping(&mut facts, Hook::Forward);
    dropping(&mut facts, Hook::Input);
    facts.counted = Counted {
        localhost_node_ports: Some(118),
        invalid: Some(9204),
    };
    insta::assert_snapshot!(switched(&facts, &cluster(&web), From::Iptables).join("\n"));
}

#[test]
fn a_switch_from_mode_ipvs() {
    let web = web();
    let mut facts = healthy();
    facts.tables.clear();
    facts.ipvs = Ipvs {
        addresses: Some(12),
        servers: Some(30),
        schedulers: vec!["rr".to_owned(), "sh".to_owned()],
    };
    for (name, value) in [("arp_ignore", "1"), ("arp_announce", "2")] {
        let name = format!("net/ipv4/conf/all/{name}");
        facts.sysctls.insert(name, value.to_owned());
    }
    facts
        .addresses
        .as_mut()
        .expect("seen")
        .push(ip("10.96.0.10"));
    let cluster = Cluster {
        ipvs_excludes: true,
        ..cluster(&web)
    };
    insta::assert_snapshot!(switched(&facts, &cluster, From::Ipvs).join("\n"));
}

#[test]
fn a_switch_that_changes_little() {
    let web = web();
    let mut facts = healthy();
    facts.tables = vec![(Family::V4, ProxyTable::Upstreams)];
    insta::assert_snapshot!(switched(&facts, &cluster(&web), From::Nftables).join("\n"));
    // Who drops nothing as INVALID, has all node ports where they were and no affinity.
    let mut facts = healthy();
    facts.tables.clear();
    let liberal = "net/netfilter/nf_conntrack_tcp_be_liberal".to_owned();
    facts.sysctls.insert(liberal, "1".to_owned());
    let plain = Service {
        session_affinity: None,
        health_check_node_port: None,
        ..web
    };
    let cluster = Cluster {
        node_port_addresses: vec![(Family::V4, None), (Family::V6, None)],
        ..cluster(&plain)
    };
    let found = switched(&facts, &cluster, From::Iptables);
    assert!(
        found.iter().all(|line| line.starts_with("KP309 info")),
        "{found:#?}"
    );
    assert_eq!(found.len(), 2, "cluster IPs and metrics: {found:#?}");
}
