//! Tables of shares, drains, verdicts and findings.

use super::*;
use crate::Change;
use crate::State;
use crate::finding::{Code, Finding, Severity};
use crate::model::TrafficPolicy::{Cluster, Local};
use crate::model::{
    Endpoint, EndpointPort, EndpointSlice, Family, Hints, ObjectName, Protocol, Service,
    ServicePort, ServiceType,
};
use std::collections::BTreeMap;

/// A cluster with one Service, whose ready pods on each node are told.
struct Case {
    service: Service,
    nodes: Vec<NodeFacts>,
    endpoints: Vec<Endpoint>,
}

fn port() -> ServicePort {
    ServicePort {
        name: "http".into(),
        protocol: Protocol::Tcp,
        port: 80,
        node_port: Some(30080),
    }
}

/// Nodes `n1`, `n2`, … with so many pods each; pods are 10.0.NODE.1, 10.0.NODE.2, …
fn case(pods: &[usize]) -> Case {
    let mut endpoints = Vec::new();
    for (at, count) in pods.iter().enumerate() {
        endpoints.extend((1..=*count).map(|pod| {
            Endpoint {
                address: format!("10.0.{}.{pod}", at + 1)
                    .parse()
                    .expect("an address"),
                node: Some(format!("n{}", at + 1).into()),
                ready: true,
                serving: true,
                terminating: false,
                hints: Hints::default(),
            }
        }));
    }
    let nodes = (1..=pods.len()).map(|number| NodeFacts {
        name: format!("n{number}").into(),
        zone: None,
        out: None,
        takes_pods: true,
    });
    Case {
        service: Service {
            name: ObjectName::new("shop", "web"),
            cluster_ips: vec!["10.96.0.10".parse().expect("an address")],
            ports: vec![port()],
            external_policy: Local,
            kind: ServiceType::LoadBalancer,
            health_check_node_port: Some(31000),
            ..Service::default()
        },
        nodes: nodes.collect(),
        endpoints,
    }
}

impl Case {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn slices(&self) -> Vec<EndpointSlice> {
        vec![EndpointSlice {
            name: ObjectName::new("shop", "web-1"),
            service: self.service.name.clone(),
            family: Family::V4,
            ports: vec![EndpointPort {
                name: "http".into(),
                protocol: Protocol::Tcp,
                port: 8080,
            }],
            endpoints: self.endpoints.clone(),
            last_change_trigger: None,
        }]
    }

