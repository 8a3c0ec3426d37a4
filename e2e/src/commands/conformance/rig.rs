//! Two identical beds with one API server: node-1 of the first is upstream's, of the second ours.

mod cluster;
mod side;
pub(super) mod wiring;

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::Bed;
use e2e::cleanup::ScratchDir;
use e2e::controlplane::program;

use crate::conformance::args::Args;
use crate::conformance::spec::ZONES;
use crate::mode::Mode;
use crate::report::Kept;
pub(crate) use cluster::{CANARY, Cluster, control};
pub(crate) use side::{DETECTION, Side};

/// After the rules come health check ports and conntrack.
const AFTERMATH: Duration = Duration::from_millis(300);

/// All that a run needs. Declared in the order in which it has to go.
pub(crate) struct Rig {
    pub(crate) sides: [Side; 2],
    /// Upstream's and ours.
    pub(crate) programs: [PathBuf; 2],
    /// Both proxies'.
    pub(crate) mode: Mode,
    /// Whether `kube-proxy trace` is asked what becomes of packets.
    pub(crate) foretells: bool,
    cluster: Cluster,
    canaries: u16,
}

impl Deref for Rig {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Rig {
    /// Builds and starts everything, with another program in upstream's place if one is asked for.
    pub(crate) fn start(args: &Args) -> Result<Self> {
        let upstream = match &args.upstream {
            Some(path) => path.clone(),
            None => program("kube-proxy")?,
        };
        let programs = [upstream, e2e::binary()?];
        let directory = ScratchDir::create("conformance")?;
        let control = control()?;
        let beds = [Bed::build(2)?, Bed::build(2)?];
        for (bed, number) in beds.iter().zip(1..) {
            wiring::connect(bed, &control, number)?;
        }
        let cluster = Cluster::start(control, directory, beds[0].nodes())?;
        let [upstream, ours] = beds;
        let start = |name: &'static str, bed, program: &Path| {
            Side::start(name, bed, (program, args.mode), cluster.directory())
                .inspect_err(|_| drop(keep_logs(args.mode, &cluster.directory().join(name), name)))
        };
        Ok(Self {
            sides: [
                start("upstream", upstream, &programs[0])?,
                start("ours", ours, &programs[1])?,
            ],
            programs,
            mode: args.mode,
            foretells: !args.no_trace,
            cluster,
            canaries: 0,
        })
    }

    /// Starts both proxies again, with these flags beside those that a bed needs, and waits until
    /// they follow changes.
    pub(crate) fn restart(&mut self, flags: &[&str]) -> Result<()> {
        for (side, program) in self.sides.iter_mut().zip(&self.programs) {
            side.start_proxy(program, flags)
                .with_context(|| format!("start {} with {flags:?}", side.name))?;
        }
        self.settle()
    }

    /// Changes node-1's zone and changes it back. Upstream listens to an informer that runs already
    /// before it has anyone to tell: a process that starts may miss the label, and then has no zone
    /// until that changes.
    pub(crate) fn announce_zone(&mut self) -> Result<()> {
        self.settle()?;
        for zone in ["zone-to-be", ZONES[0]] {
            self.set_zone(Some(zone))?;
        }
        self.settle()
    }

    /// Waits until both proxies have programmed everything that was put before: a Service that
    /// is put last answers.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.await_canary()?;
        self.clear(CANARY)?;
        std::thread::sleep(AFTERMATH);
        Ok(())
    }

    /// Starts both anew on nodes without rules, and waits until all of them are there. What showed
    /// that stays: of more than 1,000 endpoints mode iptables keeps for half a minute what is gone.
    pub(crate) fn start_afresh(&mut self) -> Result<()> {
        self.clear(CANARY)?;
        for (side, program) in self.sides.iter_mut().zip(&self.programs) {
            side.stop_proxy();
            side.node().namespace().exec(&["nft", "flush", "ruleset"])?;
            side.start_proxy(program, &DETECTION)?;
        }
        self.await_canary()
    }

    /// Puts a Service and waits until it answers on both sides.
    fn await_canary(&mut self) -> Result<()> {
        self.canaries += 1;
        let (addresses, port) = self.put_canary(self.canaries)?;
        for side in &mut self.sides {
            for address in addresses {
                side.await_answer(SocketAddr::new(address, port))?;
            }
        }
        Ok(())
    }

    /// Keeps logs and rules below `target/conformance`.
    pub(crate) fn save_state(&self) {
        keep_logs(self.mode, self.directory(), "control");
        for side in &self.sides {
            keep_logs(self.mode, &self.directory().join(side.name), side.name)
                .rules(side.bed.nodes()[0].namespace(), "ruleset");
        }
    }
}

fn keep_logs(mode: Mode, from: &Path, name: &str) -> Kept {
    let kept = Kept::create(&mode.directory("conformance"), name);
    kept.logs(from);
    kept
}
