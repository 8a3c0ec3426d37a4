//! The forms in which objects are written down.

use super::{Dir, service};

#[test]
fn yaml_and_json_lists_and_documents_are_the_same_objects() {
    let web = service("web", 80);
    let db = service("db", 5432);
    let item = |text: &str| text.replace('\n', "\n  ");
    let list = |kind: &str, item_head: &str| {
        let item = format!(
            "{item_head}metadata: {{name: web}}, spec: {{clusterIP: 10.96.0.10, ports: [{{port: 80}}]}}"
        );
        format!("apiVersion: v1\nkind: {kind}\nitems:\n- {{{item}}}\n")
    };
    let json = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},
                   "spec":{"clusterIP":"10.96.0.10","ports":[{"port":80}]}}"#;
    let rows = [
        ("one document", "yaml", web.clone()),
        ("the other extension", "yml", web.clone()),
        ("a marker first", "yaml", format!("---\n{web}")),
        (
            "markers all around",
            "yaml",
            format!("\n---\n# comment\n---   \n{web}---\n---\n"),
        ),
        (
            "a comment at the marker",
            "yaml",
            format!("--- # the web\n{web}"),
        ),
        (
            "a document beside its marker",
            "yaml",
            format!("--- {json}\n"),
        ),
        ("a comment first", "yaml", format!("# The web.\n{web}")),
        ("CR LF", "yaml", format!("---\n{web}").replace('\n', "\r\n")),
        (
            "an unquoted time",
            "yaml",
            web.replace(
                "name: web\n",
                "name: web\n  creationTimestamp: 2026-01-01T00:00:00Z\n",
            ),
        ),
        (
            "anchors",
            "yaml",
            web.replace("name: web", "name: &name web\n  labels: {app: *name}"),
        ),
        (
            "a list",
            "yaml",
            format!("apiVersion: v1\nkind: List\nitems:\n- {}\n", item(&web)),
        ),
        (
            "a typed list, items without kind",
            "yaml",
            list("ServiceList", ""),
        ),
        (
            "a typed list, items with kind",
            "yaml",
            list("ServiceList", "apiVersion: v1, kind: Service, "),
        ),
        ("JSON in YAML", "yaml", json.to_owned()),
        ("JSON", "json", json.to_owned()),
        (
            "a list of JSON",
            "json",
            format!(r#"{{"kind":"List","apiVersion":"v1","metadata":{{}},"items":[{json}]}}"#),
        ),
    ];
    for (at, (what, extension, text)) in rows.iter().enumerate() {
        let mut dir = Dir::new(&format!("forms-{at}"));
        dir.write(&format!("web.{extension}"), text);
        assert_eq!(dir.events(), ["Service default/web 80"], "{what}");
    }

    let mut dir = Dir::new("forms-two");
    dir.write("both.yaml", &format!("{web}---\n{db}"));
    assert_eq!(
        dir.events(),
        ["Service default/web 80", "Service default/db 5432"]
    );
}

#[test]
fn every_kind_is_read_and_those_without_rules_are_told_gone() {
    let mut dir = Dir::new("kinds");
    dir.write(
        "all.yaml",
        "apiVersion: v1\nkind: List\nitems:\n\
         - {apiVersion: v1, kind: Node, metadata: {name: n1}}\n\
         - {apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {name: kubernetes}}\n\
         - {apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop}, \
            spec: {clusterIP: None}}\n\
         - {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, \
            endpoints: [], metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}}\n\
         - {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: FQDN, \
            endpoints: [], metadata: {name: web-2, labels: {kubernetes.io/service-name: web}}}\n",
    );
    assert_eq!(
        dir.events(),
        [
            "Node n1",
            "ServiceCIDR kubernetes",
            "no Service shop/db",
            "Slice default/web-1 of default/web",
            "no Slice default/web-2",
        ]
    );
}

#[test]
fn other_nodes_do_not_count() {
    let mut dir = Dir::new("nodes");
    let node = |name: &str| format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\n");
    dir.write(
        "nodes.yaml",
        &format!("{}---\n{}---\n{}", node("n0"), node("n1"), node("n2")),
    );
    assert_eq!(dir.events(), ["Node n1"]);
    dir.write("nodes.yaml", &node("n2"));
    assert_eq!(dir.events(), ["no Node"]);
}

#[test]
fn only_plain_manifest_files_count() {
    let mut dir = Dir::new("files");
    for name in [
        ".web.yaml",
        ".web.yaml.swp",
        "web.yaml~",
        "web.yaml.bak",
        "web",
        "README.md",
    ] {
        dir.write(name, &service("web", 80));
    }
    std::fs::create_dir(dir.path("more")).expect("a directory");
    std::os::unix::fs::symlink("nowhere", dir.path("gone")).expect("a link");
    assert_eq!(dir.events(), Vec::<String>::new());
    // As a mounted ConfigMap is made.
    std::os::unix::fs::symlink(".web.yaml", dir.path("web.yaml")).expect("a link");
    assert_eq!(dir.events(), ["Service default/web 80"]);
}

#[test]
fn a_yaml_file_may_be_as_large_as_its_cluster() {
    let mut dir = Dir::new("large");
    // More than what a YAML reader takes for an attack.
    let padding = "0,".repeat(300_000);
    dir.write(
        "large.yaml",
        &format!("{}padding: [{padding}]\n", service("web", 80)),
    );
    assert_eq!(dir.events(), ["Service default/web 80"]);
}