    fn look<R>(&self, look: impl FnOnce(&Site<'_>) -> R) -> R {
        let nodes = Nodes::new(self.nodes.clone());
        let slices = self.slices();
        let port = port();
        look(&Site::of_slices(
            &self.service,
            &slices,
            &port,
            Family::V4,
            &nodes,
        ))
    }

    fn outlook(&self, policy: TrafficPolicy, balancer: Balancer) -> Outlook {
        self.look(|site| outlook(site, policy, balancer))
    }

    fn verdict(&self, asked: ClientAddress) -> Verdict {
        let wishes = Wishes::of(&self.service, &BTreeMap::new(), &BTreeMap::new(), asked);
        self.look(|site| {
            let under = |policy| outlook(site, policy, Balancer::Nodes);
            verdict(site, &wishes, &under(Cluster), &under(Local))
        })
    }

    fn findings(&self, asked: ClientAddress) -> Vec<Finding> {
        let wishes = Wishes::of(&self.service, &BTreeMap::new(), &BTreeMap::new(), asked);
        self.look(|site| {
            let now = outlook(site, self.service.external_policy, Balancer::Nodes);
            findings(site, &wishes, &now)
        })
    }
}

fn workload(kind: &str) -> Workload {
    Workload {
        kind: WorkloadKind::new(kind),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
    }
}

/// Shares as fractions of 36, which all of these are.
fn of_36(shares: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let shares = shares.into_iter().map(|share| share * 36.0);
    shares.map(|share| (share * 1e6).round() / 1e6).collect()
}

fn endpoints(outlook: &Outlook) -> Vec<f64> {
    of_36(outlook.endpoints.iter().map(|own| own.share))
}

fn nodes(outlook: &Outlook) -> Vec<f64> {
    of_36(outlook.nodes.iter().map(|own| own.share))
}

fn zones(case: &mut Case, zones: &[&str]) {
    for (node, zone) in case.nodes.iter_mut().zip(zones) {
        node.zone = Some((*zone).into());
    }
}

#[test]
fn the_worked_example_of_the_guides() {
    let case = case(&[1, 2, 3]);
    let local = case.outlook(Local, Balancer::Nodes);
    let sixth = 36.0 / 6.0;
    assert_eq!(endpoints(&local), [12.0, sixth, sixth, 4.0, 4.0, 4.0]);
    assert_eq!(nodes(&local), [12.0; 3]);
    assert_eq!(local.spread.ratio, Some(3.0));
    assert_eq!(local.spread.over_fair, 2.0);
    assert_eq!((local.extra_hop, local.dropped), (0.0, 0.0));
    assert_eq!(local.client_address, AddressKept::Kept);
    let cluster = case.outlook(Cluster, Balancer::Nodes);
    assert_eq!(endpoints(&cluster), [sixth; 6]);
    assert_eq!(cluster.spread.ratio, Some(1.0));
    assert_eq!(cluster.client_address, AddressKept::Replaced);
    // n1 keeps 1/6 of its third, n2 2/6, n3 3/6.
    assert_eq!(of_36([cluster.extra_hop]), [24.0]);
}

#[test]
fn balancers_spread_over_nodes_as_they_are_said_to() {
    let zoned = || case(&[1, 2, 3, 0]).with(|case| zones(case, &["a", "a", "b", "b"]));
    let rows = [
        (Balancer::Nodes, Local, [12.0, 12.0, 12.0, 0.0]),
        (Balancer::Endpoints, Local, [6.0, 12.0, 18.0, 0.0]),
        (Balancer::Zones, Local, [9.0, 9.0, 18.0, 0.0]),
        (Balancer::Nodes, Cluster, [9.0; 4]),
        // No health check port tells weights.
        (Balancer::Endpoints, Cluster, [9.0; 4]),
        (Balancer::Zones, Cluster, [9.0; 4]),
    ];
    for (balancer, policy, wanted) in rows {
        let outlook = zoned().outlook(policy, balancer);
        assert_eq!(nodes(&outlook), wanted, "{balancer:?} {policy:?}");
    }
    let weighed = zoned().outlook(Local, Balancer::Endpoints);
    assert_eq!(weighed.spread.ratio, Some(1.0));
}

#[test]
fn nodes_without_pods_stop_under_local() {
    let case = case(&[1, 0, 1]);
    let local = case.outlook(Local, Balancer::Nodes);
    let told = local.nodes.iter().map(|own| (own.serves, own.health_port));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(true, Some(200)), (false, Some(503)), (true, Some(200))]
    );
    assert_eq!(of_36([local.dropped, local.dropped_unchecked]), [0.0, 12.0]);
    let cluster = case.outlook(Cluster, Balancer::Nodes);
    assert!(
        cluster
            .nodes
            .iter()
            .all(|own| own.serves && own.health_port.is_none())
    );
}

#[test]
fn what_no_balancer_sends_to_gets_nothing_under_local() {
    let rows = [
        (Out::Excluded, ServiceType::LoadBalancer, [0.0, 36.0]),
        (Out::Leaving, ServiceType::LoadBalancer, [0.0, 36.0]),
        (Out::NotReady, ServiceType::LoadBalancer, [0.0, 36.0]),
        (Out::NotReady, ServiceType::NodePort, [0.0, 36.0]),
        // Who connects to node ports heeds no cloud provider's label.
        (Out::Excluded, ServiceType::NodePort, [18.0, 18.0]),
        (Out::Leaving, ServiceType::NodePort, [18.0, 18.0]),
    ];
    for (out, kind, wanted) in rows {
        let case = case(&[1, 1]).with(|case| {
            case.nodes[0].out = Some(out);
            case.service.kind = kind;
        });
        let local = case.outlook(Local, Balancer::Nodes);
        assert_eq!(nodes(&local), wanted, "{out:?} {kind}");
        let cluster = case.outlook(Cluster, Balancer::Nodes);
        assert_eq!(endpoints(&cluster), [18.0, 18.0], "{out:?} {kind}");
    }
}

