use super::names::nearest;
use super::*;
use crate::settings::Settings;
use e2e::cleanup::ScratchDir;
use k8s_openapi::api::core::v1::{Pod, Service};
use rules::model::ObjectName;
use std::future::Future;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

const OBJECTS: &str = "
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: web}
spec:
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10]
  externalIPs: [198.51.100.1]
  selector: {app: web}
  ports: [{port: 80, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {namespace: other, name: thief}
spec: {clusterIP: 10.96.0.11, externalIPs: [198.51.100.1], ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: other, name: plain}
spec: {clusterIP: 10.96.0.12, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: shop, name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [10.244.1.2], nodeName: n1}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: shop, name: api-1, labels: {kubernetes.io/service-name: api}}
addressType: IPv4
endpoints: []
---
apiVersion: v1
kind: Node
metadata: {name: n1}
---
apiVersion: v1
kind: Pod
metadata:
  namespace: shop
  name: web-5d9-a
  labels: {app: web, pod-template-hash: 5d9}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-5d9, uid: a, controller: true}]
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: db-0, labels: {app: db}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  namespace: shop
  name: web-5d9
  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: b, controller: true}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: web}
spec: {replicas: 3, selector: {matchLabels: {app: web}}, template: {}}
";

/// The objects as files, read.
fn files(name: &str, objects: &str) -> (Settings, Cluster) {
    let dir = ScratchDir::create(name).expect("a directory");
    std::fs::write(dir.path().join("all.yaml"), objects).expect("a file");
    let manifests = format!("--manifests={}", dir.path().display());
    let words = [
        "--hostname-override=n1",
        "--proxy-mode=nftables",
        &manifests,
    ];
    let settings = Settings::from_flags(&words).expect("valid flags");
    let cluster = block_on(Cluster::open(&settings)).expect("manifests");
    (settings, cluster)
}

fn web() -> Asked {
    Asked::Service(ObjectName::new("shop", "web"))
}

#[test]
fn facts_of_a_service_are_what_belongs_to_it_and_nothing_else() {
    let (settings, cluster) = files("inspect-facts", OBJECTS);
    assert!(cluster.problems().is_empty(), "{:?}", cluster.problems());
    let mut facts = block_on(Facts::of(&cluster, &web())).expect("facts");
    assert_eq!(facts.services.len(), 1);
    assert_eq!(facts.slices.len(), 1);
    let pods = facts.pods_of(&facts.services[0]).expect("pods");
    let names: Vec<String> = pods.iter().map(|pod| name_of(*pod).to_string()).collect();
    assert_eq!(names, ["shop/web-5d9-a"]);

    block_on(facts.find_rivals(&cluster)).expect("Services");
    let rivals: Vec<String> = facts
        .rivals
        .iter()
        .map(|own| name_of(own).to_string())
        .collect();
    assert_eq!(rivals, ["other/thief"]);

    let (world, problems) = facts.world(&settings);
    assert_eq!(world.nodes(), ["n1".into()]);
    assert!(world.here().ruleset(rules::model::Family::V4).is_some());
    assert_eq!(problems.len(), 1, "the contest: {problems:?}");
}

#[test]
fn a_namespace_and_all_of_them() {
    let (_, cluster) = files("inspect-namespace", OBJECTS);
    for (asked, services, slices) in [
        (Asked::Namespace("other".to_owned()), 2, 0),
        (Asked::Namespace("shop".to_owned()), 1, 1),
        (Asked::All, 3, 1),
    ] {
        let facts = block_on(Facts::of(&cluster, &asked)).expect("facts");
        let found = (facts.services.len(), facts.slices.len());
        assert_eq!(found, (services, slices), "{asked:?}");
    }
}

