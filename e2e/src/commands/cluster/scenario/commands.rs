//! The commands that look, on a node of a real cluster: what they say is what is there, also where
//! somebody edited the table, rights are missing or nobody answers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::address::{CLIENT, CONTROL, virtual_ip};
use e2e::controlplane::kubeconfig;
use e2e::{Stream, Vip, wait};
use serde_json::{Value, json};

use super::{credentials, outside};
use crate::cluster::fixture::{Cluster, Service};
use crate::cluster::look::{Look, codes, unseen};

const APPS: &str = "/apis/apps/v1/namespaces/default";
const PODS: &str = "/api/v1/namespaces/default/pods";
/// How long the way from an API request to the kernel may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Longer nobody waits for an API server that is away.
const AWAY: Duration = Duration::from_secs(10);
/// A port of the control plane's machine at which nobody listens.
const NOBODY: u16 = 6444;

/// What all commands say of a healthy cluster, and that packets agree.
pub(super) fn answer(cluster: &mut Cluster) -> Result<()> {
    let service = shop(cluster)?;
    own(cluster)?;
    cluster.bed.balancer().serve(&[Vip {
        address: vip(),
        health_port: service.health_port,
    }]);
    outside(cluster).seen_as(target(), &["web-1", "web-2"], &CLIENT.both())?;
    let look = look(cluster, "harness");
    explains(&look, &service)?;
    advises(&look)?;
    traces(cluster, &look)?;
    checks(&look)?;
    let stream = Stream::start(cluster.bed.client(), target())?;
    let watched = watches(&look);
    stream.stop()?;
    watched?;
    for path in ["deployments/web", "replicasets/web-1"] {
        cluster.api.delete(&format!("{APPS}/{path}"))?;
    }
    Ok(())
}

fn explains(look: &Look, service: &Service) -> Result<()> {
    wait::until("each node's health port answers as told", LIMIT, || {
        let report = look.report("explain default/web --ask-nodes", "Explanation", 0)?;
        let health = &report["services"][0]["health"];
        ensure!(health["port"] == service.health_port, "{health:#}");
        let nodes = health["nodes"].as_array().context("no nodes")?;
        let answers = nodes.iter().map(|own| (&own["expected"], &own["answered"]));
        let expected = [200, 200, 503].map(Value::from);
        let expected = expected.iter().map(|own| (own, own));
        ensure!(answers.eq(expected), "{health:#}");
        Ok(())
    })?;
    let report = look.report("explain default/web", "Explanation", 0)?;
    ensure!(unseen(&report).is_empty(), "{:?}", unseen(&report));
    let web = &report["services"][0];
    let [balancer, node_port] = ["loadBalancerIp", "nodePort"].map(|kind| {
        let frontends = web["frontends"].as_array().into_iter().flatten();
        let mut fitting = frontends.filter(|own| own["kind"] == kind && own["family"] == "IPv4");
        fitting.next().cloned().unwrap_or_default()
    });
    ensure!(
        balancer["address"] == json!(vip().v4)
            && balancer["outside"]
                == json!({"outcome": "served", "endpoints": 1, "clientAddress": "kept"})
            && node_port["port"] == service.node_port,
        "{web:#}"
    );
    let pods = web["endpoints"].as_array().into_iter().flatten();
    let names: Vec<&Value> = pods.map(|own| &own["pod"]).collect();
    ensure!(names.contains(&&json!("default/web-2")), "{names:?}");
    let found = look.report(&format!("explain {}", target()), "Explanation", 0)?;
    ensure!(
        found["services"][0]["service"] == "default/web",
        "{found:#}"
    );
    let all = look.report("explain default/", "Explanation", 0)?;
    let all = all["services"].as_array().into_iter().flatten();
    let names: Vec<&Value> = all.map(|own| &own["service"]).collect();
    ensure!(
        names == ["default/inner", "default/kubernetes", "default/web"],
        "{names:?}"
    );
    Ok(())
}

fn advises(look: &Look) -> Result<()> {
    let advice = look.report("advise default/web", "Advice", 0)?;
    ensure!(
        unseen(&advice).is_empty()
            && advice["workload"]["kind"] == "Deployment"
            && advice["workload"]["replicas"] == 2,
        "{advice:#}"
    );
    let policies = &advice["policies"];
    for (policy, address, last) in [("Cluster", "replaced", true), ("Local", "kept", false)] {
        let told = &policies[policy];
        let serves = &told["nodes"][2]["serves"];
        ensure!(
            told["clientAddress"] == address && *serves == last,
            "{told:#}"
        );
    }
    let all = look.report("advise", "AdviceForAll", 0)?;
    ensure!(
        all["services"][0]["name"] == "web" && all["services"][0]["nodesServing"] == 2,
        "{all:#}"
    );
    Ok(())
}