#[test]
fn who_terminates_serves_where_nobody_is_ready() {
    let terminates = |own: &mut Endpoint| {
        own.ready = false;
        own.terminating = true;
    };
    let one = case(&[1, 1]).with(|case| terminates(&mut case.endpoints[0]));
    let local = one.outlook(Local, Balancer::Nodes);
    // n1 answers 503 and still serves what arrives: the balancer sends nothing more.
    assert_eq!(nodes(&local), [0.0, 36.0]);
    assert_eq!(endpoints(&local), [36.0]);
    let all = case(&[1, 1, 0]).with(|case| case.endpoints.iter_mut().for_each(terminates));
    let local = all.outlook(Local, Balancer::Nodes);
    assert_eq!(
        nodes(&local),
        [12.0; 3],
        "none is healthy, so that all are tried"
    );
    assert_eq!(endpoints(&local), [12.0, 12.0]);
    assert_eq!(of_36([local.dropped]), [12.0]);
    let cluster = all.outlook(Cluster, Balancer::Nodes);
    assert_eq!(endpoints(&cluster), [18.0, 18.0]);
}

#[test]
fn hints_keep_traffic_where_it_comes_in() {
    let case = case(&[1, 3]).with(|case| {
        zones(case, &["a", "b"]);
        for own in &mut case.endpoints {
            let zone = if own.node.as_deref() == Some("n1") {
                "a"
            } else {
                "b"
            };
            own.hints = Hints::new([zone.into()], []);
        }
    });
    let cluster = case.outlook(Cluster, Balancer::Nodes);
    assert_eq!(endpoints(&cluster), [18.0, 6.0, 6.0, 6.0]);
    assert_eq!(cluster.extra_hop, 0.0);
    assert!(case.look(|site| site.is_hinted()));
    // With n1's pod gone, its zone has none that are meant for it: all serve.
    let drains = case.look(|site| drains(site, Balancer::Nodes));
    assert_eq!(of_36([drains[0].cluster.spread.busiest]), [12.0]);
}

#[test]
fn nobody_serves_without_endpoints_or_nodes() {
    for case in [
        case(&[0, 0]),
        case(&[]),
        case(&[2]).with(|case| case.nodes.clear()),
    ] {
        let local = case.outlook(Local, Balancer::Zones);
        assert_eq!((local.nodes_serving, local.spread.busiest), (0, 0.0));
        assert_eq!(local.dropped, 1.0);
        let verdict = case.verdict(ClientAddress::Auto);
        assert_eq!((&*verdict.policy, verdict.changes), ("Local", false));
        assert!(verdict.summary.contains("nobody serves"), "{verdict:?}");
    }
}

#[test]
fn a_drain_takes_the_pods_and_leaves_the_node() {
    let case = case(&[1, 2, 0]);
    let drains = case.look(|site| drains(site, Balancer::Nodes));
    let told = |drain: &Drain| (drain.node.clone(), drain.endpoints_lost);
    let names: Vec<_> = drains.iter().map(told).collect();
    assert_eq!(names, [("n1".to_owned(), 1), ("n2".to_owned(), 2)]);
    let first = &drains[0];
    assert_eq!(
        (first.cluster.nodes_serving, first.cluster.node_serves),
        (3, true)
    );
    assert_eq!(
        (first.local.nodes_serving, first.local.node_serves),
        (1, false)
    );
    assert_eq!(of_36([first.local.spread.busiest]), [18.0]);
    assert_eq!(of_36([drains[1].cluster.spread.busiest]), [36.0]);
    assert!(!first.local.down);
    let last = super::tests::case(&[2, 0]);
    let drains = last.look(|site| super::drains(site, Balancer::Nodes));
    assert!(drains[0].local.down && drains[0].cluster.down);
}

