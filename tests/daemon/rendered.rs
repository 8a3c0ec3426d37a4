//! What `render` prints, loaded by nft, is what the daemon makes of the same objects and flags.

use super::rig::{BINARY, Rig, service};
use super::text;
use anyhow::ensure;
use e2e::address::CONTROL;
use e2e::fakeapi::{FakeApi, PORT};
use e2e::{Namespace, ip};
use rules::model::Family;
use serde_json::Value;

/// Services of most kinds, a second one that wants what the first has, and a range.
const OBJECTS: &str = "\
{apiVersion: v1, kind: Service, metadata: {name: web, creationTimestamp: 2026-01-01T00:00:00Z},
 spec: {type: LoadBalancer, clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10, \"fd00:96::10\"],
 externalIPs: [198.51.100.1], externalTrafficPolicy: Local, sessionAffinity: ClientIP,
 healthCheckNodePort: 32000, loadBalancerSourceRanges: [203.0.113.0/24],
 ports: [{name: a, port: 80, nodePort: 30080}, {name: b, port: 53, protocol: UDP}]},
 status: {loadBalancer: {ingress: [{ip: 203.0.113.9}]}}}
---
{apiVersion: v1, kind: Service, metadata: {name: rival, creationTimestamp: 2026-01-02T00:00:00Z},
 spec: {clusterIP: 10.96.0.11, externalIPs: [198.51.100.1, 198.51.100.2], ports: [{port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,
 metadata: {name: web-4, labels: {kubernetes.io/service-name: web}},
 ports: [{name: a, port: 8080}, {name: b, port: 5353, protocol: UDP}], endpoints: [
 {addresses: [10.244.1.10], nodeName: n1}, {addresses: [10.244.2.10], nodeName: n2},
 {addresses: [10.244.1.11], nodeName: n1, conditions: {ready: false, serving: true, terminating: true}}]}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv6,
 metadata: {name: web-6, labels: {kubernetes.io/service-name: web}},
 ports: [{name: a, port: 8080}], endpoints: [{addresses: [\"fd00:10:244::10\"], nodeName: n2}]}
---
{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {name: kubernetes},
 spec: {cidrs: [10.96.0.0/16]}}
";

/// What `render` prints with these flags, as the kernel of a namespace of its own lists it.
fn rendered(rig: &Rig, flags: &[&str]) -> Vec<String> {
    let mut command = rig.namespace.command(BINARY);
    command.arg("render").args(flags);
    let output = command.output().expect("a process");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let file = rig.scratch("rendered.nft");
    std::fs::write(&file, output.stdout).expect("a file");
    let namespace = Namespace::create("proxy-shown").expect("a namespace, which needs root");
    let file = file.to_str().expect("UTF-8");
    namespace
        .exec(&["nft", "-f", file])
        .expect("rules that load");
    tables(&namespace)
}

fn tables(namespace: &Namespace) -> Vec<String> {
    Family::ALL
        .map(|family| text::list(namespace, family))
        .into()
}

/// The tables part by part, as nft lists elements in an order of its own.
fn parts(tables: &[String]) -> Vec<std::collections::BTreeMap<String, Vec<String>>> {
    tables.iter().map(|table| text::parts(table)).collect()
}

/// Waits until the daemon's tables are these.
fn programmed(rig: &mut Rig, shown: &[String]) {
    let shown = parts(shown);
    rig.wait("the tables that render shows", |rig| {
        let names = ["nft", "list", "tables"];
        let both = rig.namespace.exec(&names)?.matches("kube-proxy").count() == 2;
        ensure!(both, "not both tables are there");
        let programmed = parts(&tables(&rig.namespace));
        ensure!(programmed == shown, "{programmed:#?}\nand not\n{shown:#?}");
        Ok(())
    });
}

#[test]
fn the_kernel_has_the_same_from_both_with_any_flags() {
    for (at, flags) in [
        &["--cluster-cidr=10.244.0.0/16,fd00:10:244::/48"][..],
        &[
            "--feature-gates=AllowServiceExternalIPs=false",
            "--masquerade-all",
        ],
        &[
            "--nodeport-addresses=primary",
            "--detect-local-mode=NodeCIDR",
        ],
        &[
            "--nodeport-addresses=192.0.2.0/24",
            "--bind-address=192.0.2.1",
        ],
        &[
            "--detect-local-mode=InterfaceNamePrefix",
            "--pod-interface-name-prefix=veth",
        ],
        &[
            "--iptables-masquerade-bit=9",
            "--detect-local-mode=BridgeInterface",
            "--pod-bridge-interface=br0",
        ],
    ]
    .into_iter()
    .enumerate()
    {
        let mut rig = Rig::new(&format!("rendered-{at}"));
        rig.write("objects.yaml", OBJECTS);
        rig.write(
            "node.yaml",
            "{apiVersion: v1, kind: Node, metadata: {name: n1}, spec: {podCIDRs: [10.244.1.0/24]}, \
             status: {addresses: [{type: InternalIP, address: 192.0.2.1}, \
             {type: InternalIP, address: 2001:db8::1}]}}",
        );
        let manifests = rig.manifests();
        let manifests = manifests.to_str().expect("UTF-8");
        let own = [
            "--hostname-override=n1",
            "--proxy-mode=nftables",
            "--manifests",
            manifests,
        ];
        let words = [&own[..], flags].concat();
        let shown = rendered(&rig, &words);
        let with_gate = !flags[0].contains("ExternalIPs=false");
        assert_eq!(shown[0].contains("198.51.100.1"), with_gate);
        let mut command = rig.namespace.command(BINARY);
        command.args(&words).arg("--conntrack-max-per-core=0");
        rig.run(&mut command);
        programmed(&mut rig, &shown);
    }
}

#[test]
fn one_family_is_a_part_of_both_and_nothing_is_touched() {
    let rig = Rig::new("rendered-family");
    rig.write("objects.yaml", OBJECTS);
    let manifests = format!("--manifests={}", rig.manifests().display());
    let texts = [&[][..], &["--family=ipv4"], &["--family=ipv6"]].map(|family| {
        let words = [
            &[BINARY, "render", "--hostname-override=n1", &manifests],
            family,
        ]
        .concat();
        rig.namespace.exec(&words).expect("it prints")
    });
    assert_eq!(texts[0], format!("{}{}", texts[1], texts[2]));
    let touched = rig.namespace.exec(&["nft", "list", "ruleset"]);
    assert_eq!(touched.expect("a listing"), "");
}

#[test]
fn objects_of_an_api_server_are_shown_as_well() {
    let mut rig = Rig::new("rendered-api");
    let address = format!("address add {}/32 dev lo", CONTROL.v4);
    ip(&rig.namespace, &address).expect("an address");
    let directory = rig.scratch("api");
    std::fs::create_dir(&directory).expect("a directory");
    let api = FakeApi::start(&rig.namespace, &directory).expect("an API server");
    let text = service("web", "10.96.0.10", 80, "10.244.1.10");
    let node = std::fs::read_to_string(rig.manifests().join("node.yaml")).expect("a manifest");
    let objects = text.split("---").chain([&*node]);
    let read = |text: &str| -> Value { serde_saphyr::from_str(text).expect("YAML") };
    api.put_all(objects.map(|text| {
        let mut object = read(text);
        if object["kind"] != "Node" {
            object["metadata"]["namespace"] = "default".into();
        }
        object
    }));
    let server = format!("{}:{PORT}", CONTROL.v4);
    let file = api
        .kubeconfig("proxy", &server, None)
        .expect("a kubeconfig");
    let file = file.to_str().expect("UTF-8");
    let words = [
        "--hostname-override=n1",
        "--proxy-mode=nftables",
        "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48",
        "--kubeconfig",
        file,
    ];
    let shown = rendered(&rig, &words);
    assert!(shown[0].contains("10.244.1.10"), "{}", shown[0]);
    rig.start_with(&["--kubeconfig", file]);
    programmed(&mut rig, &shown);
    // What cannot be had is said, and nothing is printed.
    drop(api);
    let output = rig
        .namespace
        .command(BINARY)
        .arg("render")
        .args(words)
        .output();
    let output = output.expect("a process");
    assert!(!output.status.success() && output.stdout.is_empty());
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        log.contains("render: objects of --manifests DIR, or of an API server"),
        "{log}"
    );
}