/// By the kernel's rules here, by planned ones of another node, and from a pod that is named.
fn traces(cluster: &Cluster, look: &Look) -> Result<()> {
    let [near, far] = [0, 1].map(|index: usize| cluster.pods[index].addresses().v4);
    let ends = format!("{} {}", CLIENT.v4, target());
    let here = look.report(&format!("trace {ends}"), "Trace", 0)?;
    let result = &here["result"];
    let only = &result["endpoints"][0];
    ensure!(
        here["rules"] == "kernel"
            && result["outcome"] == "delivered"
            && (&only["address"], &only["probability"]) == (&json!(near), &json!(1.0))
            && (&only["clientAddress"], &only["sees"]) == (&json!("kept"), &json!(CLIENT.v4)),
        "{here:#}"
    );
    let there = look.report(
        "trace outside svc/default/web:tcp --from-node node-3",
        "Trace",
        0,
    )?;
    ensure!(
        there["rules"] == "planned" && there["result"]["outcome"] == "dropped",
        "{there:#}"
    );
    let pod = look.report("trace pod/default/web-1 svc/default/web:tcp", "Trace", 0)?;
    let reached = pod["result"]["endpoints"].as_array().into_iter().flatten();
    let mut reached: Vec<&Value> = reached.map(|own| &own["address"]).collect();
    reached.sort_by_key(|own| own.to_string());
    ensure!(reached == [&json!(near), &json!(far)], "{pod:#}");
    Ok(())
}

fn checks(look: &Look) -> Result<()> {
    let check = look.report("check --from iptables", "Check", 0)?;
    let groups = check["groups"].as_array().into_iter().flatten();
    let names: Vec<&str> = groups.filter_map(|own| own["name"].as_str()).collect();
    ensure!(names.len() > 5 && unseen(&check).is_empty(), "{check:#}");
    Ok(())
}

/// While connections come.
fn watches(look: &Look) -> Result<()> {
    let top = look.report("top default/web --once", "Top", 0)?;
    let ports = top["services"].as_array().into_iter().flatten();
    let web = { ports }.find(|own| own["portName"] == "tcp");
    let web = web.with_context(|| format!("{top:#}"))?;
    ensure!(
        web["newPerSecond"].as_f64() > Some(0.0) && web["serving"] == 2,
        "{top:#}"
    );
    Ok(())
}

/// What they say where something is wrong.
pub(super) fn wrong(cluster: &mut Cluster) -> Result<()> {
    shop(cluster)?;
    edited(cluster)?;
    let look = look(cluster, "system:kube-proxy");
    misspelt(&look)?;
    without_rights(cluster, &look)?;
    away(cluster)
}

/// Without a daemon nobody mends the table; its successor does.
fn edited(cluster: &mut Cluster) -> Result<()> {
    cluster.take_daemon(0)?.terminate()?;
    let node = cluster.bed.nodes()[0].namespace();
    let key = format!("{} . tcp . {}", vip().v4, Cluster::PORT);
    node.nft(&format!(
        "delete element ip kube-proxy services {{ {key} }}"
    ))?;
    let asked = look(cluster, "system:kube-proxy");
    let report = asked.report("explain default/web", "Explanation", 1)?;
    let findings = report["findings"].as_array().into_iter().flatten();
    let mut findings = findings.filter(|own| own["code"] == "KP105");
    let told = findings.next().map(Value::to_string).unwrap_or_default();
    let frontend = format!("{}/tcp", target());
    ensure!(told.contains(&frontend), "{frontend}: {report:#}");
    let others = asked.report("explain default/inner", "Explanation", 0)?;
    ensure!(codes(&others).is_empty(), "{others:#}");
    for (flags, outcome) in [("", "routed"), (" --planned", "delivered")] {
        let words = format!("trace {} {}{flags}", CLIENT.v4, target());
        let trace = asked.report(&words, "Trace", 0)?;
        ensure!(trace["result"]["outcome"] == outcome, "{trace:#}");
    }
    cluster.start_daemon(0)?;
    let asked = look(cluster, "system:kube-proxy");
    wait::until("the table is mended", LIMIT, || {
        let report = asked.report("explain default/web", "Explanation", 0)?;
        ensure!(!codes(&report).contains(&"KP105"), "{report:#}");
        Ok(())
    })
    .map(drop)
}

fn misspelt(look: &Look) -> Result<()> {
    for command in ["explain", "advise"] {
        for name in ["defualt/web", "default/wbe"] {
            let said = look.refused(&format!("{command} {name}"))?;
            ensure!(said.error.contains("did you mean default/web?"), "{said:?}");
        }
    }
    Ok(())
}