#[test]
fn workloads_are_what_controls_replica_sets() {
    let (_, cluster) = files("inspect-workloads", OBJECTS);
    let facts = block_on(Facts::of(&cluster, &web())).expect("facts");
    let pods = facts.pods_of(&facts.services[0]).expect("pods");
    let (found, unseen) = block_on(workloads(&cluster, &pods));
    assert!(unseen.is_empty());
    let [workload] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((&*workload.kind, &*workload.name), ("Deployment", "web"));
    assert_eq!((workload.replicas, workload.pods), (Some(3), 1));
    assert!(workload.selector.is_some());
}

#[test]
fn a_deployment_that_cannot_be_seen_is_known_by_its_replica_sets_name() {
    let (_, cluster) = files("inspect-hash", OBJECTS);
    let facts = block_on(Facts::of(&cluster, &web())).expect("facts");
    let (_, empty) = files("inspect-empty", "");
    let pods: Vec<&Pod> = facts.pods.as_ref().expect("pods").iter().collect();
    let (found, _) = block_on(workloads(&empty, &pods));
    assert_eq!((&*found[0].kind, &*found[0].name), ("Deployment", "web"));
    assert_eq!(found[0].replicas, None);
}

#[test]
fn a_name_that_is_not_there_is_told_with_those_that_are_like_it() {
    let (_, cluster) = files("inspect-names", OBJECTS);
    let service = |namespace: &str, name: &str| Asked::Service(ObjectName::new(namespace, name));
    for (asked, words) in [
        (
            service("shop", "wbe"),
            "there is no Service shop/wbe; did you mean shop/web?",
        ),
        (
            service("shpo", "web"),
            "there is no Service shpo/web; did you mean shop/web?",
        ),
        (
            service("default", "web"),
            "there is no Service default/web; did you mean shop/web?",
        ),
        (
            Asked::Namespace("othr".to_owned()),
            "there is no Service in namespace othr; did you mean other?",
        ),
        (
            service("x", "y"),
            "there is no Service x/y; `kubectl get services -A` lists those that there are",
        ),
    ] {
        let error = block_on(Facts::of(&cluster, &asked)).expect_err("no such Service");
        assert_eq!(error.to_string(), words);
    }
    let many: Vec<ObjectName> = ["web1", "web2", "web3", "web4"]
        .map(|name| ObjectName::new("shop", name))
        .into();
    let few = nearest(&service("shop", "web"), &many);
    assert_eq!(few, ["shop/web1", "shop/web2", "shop/web3"]);
}

#[test]
fn services_that_no_proxy_serves_say_why() {
    let service = |spec: &str, labels: &str| -> Service {
        let text = format!(r#"{{"metadata": {{"labels": {labels}}}, "spec": {spec}}}"#);
        serde_json::from_str(&text).expect("a Service")
    };
    for (spec, labels, expected) in [
        (r#"{"clusterIP": "10.96.0.1"}"#, "{}", None),
        (r#"{"clusterIP": "10.96.0.1"}"#, "null", None),
        (r#"{"clusterIP": "None"}"#, "{}", Some(Unproxied::Headless)),
        (
            r#"{"type": "ClusterIP"}"#,
            "{}",
            Some(Unproxied::NoClusterIp),
        ),
        (
            r#"{"type": "ExternalName", "externalName": "db.example.org"}"#,
            "{}",
            Some(Unproxied::ExternalName("db.example.org".to_owned())),
        ),
        (
            r#"{"clusterIP": "10.96.0.1"}"#,
            r#"{"service.kubernetes.io/service-proxy-name": "x"}"#,
            Some(Unproxied::OtherProxy("x".to_owned())),
        ),
    ] {
        assert_eq!(unproxied(&service(spec, labels)), expected, "{spec}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_the_others_are_read() {
    let objects = format!("{OBJECTS}\n---\n[1, 2]\n---\na: [\n");
    let (_, cluster) = files("inspect-bad", &objects);
    assert_eq!(cluster.problems().len(), 2, "{:?}", cluster.problems());
    assert!(block_on(Facts::of(&cluster, &web())).is_ok());
}