#[test]
fn the_verdict_follows_from_the_need_and_the_spread() {
    use ClientAddress::{Auto, Needed, NotNeeded};
    // Pods, policy now, need; policy then, whether to spread.
    type Row<'a> = (&'a [usize], TrafficPolicy, ClientAddress, &'a str, bool);
    let rows: &[Row] = &[
        (&[1, 2, 3], Local, Auto, "Local", true),
        (&[2, 2, 2], Local, Auto, "Local", false),
        (&[2, 2, 2], Local, NotNeeded, "Local", false),
        (&[1, 2, 3], Local, NotNeeded, "Cluster", false),
        (&[1, 2, 3], Cluster, Auto, "Cluster", false),
        (&[1, 2, 3], Cluster, Needed, "Local", true),
        (&[1, 1, 1], Cluster, Needed, "Local", false),
        // One pod: an even spread, and one node is all that serves.
        (&[1, 0, 0], Local, Needed, "Local", true),
        (&[1], Local, Needed, "Local", false),
    ];
    for (pods, now, asked, then, spread) in rows {
        let case = case(pods).with(|case| case.service.external_policy = *now);
        let verdict = case.verdict(*asked);
        assert_eq!(
            (&*verdict.policy, verdict.spread_pods, verdict.changes),
            (*then, *spread, *then != format!("{now:?}")),
            "{pods:?} {now:?} {asked:?}: {verdict:?}"
        );
        assert!(!verdict.reasons.is_empty());
    }
}

#[test]
fn hints_of_the_need_are_read_from_the_service() {
    let rows: [(&str, &str, &str, bool); 7] = [
        (
            "annotation",
            "service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol",
            "true",
            false,
        ),
        (
            "annotation",
            "service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol",
            "false",
            true,
        ),
        (
            "annotation",
            "load-balancer.hetzner.cloud/uses-proxyprotocol",
            "true",
            false,
        ),
        (
            "annotation",
            "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes",
            "a=b,proxy_protocol_v2.enabled=true",
            false,
        ),
        ("label", "app.kubernetes.io/name", "ingress-nginx", true),
        ("label", "istio", "ingressgateway", true),
        ("label", "app", "shop", true),
    ];
    for (what, key, value, needed) in rows {
        let map = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let empty = BTreeMap::new();
        let (labels, annotations) = match what {
            "label" => (&map, &empty),
            _ => (&empty, &map),
        };
        let wishes = Wishes::of(
            &Service::default(),
            labels,
            annotations,
            ClientAddress::Auto,
        );
        assert_eq!(wishes.needed(Local).0, needed, "{key} {value}");
        let reads = what == "label" && value != "shop";
        assert_eq!(wishes.needed(Cluster).0, reads, "{key} {value}");
    }
}

#[test]
fn an_unequal_share_is_found_above_twice_the_fair_one() {
    let codes = |case: &Case, asked| -> Vec<(Code, Severity)> {
        let found = case.findings(asked);
        found.iter().map(|own| (own.code, own.severity)).collect()
    };
    let auto = ClientAddress::Auto;
    assert_eq!(
        codes(&case(&[1, 4]), auto),
        [(Code::UnequalShare, Severity::Warning)]
    );
    // Twice is not above twice.
    for healthy in [&[1, 2, 3][..], &[2, 2], &[1], &[0], &[1, 0, 1]] {
        assert_eq!(codes(&case(healthy), auto), []);
    }
    let cluster = |pods| case(pods).with(|case| case.service.external_policy = Cluster);
    let lost = |severity| [(Code::ClientAddressLost, severity)];
    assert_eq!(codes(&cluster(&[1, 4]), auto), lost(Severity::Info));
    let needed = ClientAddress::Needed;
    assert_eq!(codes(&cluster(&[1, 4]), needed), lost(Severity::Warning));
    assert_eq!(codes(&cluster(&[0]), needed), []);
    let text = case(&[1, 4]).findings(auto)[0].message.clone();
    assert_eq!(
        text,
        "10.0.1.1 on n1 gets 50.0% of the connections from outside, 2.5 times its fair share"
    );
}

