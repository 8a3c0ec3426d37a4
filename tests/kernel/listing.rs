//! What netlink made of each golden feature, as `nft` lists it.

use super::build;
use super::table::Both;
use super::text::{list, parts};
use e2e::Namespace;
use rules::model::{EndpointSlice, Family, Service, ServiceCidr, TrafficPolicy};
use rules::nft::ruleset::Op;
use rules::nft::{Pending, Planner};
use rules::{Change, Config, LocalDetector, NodeportAddresses, State};
use std::net::IpAddr;

/// A planner whose transactions go to both kernels.
pub struct Node {
    pub both: Both,
    pub state: State,
    planner: Planner,
}

impl Node {
    pub fn new(family: Family) -> Self {
        let (pods, node) = match family {
            Family::V4 => ("10.244.0.0/16", "192.0.2.1/32"),
            Family::V6 => ("fd00:10:244::/48", "2001:db8::1/128"),
        };
        let within = vec![node.parse().expect("a range")];
        Self::with(Config {
            local_detector: LocalDetector::Source(pods.parse().expect("a range")),
            nodeport_addresses: NodeportAddresses::Within(within),
            count_services: true,
            ..Config::new(family, "n1")
        })
    }

    fn with(config: Config) -> Self {
        Self {
            both: Both::new(config.family),
            state: State::new(),
            planner: Planner::new(config),
        }
    }

    fn cidr(&mut self, cidr: &str) {
        let cidrs = vec![cidr.parse().expect("a range")];
        let name = "kubernetes".into();
        self.state
            .apply(Change::ServiceCidr(ServiceCidr { name, cidrs }));
        self.sync();
    }

    pub fn add(&mut self, service: Service, slices: Vec<EndpointSlice>) {
        self.sync();
        self.state.apply(Change::Service(service));
        for slice in slices {
            self.state.apply(Change::Slice(slice));
        }
        self.sync();
    }

    /// What a Service more would change.
    pub fn planned(&mut self, service: Service) -> Vec<Op> {
        self.state.apply(Change::Service(service));
        self.prepare().map_or(Vec::new(), |own| own.transaction.ops)
    }

    fn prepare(&mut self) -> Option<Pending> {
        let local: Vec<IpAddr> = ["192.0.2.1", "2001:db8::1", "127.0.0.1"]
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect();
        self.planner.mark(&self.state.take_dirty());
        self.planner.prepare(&self.state, &local, Default::default)
    }

    pub fn sync(&mut self) {
        let Some(pending) = self.prepare() else {
            return;
        };
        let [real, memory] = self.both.apply(pending.transaction.ops.clone());
        real.expect("the kernel takes it");
        memory.expect("the table takes it");
        self.planner.commit(pending);
    }
}

