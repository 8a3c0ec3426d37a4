//! Who the daemon is, and that the stock role `system:node-proxier` is all that it needs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::address::CONTROL;
use e2e::{Daemon, binary, wait};
use serde_json::{Value, json};

use super::outside;
use crate::cluster::fixture::Cluster;

const ACCOUNTS: &str = "/api/v1/namespaces/kube-system/serviceaccounts";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
/// In both families, one of which is enough here; nobody has it.
const CONTESTED: &str = "198.51.100.7";
/// A watch that was refused is tried again by a growing backoff.
const LIMIT: Duration = Duration::from_secs(60);

/// With no flag about the API server, as in a pod of kubeadm's DaemonSet: token, authority and
/// address are where a kubelet puts them.
pub(super) fn pod(cluster: &mut Cluster) -> Result<()> {
    let token = bound_token(cluster)?;
    let scratch = cluster.scratch();
    let mounted = scratch.join("serviceaccount");
    std::fs::create_dir_all(&mounted).context("make the mounted directory")?;
    std::fs::write(mounted.join("token"), token)?;
    std::fs::write(mounted.join("namespace"), "kube-system")?;
    std::fs::copy(scratch.join("ca.crt"), mounted.join("ca.crt"))?;
    let program = in_a_pod(scratch, &mounted)?;
    let daemon = replace_daemon(cluster, &program, &[])?;
    follows(cluster, &daemon)?;
    tells_of_itself_and_of_bad_services(cluster)?;
    asked_for_no_more_than_it_may(cluster)
}

/// A token that is refused first; the next request after the file is replaced has the good one.
pub(super) fn token_file(cluster: &mut Cluster) -> Result<()> {
    let good = bound_token(cluster)?;
    let token = cluster.scratch().join("token");
    std::fs::write(&token, "not a token\n")?;
    let user = json!({"tokenFile": token});
    // A server that nobody listens at; --master says better.
    let config = write_config(cluster, "https://192.0.2.1:6443", &user)?;
    let master = format!("https://{}:6443", CONTROL.v4);
    // And no mode, which is told.
    let mode = ["--proxy-mode", ""];
    let flags = [&["--kubeconfig", &config, "--master", &master], &mode[..]].concat();
    let daemon = replace_daemon(cluster, &binary()?, &flags)?;
    is_refused(cluster, "401")?;
    // As a kubelet does it: another file in its place, with a newline as editors leave it.
    let next = cluster.scratch().join("token.next");
    std::fs::write(&next, format!("{good}\n"))?;
    std::fs::rename(&next, &token)?;
    follows(cluster, &daemon)?;
    let event = has_event(cluster, "Node", "node-1", "KubeProxyDefaultMode")?;
    ensure!(
        event["type"] == "Warning" && event["regarding"]["apiVersion"] == "v1",
        "{event:#}"
    );
    Ok(())
}

/// A certificate of somebody without rights; then that of the proxy takes its place.
pub(super) fn certificate(cluster: &mut Cluster) -> Result<()> {
    let scratch = cluster.scratch().to_owned();
    let show = |user: &str| -> Result<()> {
        for kind in ["crt", "key"] {
            let next = scratch.join(format!("client.{kind}.next"));
            std::fs::copy(scratch.join(format!("{user}.{kind}")), &next)?;
            std::fs::rename(next, scratch.join(format!("client.{kind}")))?;
        }
        Ok(())
    };
    show("nobody")?;
    let user = json!({
        "client-certificate": scratch.join("client.crt"),
        "client-key": scratch.join("client.key"),
    });
    let config = write_config(cluster, &format!("https://{}:6443", CONTROL.v4), &user)?;
    let daemon = replace_daemon(cluster, &binary()?, &["--kubeconfig", &config])?;
    is_refused(cluster, "403")?;
    show("system-kube-proxy")?;
    follows(cluster, &daemon)
}

/// A token of the service account that kubeadm makes for kube-proxy, bound to the stock role and
/// to nothing else.
fn bound_token(cluster: &Cluster) -> Result<String> {
    let api = &cluster.api;
    if api.get(&format!("{ACCOUNTS}/kube-proxy")).is_err() {
        api.post(ACCOUNTS, &json!({"metadata": {"name": "kube-proxy"}}))?;
        let binding = json!({
            "metadata": {"name": "kube-proxy-account"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:node-proxier",
            },
            "subjects": [
                {"kind": "ServiceAccount", "namespace": "kube-system", "name": "kube-proxy"},
            ],
        });
        api.post(BINDINGS, &binding)?;
    }
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [], "expirationSeconds": 3600},
    });
    let answer = api.post(&format!("{ACCOUNTS}/kube-proxy/token"), &request)?;
    let token = answer["status"]["token"].as_str();
    token.map(str::to_owned).context("no token in the answer")
}