/// The proxy's own role knows no pods: the answer is there, and says what is not in it. Who may
/// see nothing is told what to ask for.
fn without_rights(cluster: &Cluster, look: &Look) -> Result<()> {
    for (words, kind) in [("explain", "Explanation"), ("advise", "Advice")] {
        let report = look.report(&format!("{words} default/web"), kind, 0)?;
        let missing = unseen(&report).join("\n");
        let right = "needs the right to list pods in namespace default";
        ensure!(missing.contains(right), "{report:#}");
    }
    let scratch = cluster.scratch();
    let user = json!({
        "client-certificate": scratch.join("nobody.crt"),
        "client-key": scratch.join("nobody.key"),
    });
    let server = format!("https://{}:6443", CONTROL.v4);
    let nobody = Look {
        kubeconfig: PathBuf::from(credentials::write_config(cluster, &server, &user)?),
        ..*look
    };
    let said = nobody.refused("explain default/web")?;
    let right = "needs the right to list services in namespace default";
    ensure!(said.error.contains(right), "{said:?}");
    let said = nobody.refused("top --once")?;
    ensure!(said.error.contains("403 Forbidden"), "{said:?}");
    // The kernel is looked at all the same.
    let checked = nobody.report("check", "Check", 0)?;
    ensure!(unseen(&checked).len() == 1, "{checked:#}");
    Ok(())
}

/// Nobody listens there.
fn away(cluster: &Cluster) -> Result<()> {
    let server = format!("https://{}:{NOBODY}", CONTROL.v4);
    let user = json!({"token": "system:kube-proxy"});
    let look = Look {
        kubeconfig: PathBuf::from(credentials::write_config(cluster, &server, &user)?),
        node: &cluster.bed.nodes()[0],
    };
    for words in [
        "explain default/web",
        "advise default/web",
        "advise",
        "top --once",
    ] {
        let said = look.refused(words)?;
        ensure!(
            said.error.contains("refused") && said.took < AWAY,
            "{words}: {said:?}"
        );
    }
    // Who names addresses needs no API server.
    let words = format!("trace {} {}", CLIENT.v4, target());
    look.report(&words, "Trace", 0)?;
    Ok(())
}

/// The command on node-1, asked by this user.
fn look<'a>(cluster: &'a Cluster, user: &str) -> Look<'a> {
    Look {
        node: &cluster.bed.nodes()[0],
        kubeconfig: kubeconfig(cluster.scratch(), user),
    }
}

fn vip() -> e2e::address::Pair {
    virtual_ip(30)
}

fn target() -> SocketAddr {
    SocketAddr::new(vip().v4.into(), Cluster::PORT)
}

/// A Service of policy Local with pods on node-1 and node-2, and one for the cluster alone. When
/// this returns explain finds nothing wrong: the rules are there.
fn shop(cluster: &mut Cluster) -> Result<Service> {
    cluster.run("web", &[1, 2])?;
    cluster.run("inner", &[1])?;
    let spec = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"});
    let service = cluster.serve("web", &spec)?;
    cluster.serve("inner", &json!({}))?;
    cluster.set_ingress(&service, vip())?;
    let look = look(cluster, "system:kube-proxy");
    wait::until("explain finds nothing wrong", LIMIT, || {
        for name in ["web", "inner"] {
            let words = format!("explain default/{name}");
            let report = look.report(&words, "Explanation", 0)?;
            let endpoints = report["services"][0]["endpoints"].as_array();
            ensure!(endpoints.is_some_and(|own| !own.is_empty()), "{report:#}");
        }
        Ok(())
    })?;
    Ok(service)
}

/// Makes a Deployment the owner of the pods, as its controller and that of its ReplicaSet would.
fn own(cluster: &Cluster) -> Result<()> {
    let labels = json!({"app": "web"});
    let containers = json!([{"name": "echo", "image": "echo"}]);
    let spec = json!({
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
    });
    let owner = |kind: &str, object: &Value| {
        json!([{
            "apiVersion": "apps/v1", "kind": kind, "controller": true,
            "name": object["metadata"]["name"], "uid": object["metadata"]["uid"],
        }])
    };
    let deployment = json!({"metadata": {"name": "web"}, "spec": spec});
    let deployment = cluster
        .api
        .post(&format!("{APPS}/deployments"), &deployment)?;
    let owners = owner("Deployment", &deployment);
    let set = json!({"metadata": {"name": "web-1", "ownerReferences": owners}, "spec": spec});
    let set = cluster.api.post(&format!("{APPS}/replicasets"), &set)?;
    let change = json!({"metadata": {"ownerReferences": owner("ReplicaSet", &set)}});
    for pod in cluster
        .pods
        .iter()
        .filter(|pod| pod.name().starts_with("web"))
    {
        cluster
            .api
            .patch(&format!("{PODS}/{}", pod.name()), &change)?;
    }
    Ok(())
}
