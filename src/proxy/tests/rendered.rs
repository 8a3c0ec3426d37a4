//! `render` shows what the daemon programs, whatever the settings and the objects are.

use super::*;
use crate::source::Manifests;
use crate::world::{self, Loaded, Nodes};
use e2e::cleanup::ScratchDir;
use proptest::collection::vec;
use proptest::prelude::*;
use rules::ObjectKind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The tables of both families.
#[derive(Default)]
struct Tables(BTreeMap<Family, Table>);

impl Kernel for Tables {
    fn clients(&mut self, _: Family) -> std::io::Result<RememberedClients> {
        Ok(RememberedClients::default())
    }

    fn delete_table(&mut self, family: Family) -> std::io::Result<bool> {
        Ok(self.0.remove(&family).is_some())
    }

    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        self.0
            .entry(transaction.family)
            .or_default()
            .apply(transaction)
    }
}

fn flags() -> impl Strategy<Value = Vec<String>> {
    let detect = prop_oneof![
        Just(vec![
            "--detect-local-mode=ClusterCIDR",
            "--cluster-cidr=10.244.0.0/16,fd00:10::/64"
        ]),
        Just(vec!["--cluster-cidr=10.244.0.0/16"]),
        Just(vec!["--detect-local-mode=NodeCIDR"]),
        Just(vec![
            "--detect-local-mode=BridgeInterface",
            "--pod-bridge-interface=br0"
        ]),
        Just(vec![
            "--detect-local-mode=InterfaceNamePrefix",
            "--pod-interface-name-prefix=veth"
        ]),
    ];
    let nodeports = prop_oneof![
        Just(vec![]),
        Just(vec!["--nodeport-addresses=primary"]),
        Just(vec!["--nodeport-addresses=192.0.2.0/24"]),
        Just(vec!["--nodeport-addresses=192.0.2.2/32,2001:db8::/32"]),
        Just(vec!["--nodeport-addresses=127.0.0.0/8"]),
    ];
    let bind = prop_oneof![
        3 => Just(vec![]),
        1 => Just(vec!["--bind-address=192.0.2.2"]),
        1 => Just(vec!["--bind-address=2001:db8::1"]),
    ];
    let masquerade = prop_oneof![
        2 => Just(vec![]),
        1 => Just(vec!["--masquerade-all"]),
        1 => Just(vec!["--iptables-masquerade-bit=7"]),
    ];
    let gates = prop_oneof![
        Just(vec![]),
        Just(vec!["--feature-gates=AllowServiceExternalIPs=false"]),
        Just(vec!["--feature-gates=AllowServiceExternalIPs=true"]),
    ];
    let mode = prop_oneof![
        Just(vec!["--proxy-mode=nftables"]),
        Just(vec!["--proxy-mode=iptables"])
    ];
    (detect, nodeports, bind, masquerade, gates, mode).prop_map(
        |(detect, nodeports, bind, masquerade, gates, mode)| {
            let all = [detect, nodeports, bind, masquerade, gates, mode].concat();
            all.into_iter().map(str::to_owned).collect()
        },
    )
}

fn node() -> impl Strategy<Value = Value> {
    let zone = prop::sample::select(vec!["a", "b"]);
    (zone, any::<bool>(), any::<bool>()).prop_map(|(zone, six, two)| {
        let mut addresses = vec![json!({"type": "InternalIP", "address": "192.0.2.1"})];
        addresses.extend(two.then(|| json!({"type": "InternalIP", "address": "192.0.2.2"})));
        addresses.extend(six.then(|| json!({"type": "InternalIP", "address": "2001:db8::1"})));
        let mut ranges = vec!["10.244.1.0/24"];
        ranges.extend(six.then_some("fd00:10:0:1::/64"));
        json!({"apiVersion": "v1", "kind": "Node",
               "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": zone}},
               "spec": {"podCIDRs": ranges}, "status": {"addresses": addresses}})
    })
}

fn service(number: u8) -> impl Strategy<Value = Value> {
    let policy = || prop::sample::select(vec!["Cluster", "Local"]);
    let protocols = vec(prop::sample::select(vec!["TCP", "UDP", "SCTP"]), 1..3);
    let sources = prop::option::of(vec(
        prop::sample::select(vec!["203.0.113.0/24", "192.0.2.0/24", "fd00:5::/64"]),
        1..3,
    ));
    let traits = any::<(bool, bool, bool, bool, bool)>();
    (traits, policy(), policy(), protocols, sources).prop_map(
        move |((six, external, balanced, sticky, exposed), internal, outer, protocols, sources)| {
            let port = |(at, protocol): (usize, &&str)| {
                let mut port = json!({"name": format!("p{at}"), "port": 80 + at, "protocol": protocol});
                if exposed {
                    port["nodePort"] = json!(30000 + 10 * usize::from(number) + at);
                }
                port
            };
            let mut ips = vec![format!("10.96.0.{number}")];
            ips.extend(six.then(|| format!("fd00:96::{number}")));
            let mut spec = json!({
                "type": if balanced { "LoadBalancer" } else { "NodePort" },
                "clusterIP": ips[0], "clusterIPs": ips, "internalTrafficPolicy": internal,
                "externalTrafficPolicy": outer,
                "ports": protocols.iter().enumerate().map(port).collect::<Vec<_>>(),
            });
            if external {
                // Two Services may want the same one.
                spec["externalIPs"] = json!([format!("198.51.100.{}", number % 2), "2001:db8:5::1"]);
            }
            if sticky {
                spec["sessionAffinity"] = json!("ClientIP");
            }
            if let Some(sources) = sources {
                spec["loadBalancerSourceRanges"] = json!(sources);
            }
            if balanced && outer == "Local" {
                spec["healthCheckNodePort"] = json!(32000 + u16::from(number));
            }
            let ingress = json!([{"ip": format!("203.0.113.{number}")}]);
            json!({"apiVersion": "v1", "kind": "Service",
                   "metadata": {"name": format!("s{number}"),
                                "creationTimestamp": format!("2026-01-0{}T00:00:00Z", 1 + number % 3)},
                   "spec": spec,
                   "status": {"loadBalancer": {"ingress": if balanced { ingress } else { json!([]) }}}})
        },
    )
}