type Feature = (&'static str, Family, fn(&mut Node));

fn with_frontends(change: fn(&mut Service)) -> Service {
    let mut web = build::service("web");
    web.load_balancer_ips = vec![[198, 51, 100, 1].into()];
    web.ports[0].node_port = Some(30080);
    change(&mut web);
    web
}

/// The features that have a golden ruleset.
const FEATURES: &[Feature] = &[
    ("the empty table", Family::V4, |_| {}),
    (
        "the empty table of IPv6 with Service ranges",
        Family::V6,
        |node| {
            node.cidr("fd00:10:96::/112");
        },
    ),
    ("Service ranges that change", Family::V4, |node| {
        node.cidr("10.96.0.0/16");
        node.cidr("10.96.0.0/20");
    }),
    ("a cluster IP", Family::V4, |node| {
        node.add(
            build::service("web"),
            build::endpoints("web", &["n1", "n2", "n2"]),
        );
    }),
    ("a cluster IP of IPv6", Family::V6, |node| {
        node.add(
            build::service("web"),
            build::endpoints("web", &["n1", "n2"]),
        );
    }),
    ("a node port", Family::V4, |node| {
        node.add(
            with_frontends(|_| {}),
            build::endpoints("web", &["n2", "n3"]),
        );
    }),
    ("external and load-balancer IPs", Family::V6, |node| {
        let web = with_frontends(|own| {
            own.external_ips = vec!["2001:db8::5".parse().expect("an address")];
        });
        node.add(web, build::endpoints("web", &["n2", "n3"]));
    }),
    ("a port with many addresses", Family::V4, |node| {
        for count in [4, 5, 3, 40, 2] {
            let mut web = with_frontends(|_| {});
            web.external_ips = (1..=count).map(|n| [203, 0, 113, n].into()).collect();
            node.add(
                web,
                build::endpoints("web", &["n1", "n2"][..usize::from(count) % 3]),
            );
        }
    }),
    (
        "a port with many addresses and both policies Local",
        Family::V6,
        |node| {
            let mut web = with_frontends(|own| {
                own.external_policy = TrafficPolicy::Local;
                own.internal_policy = TrafficPolicy::Local;
            });
            let address = |n| [0x2001, 0xdb8, 7, 0, 0, 0, 0, n].into();
            web.external_ips = (1..=9).map(address).collect();
            for nodes in [&["n2"][..], &["n1", "n2", "n1"], &["n1"; 20], &[]] {
                node.add(web.clone(), build::endpoints("web", nodes));
            }
        },
    ),
    ("external policy Local", Family::V4, |node| {
        let web = with_frontends(|own| own.external_policy = TrafficPolicy::Local);
        node.add(web, build::endpoints("web", &["n1", "n2", "n2"]));
    }),
    (
        "external policy Local without local endpoints",
        Family::V4,
        |node| {
            let web = with_frontends(|own| own.external_policy = TrafficPolicy::Local);
            node.add(web, build::endpoints("web", &["n2", "n3"]));
        },
    ),
    ("internal policy Local", Family::V6, |node| {
        let web = with_frontends(|own| own.internal_policy = TrafficPolicy::Local);
        node.add(web, build::endpoints("web", &["n1", "n2", "n3"]));
    }),
    (
        "internal policy Local without local endpoints",
        Family::V4,
        |node| {
            let web = with_frontends(|own| own.internal_policy = TrafficPolicy::Local);
            node.add(web, build::endpoints("web", &["n2"]));
        },
    ),
    ("no endpoints", Family::V6, |node| {
        node.add(with_frontends(|_| {}), build::endpoints("web", &[]));
    }),
    ("UDP and SCTP beside TCP", Family::V4, |node| {
        node.add(build::dns(), build::dns_endpoints(&["n2"]));
    }),
    ("one endpoint more and one less", Family::V4, |node| {
        node.add(
            build::service("web"),
            build::endpoints("web", &["n2", "n2"]),
        );
        node.add(
            build::service("web"),
            build::endpoints("web", &["n2", "n2", "n3"]),
        );
        node.add(build::service("web"), build::endpoints("web", &["n2"]));
    }),
    ("a long name, cut in its comments", Family::V4, |node| {
        let mut web = build::service(&"w".repeat(200));
        web.ports[0].name = "http".into();
        node.add(web, build::endpoints(&"w".repeat(200), &["n2"]));
    }),
    ("two long names with session affinity", Family::V4, |node| {
        for last in [1, 2] {
            let long = format!("{}-{last}", "w".repeat(80));
            let mut web = build::service(&long);
            web.session_affinity = Some(10_800);
            web.cluster_ips = vec![[10, 96, 0, last].into()];
            node.add(web, build::endpoints(&long, &["n2"]));
        }
    }),
    ("session affinity", Family::V4, |node| {
        let web = with_frontends(|own| own.session_affinity = Some(10_800));
        node.add(web.clone(), build::endpoints("web", &["n1", "n2"]));
        node.add(web, build::endpoints("web", &["n1"]));
    }),
    (
        "session affinity and external policy Local",
        Family::V6,
        |node| {
            let local = |affinity| {
                let mut web = with_frontends(|own| own.external_policy = TrafficPolicy::Local);
                web.session_affinity = affinity;
                web
            };
            for affinity in [Some(90), None, Some(91)] {
                node.add(local(affinity), build::endpoints("web", &["n1", "n2"]));
            }
        },
    ),
    ("load-balancer source ranges", Family::V4, |node| {
        let ranges = |ranges: &[&str]| {
            let range = |text: &&str| text.parse().expect("a range");
            let mut web = with_frontends(|_| {});
            web.source_ranges = ranges.iter().map(range).collect();
            web
        };
        let endpoints = || build::endpoints("web", &["n2"]);
        node.add(
            ranges(&["203.0.113.0/24", "203.0.113.128/25", "198.18.0.7/32"]),
            endpoints(),
        );
        node.add(ranges(&["192.0.2.0/24", "10.0.0.0/7"]), endpoints());
    }),
    ("load-balancer source ranges of IPv6", Family::V6, |node| {
        let mut web = with_frontends(|own| {
            own.load_balancer_ips = vec!["2001:db8::7".parse().expect("an address")];
        });
        web.source_ranges = Box::new(["2001:db8:1::/48".parse().expect("a range")]);
        node.add(web, build::endpoints("web", &["n2"]));
    }),
    ("a Service that goes", Family::V4, |node| {
        node.add(
            with_frontends(|_| {}),
            build::endpoints("web", &["n1", "n2"]),
        );
        let name = build::service("web").name;
        node.state.apply(Change::ServiceGone(name));
        node.sync();
    }),
];

#[test]
fn nft_lists_each_feature_as_the_printer_shows_it() {
    for (what, family, feature) in FEATURES {
        let mut node = Node::new(*family);
        node.sync();
        feature(&mut node);
        node.both.compare(what);
    }
}

#[test]
fn other_settings_are_listed_as_they_are_printed() {
    for family in Family::ALL {
        for masquerade_all in [true, false] {
            let mut node = Node::with(Config {
                masquerade_all,
                // But for bit 31, whose mask nft takes for a prefix and lists
                // as such.
                masquerade_mark: 1 << 30,
                ..Config::new(family, "n1")
            });
            let web = with_frontends(|own| own.external_policy = TrafficPolicy::Local);
            node.add(web, build::endpoints("web", &["n1", "n2"]));
            node.both.compare("all local addresses, no local detector");
        }
    }
}

#[test]
fn pods_known_by_their_interface_are_listed_as_printed() {
    let name = "cali-#{;$}@'ifx";
    for (length, wildcard) in (1..=15).flat_map(|length| [(length, true), (length, false)]) {
        let mut node = Node::with(Config {
            local_detector: LocalDetector::Interface {
                name: name[..length].into(),
                wildcard,
            },
            ..Config::new(Family::V4, "n1")
        });
        let web = with_frontends(|own| own.external_policy = TrafficPolicy::Local);
        node.add(web, build::endpoints("web", &["n1", "n2"]));
        node.both.compare("interfaces");
        // What nft makes of the print is what netlink made.
        let other = Namespace::create("other").expect("a namespace");
        other
            .nft(&node.both.printed())
            .unwrap_or_else(|error| panic!("{length} {wildcard}: {error:#}"));
        let again = list(&other, Family::V4);
        assert_eq!(parts(&again), parts(&node.both.listed()), "{length}");
    }
}

#[test]
fn a_listing_and_a_print_load_again_and_are_the_same() {
    for family in Family::ALL {
        let mut node = Node::new(family);
        node.cidr(if family == Family::V4 {
            "10.96.0.0/16"
        } else {
            "fd00:10:96::/112"
        });
        let web = with_frontends(|own| own.external_policy = TrafficPolicy::Local);
        node.add(web, build::endpoints("web", &["n1", "n2", "n2"]));
        node.add(build::dns(), build::dns_endpoints(&["n2"]));
        node.add(build::service("nobody"), Vec::new());
        let listed = node.both.listed();
        for (what, text) in [
            ("the listing", &listed),
            ("the print", &node.both.printed()),
        ] {
            let other = Namespace::create("other").expect("a namespace");
            other
                .nft(text)
                .unwrap_or_else(|error| panic!("{family}: {what}: {error:#}\n{text}"));
            let again = list(&other, family);
            assert_eq!(parts(&again), parts(&listed), "{family}: {what}");
        }
    }
}
