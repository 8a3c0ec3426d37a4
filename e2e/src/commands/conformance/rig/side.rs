//! One bed, and the proxy of its node-1.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::address::{CLIENT, CLUSTER_CIDR, ECHO_PORT, Pair};
use e2e::controlplane::kubeconfig;
use e2e::probe::{Protocol, Reply, probe};
use e2e::sctp::SctpEcho;
use e2e::{Answers, Bed, CONNTRACK_FLAGS, Daemon, Namespace, Node, Pod, Server, flows, wait};
use ipnet::IpNet;

use super::wiring;
use crate::conformance::case::Source;
use crate::conformance::spec::{CHAT_PORT, PODS, RANGES, SECOND_PORT, pod_addresses};
use crate::mode::Mode;

/// How long both proxies may take to program a change, beside a build.
const LIMIT: Duration = Duration::from_secs(30);
/// How proxies recognise pods unless a test is about that.
pub(crate) const DETECTION: [&str; 2] = ["--cluster-cidr", CLUSTER_CIDR];

/// One bed, and the proxy of its node-1.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    mode: Mode,
    proxy: Option<Daemon>,
    config: PathBuf,
    logs: PathBuf,
    // Servers before the pods in which they run.
    _servers: Vec<Server>,
    _sctp: Vec<SctpEcho>,
    endpoints: Vec<Pod>,
    client_pod: Pod,
    pub(super) bed: Bed,
}

impl Side {
    pub(super) fn start(
        name: &'static str,
        bed: Bed,
        (program, mode): (&Path, Mode),
        directory: &Path,
    ) -> Result<Self> {
        let logs = directory.join(name);
        std::fs::create_dir_all(&logs)?;
        let node = |number: u8| &bed.nodes()[usize::from(number - 1)];
        let endpoints = PODS
            .iter()
            .map(|(name, number)| node(*number).pod(name))
            .collect::<Result<Vec<_>>>()?;
        let mut servers = Vec::new();
        let mut sctp = Vec::new();
        for (index, pod) in endpoints.iter().enumerate() {
            if pod.addresses() != pod_addresses(index) {
                bail!("{} has other addresses than planned", pod.name());
            }
            let second = format!("{}:{SECOND_PORT}", pod.name());
            for (name, port, answers) in [
                (second.as_str(), SECOND_PORT, Answers::Once),
                (pod.name(), CHAT_PORT, Answers::Client),
            ] {
                servers.push(Server::start(pod.namespace(), name, port, answers)?);
            }
            sctp.push(SctpEcho::start(pod.namespace(), pod.name(), ECHO_PORT)?);
        }
        let client_pod = node(1).pod("client")?;
        wiring::route(&bed)?;
        wiring::second_addresses(&bed)?;
        for (pod, number, ranges) in [(0, 1, RANGES[0]), (2, 2, RANGES[1])] {
            wiring::range(&bed, node(number), &endpoints[pod], ranges)?;
        }
        // A sequence's flows shall last from step to step, however busy the machine.
        node(1).namespace().sysctls(&[
            ("net/netfilter/nf_conntrack_udp_timeout", "120"),
            ("net/netfilter/nf_conntrack_udp_timeout_stream", "300"),
        ])?;
        let mut side = Self {
            name,
            mode,
            proxy: None,
            config: kubeconfig(directory, "system:kube-proxy"),
            logs,
            _servers: servers,
            _sctp: sctp,
            endpoints,
            client_pod,
            bed,
        };
        side.start_proxy(program, &DETECTION)?;
        Ok(side)
    }

    /// Starts this program in the place of the one that ran, with these flags beside those that
    /// a bed needs.
    pub(crate) fn start_proxy(&mut self, program: &Path, flags: &[&str]) -> Result<()> {
        self.stop_proxy();
        let config = self.config.to_str();
        let config = config.context("directory name is not UTF-8")?;
        let mut all = vec!["--kubeconfig", config];
        all.extend(self.mode.flags());
        all.extend(CONNTRACK_FLAGS);
        all.extend(flags);
        let node = &self.bed.nodes()[0];
        let proxy = Daemon::start_program(program, node, &all, &self.logs)?;
        self.proxy.insert(proxy).wait_live(node)
    }

    /// Stops the proxy; its rules stay.
    pub(crate) fn stop_proxy(&mut self) {
        self.proxy = None;
    }

    /// Puts node-1's pods on a bridge, or back on links of their own.
    pub(crate) fn bridge_pods(&self, on: bool) -> Result<()> {
        let node = self.node();
        let pods = self.endpoints.iter().chain([&self.client_pod]);
        let on_node: Vec<_> = pods.filter(|pod| pod.node() == node.name()).collect();
        wiring::bridge(node, &on_node, on)?;
        // The kernel drops a masqueraded flow that leaves by another interface than before, and in
        // a long run probes come round to the source ports of earlier ones.
        flows::flush(node.namespace())
    }

    /// The node under test.
    pub(crate) fn node(&self) -> &Node {
        &self.bed.nodes()[0]
    }

    /// The addresses from which a source sends.
    pub(crate) fn addresses(&self, source: Source) -> Pair {
        match source {
            Source::Pod => self.client_pod.addresses(),
            Source::Node => self.bed.nodes()[0].addresses(),
            Source::OtherNode => self.bed.nodes()[1].addresses(),
            Source::Outside => CLIENT,
            Source::Endpoint => self.endpoints[0].addresses(),
        }
    }

    /// The pod that may be an endpoint and has this address, or answers for it besides.
    pub(crate) fn pod_of(&self, address: IpAddr) -> Option<String> {
        let own = |pod: &&Pod| pod.addresses().contains(address);
        let ranges = [(0, RANGES[0]), (2, RANGES[1])];
        let in_range = |range: &str| range.parse().is_ok_and(|own: IpNet| own.contains(&address));
        let by_range = || {
            ranges
                .iter()
                .find(|(_, own)| own.iter().any(|own| in_range(own)))
        };
        let pod = self.endpoints.iter().find(own);
        let pod = pod.or_else(|| self.endpoints.get(by_range()?.0));
        pod.map(|pod| pod.name().to_owned())
    }

    pub(crate) fn namespace(&self, source: Source) -> &Namespace {
        match source {
            Source::Pod => self.client_pod.namespace(),
            Source::Node => self.bed.nodes()[0].namespace(),
            Source::OtherNode => self.bed.nodes()[1].namespace(),
            Source::Outside => self.bed.client(),
            Source::Endpoint => self.endpoints[0].namespace(),
        }
    }

    pub(super) fn await_answer(&mut self, canary: SocketAddr) -> Result<()> {
        let (proxy, node) = (&mut self.proxy, self.bed.nodes()[0].namespace());
        let what = format!("{} programs {canary}", self.name);
        let mut seen = BTreeSet::new();
        wait::until(&what, LIMIT, || {
            proxy.as_mut().map_or(Ok(()), Daemon::check)?;
            match node.run(|| probe(Protocol::Tcp, canary, Duration::from_millis(400)))? {
                Reply::Answer(_) => Ok(()),
                other => {
                    seen.insert(other.to_string());
                    bail!("{seen:?}")
                }
            }
        })
        .map(drop)
    }
}
