//! A daemon that follows an API server which forgets, and sends what nobody can read.

use super::rig::Rig;
use e2e::address::CONTROL;
use e2e::fakeapi::{FakeApi, PORT};
use e2e::ip;
use serde_json::{Value, json};

/// The daemon, and the API server in the same namespace. The server goes first.
struct Watched {
    api: FakeApi,
    rig: Rig,
}

fn watched(test: &str) -> Watched {
    let mut rig = Rig::new(test);
    let address = format!("address add {}/32 dev lo", CONTROL.v4);
    ip(&rig.namespace, &address).expect("an address");
    let directory = rig.scratch("api");
    std::fs::create_dir(&directory).expect("a directory");
    let api = FakeApi::start(&rig.namespace, &directory).expect("an API server");
    api.put_all([
        node(),
        service("web", "10.96.0.10"),
        slice("web", "10.244.1.10", &json!(8080)),
    ]);
    let server = format!("{}:{PORT}", CONTROL.v4);
    let file = api
        .kubeconfig("proxy", &server, None)
        .expect("a kubeconfig");
    rig.start_with(&["--kubeconfig", file.to_str().expect("UTF-8")]);
    let mut watched = Watched { api, rig };
    watched.endpoint("10.244.1.10");
    watched
}

impl Watched {
    /// Waits for an endpoint in the rules.
    fn endpoint(&mut self, address: &str) {
        self.rig.wait("an endpoint", |rig| {
            let listed = rig.listed("ip", "map", "endpoints");
            anyhow::ensure!(listed.contains(address), "{address} is not in\n{listed}");
            Ok(())
        });
    }

    /// A metric about EndpointSlices as it is now.
    fn metric(&self, name: &str, labels: &str) -> f64 {
        let sample = format!("kubeproxyrs_watch_{name}{{{labels}resource=\"endpointslices\"}}");
        let value = self.rig.namespace.metric(&sample).expect("an answer");
        value.unwrap_or(0.0)
    }
}

fn node() -> Value {
    let addresses = json!([{"type": "InternalIP", "address": "192.0.2.1"}]);
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
           "status": {"addresses": addresses}})
}

fn service(name: &str, cluster_ip: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service",
           "metadata": {"namespace": "default", "name": name},
           "spec": {"clusterIP": cluster_ip, "ports": [{"name": "http", "port": 80}]}})
}

fn slice(service: &str, endpoint: &str, port: &Value) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
           "metadata": {"namespace": "default", "name": format!("{service}-1"),
                        "labels": {"kubernetes.io/service-name": service}},
           "addressType": "IPv4", "ports": [{"name": "http", "port": port}],
           "endpoints": [{"addresses": [endpoint]}]})
}

#[test]
fn a_version_that_the_api_server_has_forgotten_is_listed_anew() {
    let mut watched = watched("forgotten");
    assert_eq!(watched.metric("lists_total", ""), 1.0);
    // While nobody watches something happens, and is forgotten. The next watch is answered 410.
    watched.api.end_watches();
    watched.api.put(slice("web", "10.244.1.20", &json!(8080)));
    watched.api.compact();
    watched.endpoint("10.244.1.20");
    let failures = watched.metric("failures_total", "reason=\"expired\",");
    assert_eq!((failures, watched.metric("lists_total", "")), (1.0, 2.0));
    assert!(watched.metric("last_heard_seconds", "") < 30.0);
}

#[test]
fn an_object_that_nobody_can_read_is_named_and_the_rest_is_served() {
    let mut watched = watched("unreadable");
    watched.api.put(slice("odd", "10.244.1.66", &json!("8080")));
    let said = "endpointslices default/odd-1";
    let why = "invalid type: string \"8080\", expected i32";
    watched.rig.wait("the object's name", |rig| {
        let left_out = rig.lines(&[said, "left out", why]);
        anyhow::ensure!(left_out.len() == 1, "{}", rig.log());
        Ok(())
    });
    // The one beside it is served before and after, as is the object itself once it can be read.
    watched.endpoint("10.244.1.10");
    watched.api.put(slice("web", "10.244.1.11", &json!(8080)));
    watched.endpoint("10.244.1.11");
    watched.api.put_all([
        service("odd", "10.96.0.66"),
        slice("odd", "10.244.1.67", &json!(8080)),
    ]);
    watched.endpoint("10.244.1.67");
    let failures = watched.metric("failures_total", "reason=\"undecodable\",");
    assert_eq!((failures, watched.metric("lists_total", "")), (1.0, 2.0));
    assert_eq!(watched.rig.lines(&[said]).len(), 2, "{}", watched.rig.log());
}
