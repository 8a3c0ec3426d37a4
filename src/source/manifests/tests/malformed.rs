//! Files that are wrong: one message with the place, and the rest is used.

use super::{Dir, service};

#[test]
fn each_bad_thing_gets_one_message_with_its_place() {
    let rows: &[(&str, String, &str)] = &[
        (
            "a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}\n".to_owned(),
            "a.yaml: ConfigMap shop/c of v1: not a kind that is used (v1 Service and Node, \
             discovery.k8s.io/v1 EndpointSlice, networking.k8s.io/v1 ServiceCIDR); left out",
        ),
        (
            "a.json",
            r#"{"apiVersion":"discovery.k8s.io/v1beta1","kind":"EndpointSlice",
                "metadata":{"name":"web-1"}}"#
                .to_owned(),
            "a.json: EndpointSlice web-1 of discovery.k8s.io/v1beta1: not a kind that is used \
             (v1 Service and Node, discovery.k8s.io/v1 EndpointSlice, networking.k8s.io/v1 \
             ServiceCIDR); left out",
        ),
        (
            "a.yaml",
            "name: web\n".to_owned(),
            "a.yaml: has neither apiVersion nor kind; left out",
        ),
        (
            "a.yaml",
            "- name: web\n".to_owned(),
            "a.yaml: is no valid object: it has no fields",
        ),
        (
            "a.yaml",
            "apiVersion: v1\nkind: Service\nspec: {clusterIP: 10.96.0.10}\n".to_owned(),
            "a.yaml: Service default/: metadata.name: is missing",
        ),
        (
            "a.yaml",
            service("web", 80).replace("port: 80", "port: http"),
            "a.yaml: Service web: invalid type: string \"http\", expected i32",
        ),
        (
            "a.yaml",
            service("web", 80).replace("port: 80", "port: 0"),
            "a.yaml: Service default/web: spec.ports[0].port: 0 is not a port (1 to 65535)",
        ),
        (
            "a.yaml",
            format!(
                "{}---\nkind: [\n---\n{}",
                service("web", 80),
                service("db", 5432)
            ),
            "a.yaml from line 10: is no valid YAML: ",
        ),
        (
            "a.yaml",
            format!(
                "apiVersion: v1\nkind: List\nitems:\n- {}\n- kind: Pod\n",
                service("web", 80).replace('\n', "\n  ")
            ),
            "a.yaml items[1]: Pod without a name of : not a kind that is used",
        ),
        (
            "a.json",
            r#"{"kind":"Service","#.to_owned(),
            "a.json: is no valid object: EOF while parsing",
        ),
        (
            "a.yaml",
            "apiVersion: v1\nkind: List\nitems: [web]\n".to_owned(),
            "a.yaml items[0]: is no valid object: it has no fields",
        ),
    ];
    for (at, (name, text, message)) in rows.iter().enumerate() {
        let mut dir = Dir::new(&format!("bad-{at}"));
        dir.write(name, text);
        dir.write("other.yaml", &service("other", 1));
        let (events, problems) = dir.load();
        assert!(
            problems.first().is_some_and(|own| own.starts_with(message)),
            "{message}\n{problems:?}"
        );
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            events.contains(&"Service default/other 1".to_owned()),
            "{message}: {events:?}"
        );
    }
}

#[test]
fn what_a_file_held_stays_while_part_of_it_cannot_be_read() {
    let broken: &[(&str, &[u8])] = &[
        ("bad.yaml", b"kind: [\n"),
        (
            "bad.yaml",
            b"apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: 1}\n",
        ),
        ("bad.yaml", b"\xff\xfe"),
        ("bad.json", b"{\"kind\":"),
        ("bad.json", b""),
    ];
    for (at, (name, text)) in broken.iter().enumerate() {
        let mut dir = Dir::new(&format!("stays-{at}"));
        let json = |name: &str| {
            format!(
                r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{name}"}},
                    "spec":{{"clusterIP":"10.96.0.1","ports":[{{"port":80}}]}}}}"#
            )
        };
        let list = format!(
            r#"{{"apiVersion":"v1","kind":"List","items":[{},{}]}}"#,
            json("web"),
            json("db")
        );
        dir.write(name, &list);
        assert_eq!(
            dir.events(),
            ["Service default/web 80", "Service default/db 80"]
        );

        std::fs::write(dir.path(name), text).expect("a file");
        let (events, problems) = dir.load();
        assert_eq!(events, Vec::<String>::new(), "{text:?}");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(name), "{problems:?}");

        // Whole again, what it no longer holds goes.
        dir.write(name, &json("web"));
        assert_eq!(
            dir.events(),
            ["no Service default/db", "Service default/web 80"]
        );
    }
}

#[test]
fn the_good_documents_of_a_broken_file_are_used_already() {
    let mut dir = Dir::new("partly");
    dir.write(
        "a.yaml",
        &format!("{}---\n{}", service("web", 80), service("db", 5432)),
    );
    dir.events();
    dir.write("a.yaml", &format!("{}---\n{{", service("web", 8080)));
    let (events, problems) = dir.load();
    assert_eq!(events, ["Service default/web 8080"], "and db stays");
    assert_eq!(problems.len(), 1, "{problems:?}");
    // The file itself gone, there is nothing to wait for.
    dir.remove("a.yaml");
    assert_eq!(
        dir.events(),
        ["no Service default/db", "no Service default/web"]
    );
}

#[test]
fn an_unreadable_directory_is_an_error() {
    let mut manifests = super::Manifests::new(std::path::Path::new("/nonexistent/dir"), "n1");
    let error = manifests.load(&mut |_| {}).expect_err("no directory");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