#[test]
fn remedies_are_those_that_help() {
    type Row<'a> = (&'a [usize], TrafficPolicy, ClientAddress, &'a str, &'a str);
    use ClientAddress::{Auto, Needed};
    let rows: &[Row] = &[
        (
            &[1, 2, 3],
            Local,
            Auto,
            "Deployment",
            "+Spread { replicas: None, zones: false } +DisruptionBudget DaemonSet WeightHeader Ingress",
        ),
        (
            &[1, 2, 3, 0],
            Local,
            Auto,
            "StatefulSet",
            "+Spread { replicas: Some(8), zones: false } +DisruptionBudget WeightHeader Ingress",
        ),
        (
            &[2, 1, 0, 0],
            Cluster,
            Needed,
            "Deployment",
            "+Policy(Local) +Spread { replicas: None, zones: false } +DisruptionBudget AntiAffinity \
             DaemonSet WeightHeader Ingress",
        ),
        (&[2, 2], Local, Auto, "Deployment", "+DisruptionBudget"),
        (&[1, 1], Local, Auto, "DaemonSet", ""),
        (&[2, 1], Cluster, Auto, "Deployment", "+DisruptionBudget"),
        (&[1], Cluster, Auto, "Deployment", ""),
        (&[1, 3], Local, Auto, "Job", "WeightHeader Ingress"),
    ];
    for (pods, now, asked, kind, wanted) in rows {
        let case = case(pods).with(|case| case.service.external_policy = *now);
        let verdict = case.verdict(*asked);
        let workload = workload(kind);
        let found = case.look(|site| suggestions(site, &verdict, Some(&workload), Balancer::Nodes));
        let found = found.iter().map(|own| {
            let sign = if own.recommended { "+" } else { "" };
            format!("{sign}{:?}", own.measure)
        });
        let found: Vec<String> = found.collect();
        assert_eq!(found.join(" "), *wanted, "{pods:?} {now:?} {kind}");
    }
}

#[test]
fn pods_are_spread_where_they_may_come_up() {
    let case = case(&[2, 1, 0]).with(|case| case.nodes[2].takes_pods = false);
    let verdict = case.verdict(ClientAddress::Auto);
    let workload = workload("Deployment");
    let found = case.look(|site| suggestions(site, &verdict, Some(&workload), Balancer::Nodes));
    let spread = Measure::Spread {
        replicas: Some(4),
        zones: false,
    };
    assert_eq!(found[0].measure, spread, "two on each of two nodes");
}

#[test]
fn replicas_come_out_even_if_that_costs_little() {
    // Pods, nodes; pods then.
    for (pods, nodes, wanted) in [
        (0, 0, 0),
        (3, 0, 3),
        (2, 5, 2),
        (5, 5, 5),
        (6, 4, 8),
        (3, 2, 4),
        (60, 29, 60),
        (86, 29, 87),
    ] {
        assert_eq!(
            words::spread_replicas(pods, nodes),
            wanted,
            "{pods} on {nodes}"
        );
    }
    for (pods, nodes, words) in [
        (2, 5, "2 pods on as many of 5 nodes get the same"),
        (8, 4, "8 pods, 2 on each of 4 nodes, get 12.5% each"),
        (
            60,
            29,
            "60 pods, 2 or 3 on each of 29 nodes, are as even as they go",
        ),
    ] {
        assert_eq!(words::spread_words(pods, nodes), words);
    }
}

#[test]
fn all_services_come_with_the_worst_first() {
    let mut state = State::new();
    let rows: [(&str, &[usize], TrafficPolicy, ServiceType); 5] = [
        ("even", &[2, 2], Local, ServiceType::LoadBalancer),
        ("worst", &[1, 9], Local, ServiceType::LoadBalancer),
        ("bad", &[1, 3], Local, ServiceType::NodePort),
        ("spread", &[1, 3], Cluster, ServiceType::LoadBalancer),
        ("inside", &[1, 9], Cluster, ServiceType::ClusterIp),
    ];
    for (number, (name, pods, policy, kind)) in rows.into_iter().enumerate() {
        let case = case(pods).with(|case| {
            case.service.name = ObjectName::new("shop", name);
            case.service.external_policy = policy;
            case.service.kind = kind;
            case.service.ports[0].node_port = None;
            case.service.cluster_ips = vec![
                format!("10.96.0.{}", number + 1)
                    .parse()
                    .expect("an address"),
            ];
        });
        state.apply(Change::Service(case.service.clone()));
        for mut slice in case.slices() {
            slice.name = ObjectName::new("shop", name);
            state.apply(Change::Slice(slice));
        }
    }
    let (nodes, named) = Nodes::default().with_those_of(&state);
    assert_eq!(named, 2, "no Node object is there");
    let found = overview(&state, &nodes, Balancer::Nodes, None);
    let names: Vec<&str> = found.iter().map(|own| &*own.name).collect();
    assert_eq!(names, ["worst", "bad", "even", "spread"]);
    assert_eq!(found[0].spread.over_fair, 5.0);
    assert_eq!(found[0].other_ratio, Some(1.0));
    assert!(overview(&state, &nodes, Balancer::Nodes, Some("other")).is_empty());
}
