//! A real control plane in a namespace of its own, so that no port of the host is taken.

mod api;
mod certs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::address::{CONTROL, SERVICE_CIDR};
use crate::{Namespace, Process, target_directory, wait};
pub(crate) use certs::Certificates;

pub use api::Api;

/// Long enough for a cold start beside a build.
const LIMIT: Duration = Duration::from_secs(90);
/// Name and groups of every user; a user's token is its name.
const USERS: [(&str, &str); 3] = [
    ("harness", "system:masters"),
    ("system:kube-proxy", ""),
    ("system:kube-controller-manager", ""),
];
/// The controllers that turn Pods into EndpointSlices, and no more: none shall judge the nodes,
/// which have no kubelet.
pub const CONTROLLERS: &str =
    "endpointslice-controller,service-cidr-controller,namespace-controller";

/// etcd, kube-apiserver and, if wanted, kube-controller-manager; stopped with the value.
pub struct ControlPlane {
    _manager: Option<Process>,
    api_server: Option<Process>,
    _etcd: Process,
    certificates: Certificates,
    directory: PathBuf,
}

impl ControlPlane {
    /// Starts it in `namespace`, which has the address [`CONTROL`], and waits until the API
    /// server is ready. Keys, logs and data go to `directory`. Without `controllers`, a list as
    /// `--controllers` takes it, there is no kube-controller-manager.
    ///
    /// # Errors
    /// If a program is missing, ends, or isn't ready within a minute and a half.
    pub fn start(
        namespace: &Namespace,
        directory: &Path,
        controllers: Option<&str>,
    ) -> Result<(Self, Api)> {
        let certificates = Certificates::create(directory)?;
        let tokens: String = USERS
            .iter()
            .map(|(name, groups)| format!("{name},{name},{name},\"{groups}\"\n"))
            .collect();
        std::fs::write(directory.join("tokens.csv"), tokens).context("write the tokens")?;
        for (name, _) in USERS {
            write_kubeconfig(directory, name, &certificates)?;
        }
        let etcd = start_etcd(namespace, directory)?;
        let mut api_server = start_api_server(namespace, directory, &certificates)?;
        let api = Api::connect(namespace, &kubeconfig(directory, "harness"))?;
        await_ready(&api, &mut api_server)?;
        let manager = controllers
            .map(|names| start_manager(namespace, directory, &certificates, names))
            .transpose()?;
        let plane = Self {
            _manager: manager,
            api_server: Some(api_server),
            _etcd: etcd,
            certificates,
            directory: directory.to_owned(),
        };
        Ok((plane, api))
    }

    /// Kills the API server: no connection is closed in order.
    ///
    /// # Errors
    /// If it doesn't run.
    pub fn kill_api_server(&mut self) -> Result<()> {
        let mut process = self
            .api_server
            .take()
            .context("the API server is stopped")?;
        process.signal(Signal::SIGKILL)?;
        process.wait(Duration::from_secs(5))?;
        Ok(())
    }

    /// Starts the API server again and waits until it is ready.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub fn restart_api_server(&mut self, namespace: &Namespace) -> Result<Api> {
        let process = start_api_server(namespace, &self.directory, &self.certificates)?;
        let process = self.api_server.insert(process);
        let api = Api::connect(namespace, &kubeconfig(&self.directory, "harness"))?;
        await_ready(&api, process)?;
        Ok(api)
    }
}

/// The kubeconfig of `user` among the files of the control plane in `directory`.
pub fn kubeconfig(directory: &Path, user: &str) -> PathBuf {
    directory.join(format!("{}.kubeconfig", user.replace(':', "-")))
}

fn write_kubeconfig(directory: &Path, user: &str, certificates: &Certificates) -> Result<()> {
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": {
            "server": format!("https://{}:6443", CONTROL.v4),
            "certificate-authority": certificates.authority,
        }}],
        "users": [{"name": user, "user": {"token": user}}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": user}}],
        "current-context": "e2e",
    });
    let path = kubeconfig(directory, user);
    std::fs::write(&path, format!("{config:#}"))
        .with_context(|| format!("write {}", path.display()))
}

/// A program of Kubernetes that `make` built.
///
/// # Errors
/// If it isn't there.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = target_directory().join("controlplane").join(name);
    match path.is_file() {
        true => Ok(path),
        false => bail!(
            "{} is missing: `make e2e` and `make conformance` build it",
            path.display()
        ),
    }
}

fn start_etcd(namespace: &Namespace, directory: &Path) -> Result<Process> {
    let mut command = namespace.command("etcd");
    command
        .arg("--data-dir")
        .arg(directory.join("etcd"))
        .args(["--listen-client-urls", "http://127.0.0.1:2379"])
        .args(["--advertise-client-urls", "http://127.0.0.1:2379"])
        .args(["--listen-peer-urls", "http://127.0.0.1:2380"])
        // Nothing here outlives the run.
        .args(["--unsafe-no-fsync", "--log-level", "warn"]);
    Process::start("etcd", &mut command, &directory.join("etcd.log"))
}

fn start_api_server(
    namespace: &Namespace,
    directory: &Path,
    certificates: &Certificates,
) -> Result<Process> {
    let mut command = namespace.command(program("kube-apiserver")?);
    command
        .args(["--etcd-servers", "http://127.0.0.1:2379"])
        .args(["--bind-address", "0.0.0.0", "--secure-port", "6443"])
        .args(["--advertise-address", &CONTROL.v4.to_string()])
        .args(["--service-cluster-ip-range", SERVICE_CIDR])
        .args(["--authorization-mode", "RBAC"])
        // As in any cluster whose nodes run agents.
        .arg("--allow-privileged=true")
        // Pods here run no container that would need a token.
        .args(["--disable-admission-plugins", "ServiceAccount"])
        .args(["--service-account-issuer", "https://kubernetes.default.svc"])
        .arg("--token-auth-file")
        .arg(directory.join("tokens.csv"))
        .arg("--client-ca-file")
        .arg(&certificates.authority)
        .arg("--tls-cert-file")
        .arg(&certificates.server)
        .arg("--tls-private-key-file")
        .arg(&certificates.server_key)
        .arg("--service-account-signing-key-file")
        .arg(&certificates.accounts_key)
        .arg("--service-account-key-file")
        .arg(&certificates.accounts_public);
    Process::start(
        "kube-apiserver",
        &mut command,
        &directory.join("kube-apiserver.log"),
    )
}

fn start_manager(
    namespace: &Namespace,
    directory: &Path,
    certificates: &Certificates,
    controllers: &str,
) -> Result<Process> {
    let mut command = namespace.command(program("kube-controller-manager")?);
    command
        .arg("--kubeconfig")
        .arg(kubeconfig(directory, "system:kube-controller-manager"))
        .args(["--controllers", controllers])
        // As in a real cluster: every controller by its own account's rights.
        .arg("--use-service-account-credentials=true")
        .arg("--service-account-private-key-file")
        .arg(&certificates.accounts_key)
        .args(["--leader-elect=false", "--bind-address", "127.0.0.1"]);
    let log = directory.join("kube-controller-manager.log");
    Process::start("kube-controller-manager", &mut command, &log)
}

fn await_ready(api: &Api, process: &mut Process) -> Result<()> {
    let mut ended = None;
    wait::until("the API server", LIMIT, || {
        if let Err(error) = process.check() {
            ended = Some(error);
            return Ok(());
        }
        // Its own Service and namespace come a moment after it calls itself ready.
        api.get("/readyz?verbose")?;
        api.get("/api/v1/namespaces/default/services/kubernetes")?;
        Ok(())
    })?;
    ended.map_or(Ok(()), Err)
}
