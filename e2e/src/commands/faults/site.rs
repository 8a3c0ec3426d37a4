//! One node under test, with pods on it and beside it, clients, a fake API server and the daemon.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use e2e::address::CONTROL;
use e2e::cleanup::ScratchDir;
use e2e::client::{Outcome, dial};
use e2e::fakeapi::{self, FakeApi};
use e2e::{Answers, Bed, Namespace, Node, Pod, Server, manifest, wait};
use serde_json::Value;

use crate::faults::chains;
use crate::faults::objects::{self, NEW, STEADY_PORT, Service};
use crate::faults::plan::{self, Parts};
use crate::faults::proxy::{Launch, Proxy};
use crate::faults::traffic::Traffic;
use crate::mode::Mode;
use crate::report::Kept;

/// Markers in turn: enough that one is long gone when its number comes again.
const MARKERS: u8 = 200;

/// Declared in the order in which it has to go.
pub(crate) struct Site {
    pub(crate) proxy: Option<Proxy>,
    /// The mode in which the daemon runs.
    pub(crate) mode: Mode,
    pub(crate) launch: Launch,
    next_marker: u8,
    marker: Vec<Value>,
    _steady: Vec<Server>,
    /// Two of `calm`, two of `busy`; the first of each on the node.
    pub(crate) pods: Vec<Pod>,
    /// The pod that asks.
    pub(crate) asker: Pod,
    pub(crate) api: FakeApi,
    /// Where the table is made that should be there.
    scratch: Namespace,
    pub(crate) bed: Bed,
    pub(crate) directory: ScratchDir,
}

impl Site {
    /// Builds all of it and waits until the daemon has programmed the Services.
    pub(crate) fn build(number: usize, mode: Mode) -> Result<Self> {
        let directory = ScratchDir::create(&format!("faults-{number}"))?;
        let bed = Bed::build(2)?;
        let [first, second] = bed.nodes() else {
            bail!("two nodes were asked for");
        };
        let asker = first.pod("asker")?;
        let pods = vec![
            first.pod("calm-1")?,
            second.pod("calm-2")?,
            first.pod("busy-1")?,
            second.pod("busy-2")?,
        ];
        let steady = pods
            .iter()
            .map(|pod| Server::start(pod.namespace(), pod.name(), STEADY_PORT, Answers::Line))
            .collect::<Result<_>>()?;
        let api = FakeApi::start(bed.control(), directory.path())?;
        let launch = Launch {
            mode,
            kubeconfig: api.kubeconfig("usual", &server(), None)?,
            ..Launch::default()
        };
        let scratch = Namespace::create("scratch")?;
        if mode == Mode::Iptables {
            chains::prepare(&scratch)?;
        }
        let mut site = Self {
            proxy: None,
            mode,
            launch,
            next_marker: 0,
            marker: Vec::new(),
            _steady: steady,
            pods,
            asker,
            api,
            scratch,
            bed,
            directory,
        };
        let nodes = site.bed.nodes().iter().map(manifest::node);
        site.api.put_all(nodes);
        site.api.put(manifest::service_cidr());
        site.api.put_all(Service::ALL.map(Service::object));
        site.api
            .put_all(Service::Calm.slices(&[&site.pods[0], &site.pods[1]]));
        site.busy(1);
        site.start()?;
        site.follows(Duration::from_secs(20))?;
        Ok(site)
    }

    /// The node under test.
    pub(crate) fn node(&self) -> &Node {
        &self.bed.nodes()[0]
    }

    /// Makes this many pods the endpoints of `busy`: 1 or 2, the first one stays.
    pub(crate) fn busy(&self, pods: usize) {
        let all = [&self.pods[2], &self.pods[3]];
        self.api.put_all(Service::Busy.slices(&all[..pods]));
    }

    /// Starts the daemon as `launch` says.
    pub(crate) fn start(&mut self) -> Result<()> {
        let proxy = Proxy::start(self.node(), &self.launch, self.directory.path())?;
        self.proxy = Some(proxy);
        Ok(())
    }

    /// The daemon.
    pub(crate) fn proxy(&mut self) -> Result<&mut Proxy> {
        match &mut self.proxy {
            Some(proxy) => Ok(proxy),
            None => bail!("no daemon runs"),
        }
    }

