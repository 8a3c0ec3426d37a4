//! Who may come in, and by which address: source ranges, kinds of Services, families.

use super::{Table, ready};
use crate::conformance::case::{BRIEF, Breadth, FULL};
use crate::conformance::spec::{Family, Ingress, Kind, Policy};

const A1: usize = 0;
const A2: usize = 1;
const B1: usize = 2;
const BOTH: [usize; 2] = [A1, B1];

pub(super) fn add(table: &mut Table) {
    ranges(table);
    kinds(table);
    families(table);
}

fn ranges(table: &mut Table) {
    let client = "203.0.113.0/24";
    let client6 = "2001:db8:113::/64";
    let rows: [(&str, &str, &[&'static str]); 9] = [
        ("allowed", "the client's ranges", &[client, client6]),
        ("denied", "other ranges", &["172.16.0.0/12", "fd99::/16"]),
        (
            "anyone",
            "everyone, beside another",
            &["172.16.0.0/12", "0.0.0.0/0", "::/0"],
        ),
        (
            "anyone-v4",
            "everyone by IPv4, one range by IPv6",
            &["0.0.0.0/0", "fd99::/16"],
        ),
        ("only-v4", "a range of IPv4 alone", &[client]),
        ("only-v6", "a range of IPv6 alone", &[client6]),
        (
            "pods",
            "the pods' ranges",
            &["10.244.0.0/16", "fd00:10:244::/48"],
        ),
        (
            "nodes",
            "the nodes' ranges",
            &["192.168.60.0/24", "fd00:60::/64"],
        ),
        (
            "exact",
            "the other node's addresses, overlapping",
            &["192.168.60.12/32", "192.168.60.12/31", "fd00:60::c/128"],
        ),
    ];
    for (name, words, ranges) in rows {
        let mut service = table.service(&format!("ranges-{name}"));
        service.ranges = ranges.to_vec();
        service.endpoints = ready(&BOTH);
        table.add(service, &format!("source ranges: {words}"), FULL);
    }
    let mut service = table.service("ranges-local");
    service.external = Policy::Local;
    service.ranges = vec!["192.168.60.0/24", "fd00:60::/64"];
    service.endpoints = ready(&BOTH);
    table.add(service, "source ranges under policy Local", FULL);
    let mut service = table.service("ranges-none");
    service.ranges = vec!["172.16.0.0/12", "fd99::/16"];
    table.add(service, "source ranges that deny, no endpoints", FULL);
    let mut service = table.service("ranges-local-none");
    service.external = Policy::Local;
    service.ranges = vec![client, client6];
    service.endpoints = ready(&[B1]);
    table.add(
        service,
        "source ranges that allow, policy Local, no endpoint here",
        FULL,
    );
    let mut service = table.service("ranges-affinity");
    service.affinity = Some(60);
    service.ranges = vec![client, client6];
    service.endpoints = ready(&BOTH);
    table.add(
        service,
        "source ranges and affinity",
        Breadth {
            datagrams: &[],
            ..BRIEF
        },
    );
}

fn kinds(table: &mut Table) {
    let simple = [
        ("cluster-ip", Kind::ClusterIp, Policy::Cluster),
        ("node-port", Kind::NodePort, Policy::Cluster),
        ("node-port-local", Kind::NodePort, Policy::Local),
    ];
    for (name, kind, external) in simple {
        let mut service = table.service(&format!("kind-{name}"));
        service.kind = kind;
        service.external = external;
        service.external_ips = None;
        service.endpoints = ready(&BOTH);
        table.add(service, &format!("{kind:?}, external {external:?}"), FULL);
    }
    for (name, external, pods) in [
        ("cluster", Policy::Cluster, &BOTH[..]),
        ("local", Policy::Local, &BOTH),
        ("local-elsewhere", Policy::Local, &[B1]),
        ("local-none", Policy::Local, &[]),
    ] {
        let mut service = table.service(&format!("external-ips-{name}"));
        service.kind = Kind::ClusterIp;
        service.external = external;
        service.endpoints = ready(pods);
        table.add(
            service,
            &format!("ClusterIP with external IPs, external {external:?}"),
            FULL,
        );
    }
    for (name, ingress, external) in [
        ("proxy", Ingress::Proxy, Policy::Cluster),
        ("proxy-local", Ingress::Proxy, Policy::Local),
        ("none", Ingress::None, Policy::Cluster),
        ("none-local", Ingress::None, Policy::Local),
    ] {
        let mut service = table.service(&format!("ingress-{name}"));
        service.ingress = ingress;
        service.external = external;
        service.endpoints = ready(&BOTH);
        table.add(
            service,
            &format!("LoadBalancer with ingress {ingress:?}"),
            BRIEF,
        );
    }
    let mut service = table.service("ingress-proxy-ranges");
    service.ingress = Ingress::Proxy;
    service.ranges = vec!["172.16.0.0/12", "fd99::/16"];
    service.endpoints = ready(&BOTH);
    table.add(
        service,
        "LoadBalancer with ingress Proxy and ranges that deny",
        BRIEF,
    );
    for (name, kind) in [
        ("headless", Kind::Headless),
        ("external-name", Kind::ExternalName),
    ] {
        let mut service = table.service(name);
        service.kind = kind;
        service.endpoints = ready(&BOTH);
        table.add(service, &format!("{kind:?} with external IPs"), BRIEF);
    }
    let mut service = table.service("another-proxy");
    service.other_proxy = true;
    service.endpoints = ready(&BOTH);
    table.add(service, "left to another proxy", BRIEF);
    // As long as a name may be.
    let mut service = table.service(&format!("long-{}", "n".repeat(58)));
    service.external = Policy::Local;
    service.affinity = Some(60);
    service.ports[0].name = "fifteen-letters";
    service.endpoints = ready(&[A1, A2]);
    table.add(
        service,
        "names at their limits",
        Breadth {
            datagrams: &[],
            ..BRIEF
        },
    );
}

fn families(table: &mut Table) {
    for (name, families) in [
        ("v4", vec![Family::V4]),
        ("v6", vec![Family::V6]),
        ("v6-v4", vec![Family::V6, Family::V4]),
    ] {
        for external in [Policy::Cluster, Policy::Local] {
            let mut service = table.service(&format!("family-{name}-{external:?}").to_lowercase());
            service.families.clone_from(&families);
            service.external = external;
            service.endpoints = ready(&BOTH);
            table.add(
                service,
                &format!("families {families:?}, external {external:?}"),
                BRIEF,
            );
        }
    }
}