fn slice(number: u8) -> impl Strategy<Value = Value> {
    let node = prop::option::of(prop::sample::select(vec!["n1", "n2"]));
    let zone = prop::option::of(prop::sample::select(vec!["a", "b"]));
    let endpoint = (1u8..9, node, zone, any::<bool>(), any::<bool>());
    (vec(endpoint, 0..5), any::<bool>()).prop_map(move |(endpoints, six)| {
        let endpoint = |(host, node, zone, ready, terminating): &(u8, Option<&str>, Option<&str>, bool, bool)| {
            let address = if six { format!("fd00:10::{host}") } else { format!("10.244.0.{host}") };
            let mut endpoint = json!({"addresses": [address], "conditions":
                {"ready": ready, "serving": true, "terminating": terminating}});
            if let Some(node) = node {
                endpoint["nodeName"] = json!(node);
            }
            if let Some(zone) = zone {
                endpoint["hints"] = json!({"forZones": [{"name": zone}]});
            }
            endpoint
        };
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
               "metadata": {"name": format!("s{number}-{six}"),
                            "labels": {"kubernetes.io/service-name": format!("s{number}")}},
               "addressType": if six { "IPv6" } else { "IPv4" },
               "ports": [{"name": "p0", "port": 8080, "protocol": "TCP"},
                         {"name": "p0", "port": 8080, "protocol": "UDP"}, {"name": "p1", "port": 8081}],
               "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>()})
    })
}

/// Services and slices, without those that the bits say.
fn objects() -> impl Strategy<Value = Vec<Value>> {
    let some = |number: u8| {
        let service = prop::option::weighted(0.8, service(number));
        (
            service,
            prop::option::weighted(0.9, slice(number)),
            prop::option::of(slice(number)),
        )
    };
    let cidr = json!({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16", "fd00:96::/112"]}});
    let cidr = prop::option::of(Just(cidr));
    ((some(1), some(2), some(3)), cidr).prop_map(|((one, two, three), cidr)| {
        let of = |(service, four, six): (Option<Value>, Option<Value>, Option<Value>)| {
            [service, four, six].into_iter().flatten()
        };
        of(one)
            .chain(of(two))
            .chain(of(three))
            .chain(cidr)
            .collect()
    })
}

/// A manifest of its own for each, so that one that goes is gone.
fn write(directory: &Path, objects: &[Value]) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        std::fs::remove_file(entry.expect("an entry").path()).expect("a file");
    }
    for (at, object) in objects.iter().enumerate() {
        let path = directory.join(format!("{at}.json"));
        std::fs::write(path, object.to_string()).expect("a file");
    }
}

/// What `render` prints, as tables.
fn rendered(settings: &Settings) -> (BTreeMap<Family, Table>, Vec<IpAddr>) {
    let loaded = futures::executor::block_on(world::load(settings, Nodes::Own));
    let Loaded { world, .. } = loaded.expect("objects");
    let mut kernel = Tables::default();
    for family in Family::ALL {
        let transaction = world.here().ruleset(family).expect("rules");
        kernel.apply(&transaction).expect("a table takes it");
    }
    (kernel.0, world.here().stated_addresses())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_daemon_programs_what_render_shows(
        flags in flags(), node in node(), before in objects(), now in objects(), with_history: bool,
    ) {
        let directory = ScratchDir::create("proxy-rendered").expect("a directory");
        let manifests = format!("--manifests={}", directory.path().display());
        let mut words = vec!["--hostname-override=n1", &manifests];
        words.extend(flags.iter().map(String::as_str));
        let settings = Settings::from_flags(&words).expect("valid flags");

        let now: Vec<Value> = now.into_iter().chain([node]).collect();
        write(directory.path(), &now);
        let (shown, local) = rendered(&settings);

        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let machine = Machine {
            kernel: Tables::default(),
            flow_table: Box::new(Flows(Arc::default())),
            addresses: Box::new(move || Ok(local.clone())),
        };
        let telemetry = telemetry(Recorder::nowhere());
        let mut proxy: Proxy<NftBackend<Tables>> = proxy_of(
            World::new(&settings), &Family::ALL, machine, &telemetry, runtime.handle(),
        );
        let mut manifests = Manifests::new(directory.path(), "n1");
        if with_history {
            write(directory.path(), &before);
            manifests.load(&mut |change| { proxy.apply(change); }).expect("manifests");
            prop_assert!(proxy.sync());
            write(directory.path(), &now);
        }
        let kinds = ObjectKind::ALL;
        kinds.iter().for_each(|kind| { proxy.apply(Change::ListBegin(*kind)); });
        let mut changes = Vec::new();
        Manifests::new(directory.path(), "n1")
            .load(&mut |change| changes.push(change))
            .expect("manifests");
        changes.into_iter().for_each(|change| { proxy.apply(change); });
        kinds.iter().for_each(|kind| { proxy.apply(Change::ListEnd(*kind)); });
        if with_history {
            // Where endpoints and leftovers are in the table is a matter of its history.
            proxy.syncer.proxiers.iter_mut().for_each(|proxier| proxier.backend.distrust());
        }
        prop_assert!(proxy.sync());
        for family in Family::ALL {
            prop_assert_eq!(&proxy.syncer.kernel.0[&family], &shown[&family], "{}", family);
        }
    }
}
