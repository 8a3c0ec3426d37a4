//! The DaemonSet's pod on a node of the bed, run as its kubelet would: its containers, with their
//! rights, the files of its ConfigMap and its service account, and its probes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::cases::Cases;
use e2e::container::{Container, Engine, Spec};
use e2e::controlplane::{Api, kubeconfig};
use e2e::{Bed, wait};
use serde_json::{Value, json};

use crate::service::Served;

/// As the values of the run have it.
const NAME: &str = "run";
const LIMIT: Duration = Duration::from_secs(20);
/// Where every pod finds its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Runs it and sends connections to a Service of the API server.
pub(crate) fn run(cases: &mut Cases, api: &Api, bed: &Bed, engine: &Engine, files: &Path) {
    let pod = cases.case("the API server's DaemonSet, ConfigMap and token", || {
        Pod::read(api, bed, files)
    });
    let served = cases.case("a Service and its endpoint", || Served::create(api, bed));
    let (Some(pod), Some(served)) = (pod, served) else {
        return;
    };
    cases.case("the image is the archive's", || {
        let (wanted, is) = (&pod.main()?["image"], engine.name()?);
        ensure!(*wanted == *is, "the chart has {wanted}, the archive {is}");
        Ok(())
    });
    cases.case("init containers end with code 0", || pod.init(engine));
    let Some(container) = cases.case("start", || pod.start(engine)) else {
        return;
    };
    for probe in ["readinessProbe", "livenessProbe"] {
        cases.case(probe, || pod.probe(probe, &container));
    }
    cases.case("connections to the cluster IPs", || served.answers());
    cases.case("its account's role has all that it asks for", || {
        asks_for_nothing_forbidden(api, &container)
    });
    cases.case("ends on SIGTERM, its rules stay", || {
        let (code, _) = container.terminate(Duration::from_secs(5))?;
        ensure!(code == 0, "code {code}");
        served.answers()
    });
}

struct Pod<'a> {
    bed: &'a Bed,
    spec: Value,
    /// From the host, to the container.
    mounts: Vec<(String, PathBuf)>,
}

impl<'a> Pod<'a> {
    fn read(api: &Api, bed: &'a Bed, files: &Path) -> Result<Self> {
        let path = format!("/apis/apps/v1/namespaces/kube-system/daemonsets/{NAME}");
        let daemonset: Value = serde_json::from_str(&api.get(&path)?)?;
        let spec = daemonset["spec"]["template"]["spec"].clone();
        ensure!(spec["hostNetwork"] == true, "not on the host's network");
        let mut mounts = vec![("account".to_owned(), account(api, &spec, files)?)];
        for volume in spec["volumes"].as_array().into_iter().flatten() {
            let name = volume["name"].as_str().context("a volume without a name")?;
            let Some(source) = volume["configMap"]["name"].as_str() else {
                bail!("a volume of a kind that is not known here: {volume}");
            };
            let directory = files.join(format!("volume-{name}"));
            let path = format!("/api/v1/namespaces/kube-system/configmaps/{source}");
            let map: Value = serde_json::from_str(&api.get(&path)?)?;
            write(&directory, &map["data"])?;
            mounts.push((name.to_owned(), directory));
        }
        Ok(Self { bed, spec, mounts })
    }

    fn main(&self) -> Result<&Value> {
        let containers = self.spec["containers"].as_array();
        match containers.map(Vec::as_slice) {
            Some([container]) => Ok(container),
            other => bail!("not one container: {other:?}"),
        }
    }

    fn init(&self, engine: &Engine) -> Result<()> {
        let containers = self.spec["initContainers"].as_array();
        let containers = containers.context("no init container")?;
        for container in containers {
            let ended = engine.run(self.bed.nodes()[0].namespace(), &self.translate(container)?)?;
            ensure!(ended.code == 0, "{}: {ended:?}", container["name"]);
        }
        Ok(())
    }