/// A program that starts the daemon with `mounted` where pods have their service account. What it
/// mounts, only it sees: `ip netns exec` gives it a mount namespace of its own.
fn in_a_pod(scratch: &Path, mounted: &Path) -> Result<PathBuf> {
    let script = scratch.join("in-a-pod");
    let text = format!(
        "#!/bin/sh -e\n\
         mount --make-rprivate /\n\
         mount -t tmpfs none /run\n\
         mkdir -p /run/secrets/kubernetes.io/serviceaccount\n\
         mount --bind {} /run/secrets/kubernetes.io/serviceaccount\n\
         export KUBERNETES_SERVICE_HOST={} KUBERNETES_SERVICE_PORT=6443\n\
         exec {} \"$@\"\n",
        mounted.display(),
        CONTROL.v4,
        binary()?.display(),
    );
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

/// A kubeconfig of this user, in the place of the last one.
pub(super) fn write_config(cluster: &Cluster, server: &str, user: &Value) -> Result<String> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": {
            "server": server,
            "certificate-authority": cluster.scratch().join("ca.crt"),
        }}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "user"}}],
        "current-context": "e2e",
    });
    let path = cluster.scratch().join("credentials.kubeconfig");
    std::fs::write(&path, config.to_string())?;
    let path = path.to_str().context("directory name is not UTF-8")?;
    Ok(path.to_owned())
}

/// Another daemon in the place of node-1's.
fn replace_daemon(cluster: &mut Cluster, program: &Path, flags: &[&str]) -> Result<Daemon> {
    cluster.take_daemon(0)?.terminate()?;
    let node = &cluster.bed.nodes()[0];
    let mut daemon = Daemon::start_program(program, node, flags, cluster.scratch())?;
    daemon.wait_live(node)?;
    Ok(daemon)
}

/// That a Service made now is served by node-1.
fn follows(cluster: &mut Cluster, daemon: &Daemon) -> Result<()> {
    cluster.run("web", &[1])?;
    let service = cluster.serve("web", &json!({"type": "NodePort"}))?;
    let target = service.node_targets(&cluster.bed.nodes()[0])[0];
    wait::until("the new Service", LIMIT, || {
        outside(cluster).reaches(target, &["web-1"]).map(drop)
    })
    .map(drop)
    .with_context(|| daemon.tail(15))
}

fn metrics(cluster: &Cluster) -> Result<String> {
    cluster.bed.nodes()[0].namespace().metrics()
}

/// That the API server has refused requests with this code.
fn is_refused(cluster: &Cluster, code: &str) -> Result<()> {
    let begin = format!("rest_client_requests_total{{code=\"{code}\"");
    wait::until(&format!("an answer {code}"), LIMIT, || {
        let metrics = metrics(cluster)?;
        ensure!(metrics.contains(&begin), "no {begin} in {metrics}");
        Ok(())
    })
    .map(drop)
}

/// That no request at all was refused, but for an event that another node was quicker to send.
fn asked_for_no_more_than_it_may(cluster: &Cluster) -> Result<()> {
    let metrics = metrics(cluster)?;
    let requests: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("rest_client_requests_total{"))
        .collect();
    ensure!(!requests.is_empty(), "no requests in {metrics}");
    let refused = requests.iter().find(|line| {
        let is_fine = |code| line.contains(&format!("code=\"{code}\""));
        !["200", "201", "409"].into_iter().any(is_fine)
    });
    match refused {
        None => {}
        Some(line) => bail!("{line}"),
    }
    // The events, which other daemons send as well, came from this one too.
    let created = requests
        .iter()
        .find(|line| line.contains("code=\"201\"") && line.contains("method=\"POST\""));
    ensure!(created.is_some(), "no event was sent: {requests:?}");
    Ok(())
}

/// That there are events: of the start, and of a Service that wants what another one has.
fn tells_of_itself_and_of_bad_services(cluster: &mut Cluster) -> Result<()> {
    let spec = json!({"externalIPs": [CONTESTED]});
    let service = cluster.serve("first", &spec)?;
    // The older one keeps the address, and a second is the grain.
    std::thread::sleep(Duration::from_millis(1100));
    let other = cluster.serve("second", &spec)?;
    has_event(cluster, "Node", "node-1", "Starting")?;
    let event = has_event(cluster, "Service", &other.name, "LeftOut")?;
    let note = event["note"].as_str().unwrap_or_default();
    ensure!(
        note.contains(CONTESTED) && note.contains(&service.name),
        "the note is {note:?}"
    );
    let path = format!("/api/v1/namespaces/default/services/{}", other.name);
    let service: Value = serde_json::from_str(&cluster.api.get(&path)?)?;
    ensure!(
        event["regarding"]["uid"] == service["metadata"]["uid"],
        "kubectl describe would not show {event:#}"
    );
    Ok(())
}

fn has_event(cluster: &Cluster, kind: &str, name: &str, reason: &str) -> Result<Value> {
    let mut found = None;
    let what = format!("an event {reason} of {kind} {name}");
    wait::until(&what, Duration::from_secs(20), || {
        let list: Value = serde_json::from_str(&cluster.api.get(EVENTS)?)?;
        let events = list["items"].as_array().context("no list")?;
        found = events
            .iter()
            .find(|event| {
                let regarding = &event["regarding"];
                regarding["kind"] == kind
                    && regarding["name"] == name
                    && event["reason"] == reason
                    && event["reportingController"] == "kube-proxy"
            })
            .cloned();
        ensure!(found.is_some(), "{} other events", events.len());
        Ok(())
    })?;
    found.context("no event")
}
