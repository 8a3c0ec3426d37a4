//! Two equal nodes with pods, one for each proxy, and one API server.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use e2e::address::CONTROL;
use e2e::cleanup::ScratchDir;
use e2e::controlplane::{Api, ControlPlane, kubeconfig, program};
use e2e::{Answers, Bed, Namespace, Pod, Server, ip, manifest, veth};

/// Whose kube-proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Upstream,
    Ours,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Upstream, Self::Ours];

    /// Its program.
    pub(crate) fn program(self) -> Result<PathBuf> {
        match self {
            Self::Upstream => program("kube-proxy"),
            Self::Ours => e2e::binary(),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upstream => "upstream",
            Self::Ours => "ours",
        })
    }
}

/// One proxy's node. Declared in the order in which it has to go.
pub(crate) struct Place {
    pods: Vec<Pod>,
    pub(crate) bed: Bed,
}

impl Place {
    /// The node that the proxy runs on.
    pub(crate) fn node(&self) -> &Namespace {
        self.bed.nodes()[0].namespace()
    }

    /// A pod that is no endpoint.
    pub(crate) fn client_pod(&self) -> &Namespace {
        self.pods[2].namespace()
    }

    /// Lets the first pod answer on connections that last.
    pub(crate) fn serve(&self, port: u16) -> Result<Server> {
        let pod = &self.pods[0];
        Server::start(pod.namespace(), pod.name(), port, Answers::Client)
    }

    /// The name of the n-th endpoint's pod.
    pub(crate) fn pod(&self, number: usize) -> &str {
        self.pods[number].name()
    }
}

/// All that one size needs. Declared in the order in which it has to go.
pub(crate) struct Rig {
    places: [Place; 2],
    pub(crate) api: Api,
    _plane: ControlPlane,
    _control: Namespace,
    directory: ScratchDir,
}

impl Rig {
    pub(crate) fn start() -> Result<Self> {
        let directory = ScratchDir::create("bench")?;
        let control = Namespace::create("control")?;
        ip(&control, &format!("address add {}/32 dev lo", CONTROL.v4))?;
        let places = [place(&control, 1)?, place(&control, 2)?];
        let (plane, api) = ControlPlane::start(&control, directory.path(), None)?;
        api.post_node(&manifest::node(&places[0].bed.nodes()[0]))?;
        Ok(Self {
            places,
            api,
            _plane: plane,
            _control: control,
            directory,
        })
    }

    /// Where `side`'s proxy runs.
    pub(crate) fn place(&self, side: Side) -> &Place {
        match side {
            Side::Upstream => &self.places[0],
            Side::Ours => &self.places[1],
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        kubeconfig(self.directory(), "system:kube-proxy")
    }
}

/// A bed with three pods, joined to the API server by a link that nothing else uses.
fn place(control: &Namespace, number: u8) -> Result<Place> {
    let bed = Bed::build(1)?;
    let node = &bed.nodes()[0];
    let link = format!("bed{number}");
    veth((control, &link), (node.namespace(), "api"))?;
    ip(
        control,
        &format!("address add 169.254.{number}.1/30 dev {link}"),
    )?;
    ip(
        node.namespace(),
        &format!(
            "address add 169.254.{number}.2/30 dev api\nroute add {}/32 via 169.254.{number}.1",
            CONTROL.v4
        ),
    )?;
    let pods = ["pod-a", "pod-b", "client"];
    let pods = pods.iter().map(|name| node.pod(name));
    let pods = pods.collect::<Result<Vec<_>>>().context("pods")?;
    Ok(Place { pods, bed })
}
