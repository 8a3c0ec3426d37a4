//! Objects that contradict each other, or that lose what they had.

use super::rig::{Rig, service};

/// A Service that has somebody else's address, made long before.
fn squatter(spec: &str, status: &str) -> String {
    let own = service("a-squatter", "10.96.0.66", 80, "10.244.6.66");
    let slice = own.split_once("---").expect("a slice").1;
    format!(
        "{{apiVersion: v1, kind: Service, \
         metadata: {{name: a-squatter, creationTimestamp: '2020-01-01T00:00:00Z'}}, \
         spec: {{clusterIP: 10.96.0.66, ports: [{{port: 80}}]{spec}}}{status}}}\n---{slice}"
    )
}

fn has(rig: &mut Rig, part: &str) {
    rig.wait(part, |rig| {
        let listed = rig.listed("ip", "map", "services");
        anyhow::ensure!(listed.contains(part), "{listed}");
        Ok(())
    });
}

#[test]
fn a_cluster_ip_is_its_services_however_long_somebody_else_has_listed_it() {
    let owned = |name: &str| format!("10.96.0.50 . tcp . 80 comment \"default/{name}\"");
    let mut rig = Rig::new("squatter");
    rig.write(
        "cidr.yaml",
        "{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {name: kubernetes}, \
         spec: {cidrs: [10.96.0.0/16]}}",
    );
    rig.write(
        "squatter.yaml",
        &squatter(", externalIPs: [10.96.0.50]", ""),
    );
    rig.start();
    has(&mut rig, &owned("a-squatter"));
    let warned = rig.lines(&["external IP 10.96.0.50 is in the ServiceCIDR 10.96.0.0/16"]);
    assert_eq!(warned.len(), 1, "{}", rig.log());

    rig.write(
        "vault.yaml",
        &service("vault", "10.96.0.50", 80, "10.244.1.50"),
    );
    has(&mut rig, &owned("vault"));
    rig.remove("vault.yaml");
    has(&mut rig, &owned("a-squatter"));
    let status = ", status: {loadBalancer: {ingress: [{ip: 10.96.0.50}]}}";
    rig.write("squatter.yaml", &squatter(", type: LoadBalancer", status));
    let warned = "load-balancer IP 10.96.0.50 is in the ServiceCIDR 10.96.0.0/16";
    rig.wait(warned, |rig| {
        anyhow::ensure!(rig.lines(&[warned]).len() == 1, "nothing is said");
        Ok(())
    });
    has(&mut rig, &owned("a-squatter"));
    rig.write(
        "vault.yaml",
        &service("vault", "10.96.0.50", 80, "10.244.1.50"),
    );
    has(&mut rig, &owned("vault"));
}

#[test]
fn a_node_that_loses_its_addresses_and_ranges_keeps_them() {
    let node = |name: &str, spec: &str, addresses: &str| {
        format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}, spec: {{{spec}}}, \
             status: {{addresses: [{addresses}]}}}}"
        )
    };
    let ranges = "podCIDRs: [10.244.1.0/24, 'fd00:1::/64']";
    let addresses = "{type: InternalIP, address: 192.0.2.1}, \
                     {type: InternalIP, address: '2001:db8::1'}";
    let mut rig = Rig::new("node-loses");
    rig.write("node.yaml", &node("n1", ranges, addresses));
    rig.write(
        "first.yaml",
        &service("first", "10.96.0.1", 80, "10.244.1.1"),
    );
    let manifests = rig.manifests();
    let manifests = manifests.to_str().expect("UTF-8");
    rig.start_with(&["--manifests", manifests, "--detect-local-mode=NodeCIDR"]);
    let first = "10.96.0.1 . tcp . 80";
    has(&mut rig, first);
    let chains = |rig: &Rig| ["ip", "ip6"].map(|family| rig.listed(family, "chain", "services"));
    let whole = chains(&rig);
    for (listed, range) in whole.iter().zip(["10.244.1.0/24", "fd00:1::/64"]) {
        assert!(listed.contains("@nodeport-ips"), "{listed}");
        assert!(listed.contains(range), "{listed}");
    }
    let six = "{type: InternalIP, address: '2001:db8::1'}";
    for (n, (what, text)) in [
        ("emptied", Some(node("n1", "", ""))),
        (
            "without IPv4",
            Some(node("n1", "podCIDRs: ['fd00:1::/64']", six)),
        ),
        ("gone", None),
        ("registered anew without", Some(node("n1", "", ""))),
    ]
    .into_iter()
    .enumerate()
    {
        match text {
            Some(text) => rig.write("node.yaml", &text),
            None => rig.remove("node.yaml"),
        }
        rig.wait(what, |rig| {
            let said = rig.lines(&["this node's Node object"]).len();
            anyhow::ensure!(said == n + 1, "{said} lines");
            Ok(())
        });
        // A change that comes later is there: so is what the Node led to.
        let name = format!("later-{n}");
        let ip = format!("10.96.0.{}", n + 2);
        rig.write(
            &format!("{name}.yaml"),
            &service(&name, &ip, 80, "10.244.1.1"),
        );
        has(&mut rig, &format!("{ip} . tcp . 80"));
        assert_eq!(chains(&rig), whole, "{what}");
    }
}
