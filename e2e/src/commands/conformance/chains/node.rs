//! Upstream's node, the API server that it follows, and namespaces for what ours renders.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::address::CLUSTER_CIDR;
use e2e::cleanup::ScratchDir;
use e2e::controlplane::{kubeconfig, program};
use e2e::{Bed, CONNTRACK_FLAGS, Daemon, Namespace, nfacct, wait};
use serde_json::json;

use crate::compare::difference::ensure_same;
use crate::conformance::rig::{CANARY, Cluster, control, wiring};
use crate::conformance::spec::{Family, SECOND_ADDRESSES, ZONES};
use crate::conformance::texts::save;
use crate::report::Kept;
use crate::saved::normalised;

/// How long upstream may take for a change, beside a build.
const LIMIT: Duration = Duration::from_secs(20);

/// Lines of a difference that are shown.
const SHOWN: usize = 20;

/// Declared in the order in which it has to go.
pub(super) struct Rig {
    upstream: Option<Daemon>,
    /// What both are told, beside who they are and where the API server is.
    flags: Vec<String>,
    ours: PathBuf,
    bed: Bed,
    pub(super) cluster: Cluster,
    canaries: u16,
}

impl Rig {
    pub(super) fn start() -> Result<Self> {
        let ours = e2e::binary()?;
        let directory = ScratchDir::create("iptables")?;
        let control = control()?;
        let bed = Bed::build(1)?;
        wiring::connect(&bed, &control, 1)?;
        wiring::second_addresses(&bed)?;
        let cluster = Cluster::start(control, directory, bed.nodes())?;
        // Ours knows a node's addresses by its object.
        let first = bed.nodes()[0].addresses().both();
        let addresses = first.into_iter().chain(SECOND_ADDRESSES.both());
        let addresses = addresses.map(|own| json!({"type": "InternalIP", "address": own}));
        let status = json!({"status": {"addresses": addresses.collect::<Vec<_>>()}});
        cluster.api.patch("/api/v1/nodes/node-1/status", &status)?;
        Ok(Self {
            upstream: None,
            flags: Vec::new(),
            ours,
            bed,
            cluster,
            canaries: 0,
        })
    }

    /// Starts upstream on a node without rules, with these flags for both.
    pub(super) fn restart(&mut self, flags: &[&str]) -> Result<()> {
        self.upstream = None;
        // With more than 1,000 endpoints upstream keeps chains of what is gone for half a minute.
        self.cluster.clear(CANARY)?;
        let node = &self.bed.nodes()[0];
        node.namespace().exec(&["nft", "flush", "ruleset"])?;
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let config = self.kubeconfig();
        let mut all = vec!["--kubeconfig", &config, "--proxy-mode", "iptables"];
        all.extend(["--iptables-min-sync-period", "20ms"]);
        all.extend(CONNTRACK_FLAGS);
        all.extend(flags);
        let logs = self.cluster.directory();
        let upstream = Daemon::start_program(&program("kube-proxy")?, node, &all, logs)?;
        self.upstream.insert(upstream).wait_live(node)
    }

    /// Changes the node's zone and changes it back, which upstream may have missed when it started.
    pub(super) fn announce_zone(&mut self) -> Result<()> {
        for zone in ["zone-to-be", ZONES[0]] {
            self.cluster.set_zone(Some(zone))?;
        }
        Ok(())
    }

    /// That upstream comes to what ours makes of the same objects. A Service that is put now is a
    /// part of it, so that a text from before is not taken for the one to come.
    pub(super) fn compare(&mut self, name: &str) -> Result<()> {
        self.cluster.clear(CANARY)?;
        self.canaries += 1;
        self.cluster.put_canary(self.canaries)?;
        for family in Family::BOTH {
            let ours = self.rendered(family)?;
            let (node, upstream) = (self.bed.nodes()[0].namespace(), &mut self.upstream);
            let mut last = String::new();
            let result = wait::until("upstream's chains", LIMIT, || {
                upstream.as_mut().map_or(Ok(()), Daemon::check)?;
                last = normalised(&node.exec(&[save(family)])?);
                ensure_same(&last, &ours)
            });
            if let Err(error) = result {
                let kept = Kept::create("compare-iptables", name);
                for (side, text) in [("upstream", &last), ("ours", &ours)] {
                    let file = format!("{}.{side}", save(family));
                    std::fs::write(kept.path().join(file), text).ok();
                }
                let text = format!("{error:#}");
                let lines: Vec<_> = text.lines().take(SHOWN).collect();
                bail!(
                    "{}, whole in {}: {}",
                    save(family),
                    kept.path().display(),
                    lines.join("\n")
                );
            }
        }
        Ok(())
    }

    /// What the kernel has of what ours renders.
    fn rendered(&self, family: Family) -> Result<String> {
        let config = self.kubeconfig();
        let (restore, name) = match family {
            Family::V4 => ("iptables-restore", "ipv4"),
            Family::V6 => ("ip6tables-restore", "ipv6"),
        };
        let ours = self.ours.to_str().context("the program's path")?;
        let mut words = vec![ours, "render", "--family", name, "--kubeconfig", &config];
        words.extend(["--hostname-override", "node-1", "--proxy-mode", "iptables"]);
        words.extend(self.flags.iter().map(String::as_str));
        let text = self.cluster.control().exec(&words)?;
        let place = Namespace::create("ours")?;
        for counter in [
            "ct_state_invalid_dropped_pkts",
            "localhost_nps_accepted_pkts",
        ] {
            nfacct::add(&place, counter)?;
        }
        place.pipe(&[restore, "--noflush"], &text)?;
        let saved = normalised(&place.exec(&[save(family)])?);
        if !saved.contains("KUBE-SERVICES") {
            bail!("nothing came of what was rendered:\n{text}");
        }
        Ok(saved)
    }

    /// A configuration file such as kubeadm's, which names the mode, for a kernel whose conntrack
    /// is to be liberal; returns the flag for it.
    pub(super) fn configuration(&self) -> Result<String> {
        let config = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": CLUSTER_CIDR,
            "clientConnection": {"kubeconfig": self.kubeconfig()},
            "conntrack": {
                "maxPerCore": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
                "tcpBeLiberal": true,
            },
            "iptables": {"minSyncPeriod": "20ms", "masqueradeBit": 14},
        });
        let path = self.cluster.directory().join("config.yaml");
        std::fs::write(&path, config.to_string()).context("write a configuration")?;
        Ok(format!("--config={}", path.display()))
    }

    /// What only such a kernel is set to.
    pub(super) fn set_strict(&self) -> Result<()> {
        let node = self.bed.nodes()[0].namespace();
        node.sysctls(&[("net/netfilter/nf_conntrack_tcp_be_liberal", "0")])
    }

    fn kubeconfig(&self) -> String {
        let path = kubeconfig(self.cluster.directory(), "system:kube-proxy");
        path.to_string_lossy().into_owned()
    }

    /// Keeps the logs below `target/compare-iptables`.
    pub(super) fn save_state(&self) {
        Kept::create("compare-iptables", "logs").logs(self.cluster.directory());
    }
}
