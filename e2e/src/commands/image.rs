//! `make image`: the image is run as a DaemonSet would run it, on a node of the bed: with a
//! read-only root, the default seccomp profile and NET_ADMIN alone. Packets tell whether that is
//! enough; and each right that is missing has to be named.

mod emulated;
mod node;
mod rights;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::container::Engine;

use node::TestNode;

use crate::report::Cases;

/// All that the image holds.
const FILES: [&str; 4] = [
    "etc/ssl/certs/ca-certificates.crt",
    "licenses/LICENSE",
    "licenses/THIRD-PARTY",
    "usr/local/bin/kube-proxy",
];

/// Run the image as a DaemonSet would, with no more rights than it needs
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The image as an OCI archive
    archive: PathBuf,
    /// The binary in it
    binary: PathBuf,
    /// Binaries for other architectures
    foreign: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let mut cases = Cases::new();
    let mut node = TestNode::build()?;
    if !args.foreign.is_empty() {
        cases.group("other architectures, emulated: the same rules", |cases| {
            for foreign in &args.foreign {
                let name = foreign.display().to_string();
                cases.case(&name, || {
                    emulated::renders_the_same(&node, &args.binary, foreign)
                });
            }
        });
    }
    let engine = Engine::load(&args.archive)?;
    cases.group("the image", |cases| {
        cases.case("files", || {
            let files = engine.files()?;
            ensure!(files == FILES, "it holds {files:?}");
            Ok(())
        });
        cases.case("its version needs no rights", || {
            rights::version(&engine, &node)
        });
    });
    cases.group("too few rights: one line says which", |cases| {
        lacks(cases, &engine, &node);
    });
    cases.group(
        "read-only root, default seccomp profile, NET_ADMIN alone",
        |cases| {
            serves(cases, &engine, &mut node);
        },
    );
    cases.group("mode iptables, with the same rights", |cases| {
        serves_iptables(cases, &engine, &node);
    });
    Ok(cases.end())
}

fn serves_iptables(cases: &mut Cases, engine: &Engine, node: &TestNode) {
    const MODE: &str = "--proxy-mode=iptables";
    cases.case(
        "node ports on 127.0.0.1 that cannot be had are named",
        || rights::route_localnet_does_not_fit(engine, node, MODE),
    );
    cases.case("--init-only with full rights lets them be had", || {
        rights::init_iptables(engine, node, MODE)
    });
    let container = cases.case("start", || {
        // Left unset, they are warned of, as upstream has it.
        let addresses = "--nodeport-addresses=0.0.0.0/0,::/0";
        engine.start(node.namespace(), &node.daemon(&[MODE, addresses]))
    });
    let Some(container) = container else { return };
    cases.case("iptables-save has the Service", || node.has_chains());
    cases.case("TCP and UDP to the cluster IPs, from node and pod", || {
        node.is_served_by("b")
    });
    cases.case("nothing was refused", || nothing_refused(&container.log()?));
    cases.case("SIGTERM: code 0, the rules stay", || {
        let (code, _) = container.terminate(Duration::from_secs(5))?;
        ensure!(code == 0, "code {code}");
        node.is_served_by("b")
    });
    cases.case("--cleanup with the same rights", || {
        rights::cleanup(engine, node)
    });
}

fn lacks(cases: &mut Cases, engine: &Engine, node: &TestNode) {
    cases.case("without NET_ADMIN", || rights::no_net_admin(engine, node));
    cases.case("read-only sysctls that don't fit", || {
        rights::sysctls_do_not_fit(engine, node)
    });
    cases.case("--init-only with full rights sets them", || {
        rights::init(engine, node)
    });
}

fn serves(cases: &mut Cases, engine: &Engine, node: &mut TestNode) {
    cases.case("no cluster IP answers yet", || node.is_not_served());
    cases.case(
        "a kubeconfig without authorities: the image's are used",
        || rights::system_authorities(engine, node),
    );
    let container = cases.case("start", || {
        engine.start(node.namespace(), &node.daemon(&[]))
    });
    let Some(container) = container else { return };
    cases.case("/healthz and /livez answer 200", || {
        node.wait_healthy()
            .map_err(|error| match container.check() {
                Err(ended) => ended,
                Ok(()) => error,
            })
    });
    cases.case("nft lists the Service", || node.has_rules());
    cases.case("TCP and UDP to the cluster IPs, from node and pod", || {
        node.is_served_by("a")
    });
    cases.case("the process has what it was given and no more", || {
        rights::of_process(container.pid())
    });
    cases.case("an endpoint is replaced, UDP flows go with it", || {
        node.replaces_endpoint()
    });
    cases.case("nothing was refused", || nothing_refused(&container.log()?));
    cases.case("SIGTERM: code 0 within a second, the rules stay", || {
        let (code, took) = container.terminate(Duration::from_secs(5))?;
        ensure!(code == 0, "code {code}");
        ensure!(took < Duration::from_secs(1), "after {took:?}");
        node.is_served_by("b")
    });
    cases.case("--cleanup with the same rights", || {
        rights::cleanup(engine, node)
    });
}

fn nothing_refused(log: &str) -> Result<()> {
    ensure!(!log.is_empty(), "there is no log");
    let words = ["denied", "not permitted", "ead-only", "ERROR"];
    let refused = |line: &&str| words.iter().any(|word| line.contains(word));
    let line = log.lines().find(refused);
    ensure!(line.is_none(), "{line:?}");
    Ok(())
}
