//! The thread that looks when metrics are asked for.

use super::owners::{Question, ask};
use super::{Shared, Tables};
use crate::metrics::{CountMetrics, Metrics};
use crate::netlink::Flows;
use crate::settings::ServiceMetrics;
use rules::model::{Family, Frontend};
use rules::series::{Open, Services};
use std::collections::HashSet;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, RuntimeFlavor};

/// Two looks are at least so far apart.
const PAUSE: Duration = Duration::from_secs(2);
/// Whoever asks for metrics waits for a look no longer than that, and gets what was seen last.
const PATIENCE: Duration = Duration::from_millis(500);
/// To list all flows is work by their number. It takes this part of one processor's time at the
/// most.
const FLOWS_SHARE: u32 = 50;

/// Starts the thread, which looks from now on whenever metrics are asked for; it ends with the
/// process. It reads the calling thread's network namespace.
///
/// # Errors
/// There is no netlink socket, or no thread, to be had, or `metrics` are not those of mode nftables.
pub(crate) fn start(
    settings: ServiceMetrics,
    families: &[Family],
    metrics: &Metrics,
    questions: tokio::sync::mpsc::Sender<Question>,
) -> io::Result<Shared> {
    let no_counts = || io::Error::other("rules of this mode count nothing");
    let counts = metrics.counts().ok_or_else(no_counts)?;
    for family in families {
        counts.begin(*family);
    }
    let tables = Tables::open(families, counts.clone())?;
    let tables: Shared = Arc::new(Mutex::new(tables));
    let mut looker = Looker {
        settings,
        tables: tables.clone(),
        flows: settings.enabled.then(Flows::open).transpose()?,
        flows_after: Instant::now(),
        services: Services::default(),
        questions,
        metrics: counts.clone(),
        failing: false,
    };
    // One that waits for the look of another is told with it.
    let (asking, asked) = mpsc::sync_channel(8);
    let thread = std::thread::Builder::new().name("counts".to_owned());
    thread.spawn(move || looker.serve(&asked))?;
    metrics.before_scrapes(move || wait_for_look(&asking));
    Ok(tables)
}

/// Has the thread look, and waits for it a little while.
fn wait_for_look(asking: &SyncSender<SyncSender<()>>) {
    let (done, finished) = mpsc::sync_channel(1);
    if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = asking.try_send(done) {
        return;
    }
    let wait = || match finished.recv_timeout(PATIENCE) {
        Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
    };
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        // The sync loop is on this thread and has to answer.
        Ok(_) => {}
        Err(_) => wait(),
    }
}

struct Looker {
    settings: ServiceMetrics,
    tables: Shared,
    flows: Option<Flows>,
    flows_after: Instant,
    services: Services,
    questions: tokio::sync::mpsc::Sender<Question>,
    metrics: CountMetrics,
    /// The last look failed, which the log knows.
    failing: bool,
}

impl Looker {
    fn serve(&mut self, asked: &Receiver<SyncSender<()>>) {
        let mut last: Option<Instant> = None;
        while let Ok(done) = asked.recv() {
            if last.is_none_or(|last| last.elapsed() >= PAUSE) {
                match self.look() {
                    Ok(()) => self.failing = false,
                    Err(error) => {
                        if !std::mem::replace(&mut self.failing, true) {
                            tracing::warn!("reading what the rules counted: {error}");
                        }
                    }
                }
                last = Some(Instant::now());
            }
            // Nobody may be waiting any more.
            done.try_send(()).ok();
        }
    }

    fn look(&mut self) -> io::Result<()> {
        self.tables().look()?;
        if !self.settings.enabled {
            return Ok(());
        }
        let open = self.open()?;
        let new = self.tables().take_new();
        let met = new.keys().copied();
        let flows = open.iter().flat_map(|open| open.keys());
        let met: HashSet<Frontend> = met.chain(flows.map(|(frontend, _)| *frontend)).collect();
        let answer = ask(
            &self.questions,
            met.into_iter().collect(),
            &self.services.names(),
        );
        let Some((owned, gone)) = answer else {
            return Ok(());
        };
        for port in self.services.forget(&gone) {
            self.metrics.forget(&port);
        }
        self.services
            .take(owned, &new, open.as_ref(), self.settings.limit);
        for (port, got) in self.services.told() {
            self.metrics.service(port, got);
        }
        self.metrics.left_out(self.services.left_out);
        Ok(())
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Open connections; `None` if it is too early to list them again.
    fn open(&mut self) -> io::Result<Option<Open>> {
        let began = Instant::now();
        let Some(flows) = self.flows.as_mut().filter(|_| began >= self.flows_after) else {
            return Ok(None);
        };
        let open = flows.open_connections()?;
        self.flows_after = Instant::now() + began.elapsed() * FLOWS_SHARE;
        Ok(Some(open))
    }
}
