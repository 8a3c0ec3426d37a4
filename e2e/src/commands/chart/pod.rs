//! The DaemonSet's pod on a node of the bed, run as its kubelet would: its containers, with their
//! rights, the files of its ConfigMap and its service account, and its probes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::container::{Container, Engine, Spec};
use e2e::controlplane::{Api, kubeconfig};
use e2e::{Bed, wait};
use serde_json::{Value, json};

use crate::chart::service::Served;
use crate::report::Cases;

const LIMIT: Duration = Duration::from_secs(20);
/// Where every pod finds its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// What a pod is run with.
pub(crate) struct Place<'a> {
    pub(crate) api: &'a Api,
    pub(crate) bed: &'a Bed,
    pub(crate) engine: &'a Engine,
    /// Where the control plane's files are, and room for more.
    pub(crate) files: &'a Path,
    pub(crate) served: &'a Served<'a>,
}

/// Runs the pod of a DaemonSet, which has these probes, and sends connections to a Service.
pub(crate) fn run(cases: &mut Cases, place: &Place<'_>, name: &str, probes: &[&str]) {
    let Place { engine, served, .. } = place;
    // No earlier pod's rules shall help.
    cases.case("no cluster IP answers yet", || served.forgotten());
    let Some(pod) = cases.case("its ConfigMap and token", || Pod::read(place, name)) else {
        return;
    };
    cases.case("the image is the archive's", || {
        let (wanted, is) = (&pod.main()?["image"], engine.name()?);
        ensure!(*wanted == *is, "the pod has {wanted}, the archive {is}");
        Ok(())
    });
    cases.case("init containers end with code 0", || pod.init(engine));
    let Some(container) = cases.case("start", || pod.start(engine)) else {
        return;
    };
    for probe in probes {
        cases.case(probe, || pod.probe(probe, &container));
    }
    cases.case("connections to the cluster IPs", || served.answers());
    cases.case("its account's role has all that it asks for", || {
        asks_for_nothing_forbidden(place.api, &container)
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
    fn read(place: &Place<'a>, name: &str) -> Result<Self> {
        let path = format!("/apis/apps/v1/namespaces/kube-system/daemonsets/{name}");
        let daemonset: Value = serde_json::from_str(&place.api.get(&path)?)?;
        let spec = daemonset["spec"]["template"]["spec"].clone();
        ensure!(spec["hostNetwork"] == true, "not on the host's network");
        let files = place.files.join(name);
        std::fs::create_dir(&files)?;
        let account = account(place, &spec, &files.join("account"))?;
        let mut mounts = vec![("account".to_owned(), account)];
        for volume in spec["volumes"].as_array().into_iter().flatten() {
            let name = volume["name"].as_str().context("a volume without a name")?;
            let path = files.join(format!("volume-{name}"));
            mounts.push((name.to_owned(), contents(place.api, volume, path)?));
        }
        let bed = place.bed;
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
        for container in containers.into_iter().flatten() {
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
        let found = volumes.find(|(volume, _)| volume == name);
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

/// Makes what a volume holds: a ConfigMap's files; of the host's paths only their kind, as
/// nothing shall be needed from them.
fn contents(api: &Api, volume: &Value, path: PathBuf) -> Result<PathBuf> {
    if let Some(source) = volume["configMap"]["name"].as_str() {
        let object = format!("/api/v1/namespaces/kube-system/configmaps/{source}");
        let map: Value = serde_json::from_str(&api.get(&object)?)?;
        write(&path, &map["data"])?;
    } else if volume["hostPath"]["type"] == "FileOrCreate" {
        std::fs::write(&path, "")?;
    } else if volume["hostPath"].is_object() {
        std::fs::create_dir(&path)?;
    } else {
        bail!("a volume of a kind that is not known here: {volume}");
    }
    Ok(path)
}

/// The files of the service account, with a token that the API server signed.
fn account(place: &Place<'_>, spec: &Value, directory: &Path) -> Result<PathBuf> {
    let name = spec["serviceAccountName"].as_str().context("no account")?;
    let path = format!("/api/v1/namespaces/kube-system/serviceaccounts/{name}/token");
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 3600},
    });
    let answer = place.api.post(&path, &request)?;
    // The authority that the harness itself trusts.
    let config = std::fs::read_to_string(kubeconfig(place.files, "harness"))?;
    let config: Value = serde_json::from_str(&config)?;
    let authority = &config["clusters"][0]["cluster"]["certificate-authority"];
    let authority = authority.as_str().context("no certificate-authority")?;
    let contents = json!({
        "token": answer["status"]["token"],
        "ca.crt": std::fs::read_to_string(authority)?,
        "namespace": "kube-system",
    });
    write(directory, &contents)?;
    Ok(directory.to_owned())
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
        ["orbidden", "denied", "not permitted"]
            .iter()
            .any(|word| line.contains(word))
    };
    let line = log.lines().find(refused);
    ensure!(line.is_none(), "{line:?}");
    Ok(())
}