    fn start<'e>(&self, engine: &'e Engine) -> Result<Container<'e>> {
        let spec = self.translate(self.main()?)?;
        engine.start(self.bed.nodes()[0].namespace(), &spec)
    }

    /// Asks as the kubelet does: at the node's address.
    fn probe(&self, name: &str, container: &Container<'_>) -> Result<()> {
        let get = &self.main()?[name]["httpGet"];
        let path = get["path"].as_str().context("no path to ask for")?;
        let port = u16::try_from(get["port"].as_u64().context("no port")?)?;
        let node = &self.bed.nodes()[0];
        let address = SocketAddr::new(node.addresses().v4.into(), port);
        wait::until(path, LIMIT, || {
            container.check()?;
            let response = node.namespace().get(address, path)?;
            ensure!(response.status == 200, "answers {}", response.status);
            Ok(())
        })?;
        Ok(())
    }

    /// A container of the pod as podman takes it.
    fn translate(&self, container: &Value) -> Result<Spec> {
        let node = self.bed.nodes()[0].name();
        let mut env = Vec::new();
        for variable in container["env"].as_array().into_iter().flatten() {
            let field = &variable["valueFrom"]["fieldRef"]["fieldPath"];
            ensure!(field == "spec.nodeName", "not known here: {variable}");
            let name = variable["name"].as_str().context("no name")?;
            env.push((name.to_owned(), node.to_owned()));
        }
        let words: Vec<String> = serde_json::from_value(container["command"].clone())?;
        let command = words.iter().map(|word| expand(word, &env)).collect();
        let mut mounts = vec![(self.volume("account")?, ACCOUNT.to_owned())];
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            let text = |field: &str| mount[field].as_str().with_context(|| format!("no {field}"));
            mounts.push((self.volume(text("name")?)?, text("mountPath")?.to_owned()));
        }
        Ok(Spec {
            security: container["securityContext"].clone(),
            command,
            env,
            mounts,
        })
    }

    fn volume(&self, name: &str) -> Result<String> {
        let mut volumes = self.mounts.iter();
        let found = volumes.find(|(own, _)| own == name);
        let (_, path) = found.with_context(|| format!("no volume {name}"))?;
        Ok(path.display().to_string())
    }
}

/// `$(NAME)` in a container's command.
fn expand(word: &str, env: &[(String, String)]) -> String {
    env.iter().fold(word.to_owned(), |word, (name, value)| {
        word.replace(&format!("$({name})"), value)
    })
}

/// The files of the service account, with a token that the API server signed.
fn account(api: &Api, spec: &Value, files: &Path) -> Result<PathBuf> {
    let name = spec["serviceAccountName"].as_str().context("no account")?;
    let path = format!("/api/v1/namespaces/kube-system/serviceaccounts/{name}/token");
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 3600},
    });
    let answer = api.post(&path, &request)?;
    // The authority that the harness itself trusts.
    let config = std::fs::read_to_string(kubeconfig(files, "harness"))?;
    let config: Value = serde_json::from_str(&config)?;
    let authority = &config["clusters"][0]["cluster"]["certificate-authority"];
    let authority = authority.as_str().context("no certificate-authority")?;
    let directory = files.join("account");
    let contents = json!({
        "token": answer["status"]["token"],
        "ca.crt": std::fs::read_to_string(authority)?,
        "namespace": "kube-system",
    });
    write(&directory, &contents)?;
    Ok(directory)
}

/// Writes a directory with these files.
fn write(directory: &Path, contents: &Value) -> Result<()> {
    std::fs::create_dir(directory).with_context(|| format!("make {}", directory.display()))?;
    let contents = contents.as_object().context("no files")?;
    for (name, text) in contents {
        let text = text
            .as_str()
            .with_context(|| format!("{name} is no text"))?;
        std::fs::write(directory.join(name), text)?;
    }
    Ok(())
}

/// Nothing was refused, and its Event of the start came through, which is the only thing that it
/// writes.
fn asks_for_nothing_forbidden(api: &Api, container: &Container<'_>) -> Result<()> {
    wait::until("the Event of the start", LIMIT, || {
        let events = api.get("/apis/events.k8s.io/v1/namespaces/default/events")?;
        ensure!(events.contains("\"Starting\""), "not there: {events}");
        Ok(())
    })?;
    let log = container.log()?;
    let refused = |line: &&str| {
        ["orbidden", "denied", "not permitted", "ERROR"]
            .iter()
            .any(|word| line.contains(word))
    };
    let line = log.lines().find(refused);
    ensure!(line.is_none(), "{line:?}");
    Ok(())
}
