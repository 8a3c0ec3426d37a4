//! Bad manifests, and manifests that change.

use super::rig::{Rig, service};

#[test]
fn each_bad_manifest_gets_one_message_and_all_else_is_programmed() {
    let mut rig = Rig::new("bad");
    let head = "apiVersion: v1, kind: Service, metadata";
    rig.write("broken.yaml", "kind: [\n");
    rig.write("broken.json", "{\"kind\": \"Service\"");
    rig.write(
        "pod.yaml",
        "{apiVersion: v1, kind: Pod, metadata: {name: p1}}",
    );
    rig.write(
        "bare.yaml",
        &format!("{{{head}: {{name: bare}}, spec: {{clusterIP: 10.96.0.30}}}}"),
    );
    rig.write(
        "zero.yaml",
        &format!(
            "{{{head}: {{name: zero}}, spec: {{clusterIP: 10.96.0.31, ports: [\
                  {{name: a, port: 0}}, {{name: b, port: 443}}]}}}}"
        ),
    );
    rig.write(
        "text.yaml",
        &service("text", "10.96.0.32", 80, "10.244.1.ten"),
    );
    rig.write(
        "later.yaml",
        &service("b-second", "10.96.0.20", 80, "10.244.1.12"),
    );
    rig.write(
        "sooner.yaml",
        &service("a-first", "10.96.0.20", 80, "10.244.1.11"),
    );
    rig.write(
        "good.yaml",
        &service("good", "10.96.0.10", 80, "10.244.1.10"),
    );
    rig.start();
    rig.served(&[
        "10.96.0.10 . tcp . 80 comment \"default/good\" : goto cluster-1",
        "10.96.0.20 . tcp . 80 comment \"default/a-first\" : goto cluster-1",
    ]);
    let nobody = rig.listed("ip", "map", "no-endpoints");
    assert!(
        nobody.contains("10.96.0.31 . tcp . 443 comment \"default/zero:b\""),
        "{nobody}"
    );
    assert!(
        nobody.contains("10.96.0.32 . tcp . 80 comment \"default/text\""),
        "{nobody}"
    );

    let messages: &[&[&str]] = &[
        &["broken.yaml: is no valid YAML"],
        &["broken.json: is no valid object"],
        &["pod.yaml: Pod p1 of v1: not a kind that is used"],
        &["bare.yaml: Service default/bare: spec.ports: is empty"],
        &["zero.yaml: Service default/zero: spec.ports[0].port: 0 is not a port"],
        &[
            "text.yaml from line 3: EndpointSlice default/text-1: endpoints[0].addresses[0]: \
           \"10.244.1.ten\" is not an IPv4 address",
        ],
        &[
            "Service default/b-second (",
            "later.yaml): not served: cluster IP 10.96.0.20 tcp port 80, which Service \
           default/a-first (",
            "sooner.yaml) has: it is older or comes first by name",
        ],
    ];
    for parts in messages {
        assert_eq!(rig.lines(parts).len(), 1, "{parts:?}\n{}", rig.log());
    }
    assert_eq!(rig.lines(&["WARN"]).len(), messages.len(), "{}", rig.log());

    // A later change says nothing of these again.
    rig.write(
        "good.yaml",
        &service("good", "10.96.0.10", 81, "10.244.1.10"),
    );
    rig.served(&["10.96.0.10 . tcp . 81"]);
    assert_eq!(rig.lines(&["WARN"]).len(), messages.len(), "{}", rig.log());
}

#[test]
fn changes_of_the_directory_are_followed() {
    let mut rig = Rig::new("follow");
    rig.write("web.yaml", &service("web", "10.96.0.10", 80, "10.244.1.10"));
    rig.start();
    rig.served(&["10.96.0.10 . tcp . 80"]);
    rig.write("web.yaml", &service("web", "10.96.0.10", 80, "10.244.1.11"));
    rig.wait("the other endpoint", |rig| {
        let listed = rig.listed("ip", "map", "endpoints");
        anyhow::ensure!(listed.contains(": 10.244.1.11 . 8080"), "{listed}");
        anyhow::ensure!(!listed.contains("10.244.1.10"), "{listed}");
        Ok(())
    });
    rig.write(
        "db.json",
        &service("db", "10.96.0.11", 5432, "10.244.1.12").replace("---", ""),
    );
    rig.write("db.yaml", &service("db", "10.96.0.11", 5432, "10.244.1.12"));
    rig.served(&["10.96.0.10 . tcp . 80", "10.96.0.11 . tcp . 5432"]);
    rig.remove("web.yaml");
    rig.wait("the end of web", |rig| {
        let listed = rig.listed("ip", "map", "services");
        anyhow::ensure!(!listed.contains("10.96.0.10"), "{listed}");
        anyhow::ensure!(listed.contains("10.96.0.11"), "{listed}");
        Ok(())
    });
}

#[test]
fn a_node_that_is_gone_leaves_its_addresses() {
    let mut rig = Rig::new("node-gone");
    rig.write("web.yaml", &service("web", "10.96.0.10", 80, "10.244.1.10"));
    rig.start();
    rig.served(&["10.96.0.10 . tcp . 80"]);
    rig.remove("node.yaml");
    rig.write("web.yaml", &service("web", "10.96.0.10", 81, "10.244.1.10"));
    rig.served(&["10.96.0.10 . tcp . 81"]);
    let listed = rig.listed("ip", "set", "nodeport-ips");
    assert!(
        listed.contains("192.0.2.1"),
        "node ports must not open elsewhere: {listed}"
    );
}
