//! What the container may do, and what it says where that is too little.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::container::{Ended, Engine, Spec};
use e2e::wait;
use serde_json::json;

use crate::image::node::{TestNode, least};

/// Values of upstream's defaults, which differ from the kernel's in a new namespace.
const TIMEOUTS: [(&str, &str); 2] = [
    ("nf_conntrack_tcp_timeout_established", "86400"),
    ("nf_conntrack_tcp_timeout_close_wait", "3600"),
];

pub(crate) fn version(engine: &Engine, node: &TestNode) -> Result<()> {
    let spec = Spec {
        // It asks for nothing.
        security: json!({"readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}}),
        command: vec!["--version".to_owned()],
        ..Spec::default()
    };
    let ended = engine.run(node.namespace(), &spec)?;
    ensure!(
        ended.code == 0 && ended.output.starts_with("Kubernetes v"),
        "{ended:?}"
    );
    Ok(())
}

pub(crate) fn no_net_admin(engine: &Engine, node: &TestNode) -> Result<()> {
    let mut spec = node.daemon(&[]);
    spec.security["capabilities"] = json!({"drop": ["ALL"]});
    fails_with(
        &engine.run(node.namespace(), &spec)?,
        &["capability NET_ADMIN"],
    )
}

pub(crate) fn sysctls_do_not_fit(engine: &Engine, node: &TestNode) -> Result<()> {
    let [(name, wanted), _] = TIMEOUTS;
    node.namespace()
        .exec(&["sysctl", "-qw", &format!("net.netfilter.{name}=77777")])?;
    let says = [
        &format!("/proc/sys/net/netfilter/{name} is 77777, should be {wanted}"),
        "Read-only file system",
        "--init-only with more rights",
        "a value of 0",
    ];
    fails_with(&engine.run(node.namespace(), &node.daemon(&[]))?, &says)
}

const ROUTE_LOCALNET: &str = "net.ipv4.conf.all.route_localnet";

pub(crate) fn route_localnet_does_not_fit(
    engine: &Engine,
    node: &TestNode,
    mode: &str,
) -> Result<()> {
    node.namespace()
        .exec(&["sysctl", "-qw", &format!("{ROUTE_LOCALNET}=0")])?;
    let says = [
        "/proc/sys/net/ipv4/conf/all/route_localnet is 0, should be 1",
        "Read-only file system",
        "--init-only with more rights",
        "localhostNodePorts: false",
    ];
    fails_with(&engine.run(node.namespace(), &node.daemon(&[mode]))?, &says)
}

/// As the chart's init container in mode iptables.
pub(crate) fn init_iptables(engine: &Engine, node: &TestNode, mode: &str) -> Result<()> {
    set_up(engine, node, &["--init-only", mode])?;
    let found = node.namespace().exec(&["sysctl", "-n", ROUTE_LOCALNET])?;
    ensure!(found.trim() == "1", "{ROUTE_LOCALNET} is {found}");
    Ok(())
}

fn set_up(engine: &Engine, node: &TestNode, flags: &[&str]) -> Result<()> {
    let mut spec = node.daemon(flags);
    spec.security = json!({"privileged": true, "readOnlyRootFilesystem": true});
    let ended = engine.run(node.namespace(), &spec)?;
    ensure!(ended.code == 0, "{ended:?}");
    Ok(())
}

/// As the chart's init container.
pub(crate) fn init(engine: &Engine, node: &TestNode) -> Result<()> {
    set_up(engine, node, &["--init-only"])?;
    for (name, wanted) in TIMEOUTS {
        let found = node
            .namespace()
            .exec(&["sysctl", "-n", &format!("net.netfilter.{name}")])?;
        ensure!(found.trim() == wanted, "{name} is {found}");
    }
    Ok(())
}

/// A server that isn't there is only asked for once there are authorities to judge it by. Its
/// name takes the C library's resolver, without the files that a distribution has for it.
pub(crate) fn system_authorities(engine: &Engine, node: &TestNode) -> Result<()> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://localhost:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    });
    let file = node.file("kubeconfig", &config.to_string())?;
    let spec = Spec {
        security: least(),
        command: [
            "--kubeconfig=/kubeconfig",
            "--hostname-override=node-1",
            "--proxy-mode=nftables",
            "--conntrack-max-per-core=0",
        ]
        .map(str::to_owned)
        .to_vec(),
        mounts: vec![(file.display().to_string(), "/kubeconfig".to_owned())],
        ..Spec::default()
    };
    let container = engine.start(node.namespace(), &spec)?;
    wait::until("an attempt to connect", Duration::from_secs(10), || {
        container.check()?;
        let log = container.log()?;
        ensure!(log.contains("Connection refused"), "{log}");
        Ok(())
    })
    .map(drop)
}

/// The tables go, and with them the Service.
pub(crate) fn cleanup(engine: &Engine, node: &TestNode) -> Result<()> {
    let spec = Spec {
        security: least(),
        command: vec!["--cleanup".to_owned()],
        ..Spec::default()
    };
    let ended = engine.run(node.namespace(), &spec)?;
    ensure!(ended.code == 0, "{ended:?}");
    let tables = node.namespace().exec(&["nft", "list", "tables"])?;
    ensure!(!tables.contains("kube-proxy"), "left: {tables}");
    let saved = node.namespace().exec(&["iptables-nft-save"])?;
    ensure!(!saved.contains("KUBE-SERVICES"), "left: {saved}");
    node.is_not_served()
}

/// One line on an error, with all of `says` in it, and code 1.
fn fails_with(ended: &Ended, says: &[&str]) -> Result<()> {
    let errors: Vec<_> = ended
        .output
        .lines()
        .filter(|line| line.contains("ERROR") || line.starts_with('E'))
        .collect();
    ensure!(ended.code == 1 && errors.len() == 1, "{ended:?}");
    for part in says {
        ensure!(errors[0].contains(part), "no {part:?} in {:?}", errors[0]);
    }
    Ok(())
}

/// NET_ADMIN is bit 12; 2 is a filter.
pub(crate) fn of_process(pid: i32) -> Result<()> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    for (field, wanted) in [
        ("CapEff", "0000000000001000"),
        ("CapBnd", "0000000000001000"),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
    ] {
        let mut lines = status.lines();
        let found = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let found = found.with_context(|| format!("no {field}"))?.trim();
        ensure!(found == wanted, "{field} is {found}, not {wanted}");
    }
    let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    for path in ["/", "/proc/sys"] {
        let options = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(4);
            (fields.next() == Some(path)).then(|| fields.next())?
        });
        let options = options.with_context(|| format!("{path} is no mount"))?;
        ensure!(
            options.split(',').any(|option| option == "ro"),
            "{path} is mounted {options}"
        );
    }
    Ok(())
}