    /// Ends the daemon in order and starts another one that is launched like this.
    pub(crate) fn relaunch(&mut self, launch: Launch) -> Result<()> {
        if let Some(proxy) = self.proxy.take() {
            proxy.terminate()?;
        }
        self.launch = launch;
        self.start()
    }

    /// How it is launched usually.
    pub(crate) fn usual(&self) -> Launch {
        Launch {
            mode: self.mode,
            kubeconfig: self.directory.path().join("usual.kubeconfig"),
            ..Launch::default()
        }
    }

    /// Creates a Service and waits until its pod answers in both families; how long that took.
    ///
    /// # Errors
    /// If it takes longer than `limit`, or the daemon ends meanwhile.
    pub(crate) fn follows(&mut self, limit: Duration) -> Result<Duration> {
        let marker = self.mark();
        self.awaits(marker, limit)
    }

    /// Creates a Service that is awaited later; the one before it is deleted.
    pub(crate) fn mark(&mut self) -> (u8, Instant) {
        let number = self.next_marker;
        self.next_marker = (number + 1) % MARKERS;
        let objects = objects::marker(number, &self.pods[2]);
        for object in std::mem::replace(&mut self.marker, objects.clone()) {
            self.api.delete(&object);
        }
        self.api.put_all(objects);
        (number, Instant::now())
    }

    /// Waits for what [`Site::mark`] made.
    ///
    /// # Errors
    /// As [`Site::follows`].
    pub(crate) fn awaits(
        &mut self,
        (number, since): (u8, Instant),
        limit: Duration,
    ) -> Result<Duration> {
        for target in objects::marker_ips(number).both() {
            let target = SocketAddr::new(target, NEW);
            loop {
                // Refused at once as long as nobody serves it.
                let patience = Duration::from_millis(400);
                match self.asker.namespace().run(|| dial(target, patience))? {
                    Outcome::Answered(_) => break,
                    other if since.elapsed() > limit => {
                        bail!("a new Service: {other} after {limit:.0?}")
                    }
                    _ => std::thread::sleep(Duration::from_millis(15)),
                }
                if let Some(proxy) = &mut self.proxy {
                    proxy.check()?;
                }
            }
        }
        let took = since.elapsed();
        if let Some(proxy) = &mut self.proxy {
            proxy.check()?;
        }
        Ok(took)
    }

    /// Clients of all Services, each of which was answered.
    pub(crate) fn traffic(&self) -> Result<Traffic> {
        Traffic::start(
            self.asker.namespace(),
            self.bed.client(),
            self.node().addresses(),
        )
    }

    /// The tables as the kernel has them.
    pub(crate) fn listed(&self) -> Result<[Parts; 2]> {
        let node = self.node().namespace();
        match self.mode {
            Mode::Nftables => plan::listed(node),
            Mode::Iptables => chains::listed(node),
        }
    }

    /// The tables as they should be by the objects of the API server.
    pub(crate) fn expected(&self) -> Result<[Parts; 2]> {
        let objects = self.api.objects();
        let expected = match self.mode {
            Mode::Nftables => plan::expected,
            Mode::Iptables => chains::expected,
        };
        expected(self.node(), &objects, &self.scratch, self.directory.path())
    }

    /// Waits until the kernel has what a fresh plan of the API server's objects makes; how long
    /// that took.
    ///
    /// # Errors
    /// If it has not within `limit`: the first differences.
    pub(crate) fn awaits_plan(&self, limit: Duration) -> Result<Duration> {
        let expected = self.expected()?;
        self.awaits_tables(&expected, limit)
    }

    /// Waits until the kernel has these tables.
    ///
    /// # Errors
    /// As [`Site::awaits_plan`].
    pub(crate) fn awaits_tables(&self, expected: &[Parts; 2], limit: Duration) -> Result<Duration> {
        wait::until("the kernel's tables as planned", limit, || {
            let differences = plan::differences(&self.listed()?, expected);
            ensure!(differences.is_empty(), "{}", differences.join("; "));
            Ok(())
        })
    }

    /// Keeps the daemon's log and the rules below `target/faults/<name>`.
    pub(crate) fn save(&self, name: &str) {
        Kept::create("faults", name)
            .logs(self.directory.path())
            .rules(self.node().namespace(), "ruleset")
            .objects(&self.api.objects(), "objects")
            .objects(&self.api.events(), "events");
    }
}

/// The API server's usual place.
pub(crate) fn server() -> String {
    format!("{}:{}", CONTROL.v4, fakeapi::PORT)
}
