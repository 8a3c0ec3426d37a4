//! Following a directory.

use super::watch::Watch;
use super::{Manifests, Problem};
use anyhow::Context;
use rules::{Change, ObjectKind};
use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// Editors and ConfigMap mounts write in several steps; this long after the last one the files are
/// read.
const SETTLE: Duration = Duration::from_millis(50);
/// However long they go on writing.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);
/// Between two looks at a directory that is watched, for what nobody tells.
const BACKSTOP: Duration = Duration::from_secs(10);
/// Between two looks at one that is not, or that could not be read whole.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// So often it is looked at before what can be read counts as all that there is: rules of an
/// earlier run stay until then.
const FIRST_LOOKS: usize = 10;
/// Problems that are told one by one, of one look.
const TOLD: usize = 100;

/// In the order that rules need them.
const KINDS: [ObjectKind; 4] = [
    ObjectKind::Node,
    ObjectKind::ServiceCidr,
    ObjectKind::Service,
    ObjectKind::EndpointSlice,
];

/// What was said last, to say it once.
#[derive(Default)]
struct Said {
    problems: BTreeSet<Problem>,
    /// Why the directory cannot be listed.
    unlisted: Option<String>,
}

/// What came of a look at the directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Whole,
    /// Some files could not be read.
    Partly,
    /// It could not be listed; everything stays as it was.
    Nothing,
}

impl Manifests {
    /// Sends all objects, then every change, for ever. What cannot be read is tried again.
    ///
    /// # Errors
    /// There is no such directory at the start; or the receiver is gone.
    pub async fn follow(mut self, events: Sender<Change>) -> anyhow::Result<()> {
        if let Err(error) = std::fs::read_dir(&self.dir)
            && is_a_mistake(&error)
        {
            let context = format!("--manifests {}", self.dir.display());
            return Err(error).context(context);
        }
        let mut watch = Watch::new(&self.dir);
        let mut said = Said::default();
        for kind in KINDS {
            send(&events, Change::ListBegin(kind)).await?;
        }
        let mut watched = watch.renew(Instant::now());
        let mut look = self.look(&events, &mut said);
        let mut looks = 1;
        while look == Look::Nothing || (self.is_held_up() && looks < FIRST_LOOKS) {
            tokio::time::sleep(RETRY).await;
            watched = watch.renew(Instant::now());
            look = self.look(&events, &mut said);
            looks += 1;
        }
        for kind in KINDS {
            send(&events, Change::ListEnd(kind)).await?;
        }
        loop {
            let pause = if watched && look == Look::Whole {
                BACKSTOP
            } else {
                RETRY
            };
            tokio::select! {
                () = watch.settled(SETTLE, SETTLE_LIMIT) => {}
                () = tokio::time::sleep(pause) => {}
            }
            watched = watch.renew(Instant::now());
            look = self.look(&events, &mut said);
            anyhow::ensure!(!events.is_closed(), "the sync loop ended");
        }
    }

    /// Reads what changed and sends it; says what is wrong, each thing once.
    fn look(&mut self, events: &Sender<Change>, said: &mut Said) -> Look {
        let loaded = tokio::task::block_in_place(|| {
            // The receiver ends only when the whole process does.
            self.load(&mut |event| drop(events.blocking_send(event)))
        });
        let dir = self.dir.display();
        match loaded {
            Ok(problems) => {
                if said.unlisted.take().is_some() {
                    tracing::info!("--manifests {dir}: can be read again");
                }
                said.problems(problems);
                if self.is_incomplete() {
                    Look::Partly
                } else {
                    Look::Whole
                }
            }
            Err(error) => {
                let error = error.to_string();
                if said.unlisted.as_ref() != Some(&error) {
                    tracing::warn!(
                        "--manifests {dir}: {error}; nothing changes until it can be read"
                    );
                    said.unlisted = Some(error);
                }
                Look::Nothing
            }
        }
    }
}

impl Said {
    fn problems(&mut self, problems: Vec<Problem>) {
        let problems: BTreeSet<Problem> = problems.into_iter().collect();
        let fresh: Vec<&Problem> = problems.difference(&self.problems).collect();
        for problem in fresh.iter().take(TOLD) {
            tracing::warn!("{problem}");
        }
        if let Some(more) = fresh.len().checked_sub(TOLD + 1) {
            tracing::warn!("--manifests: {} more problems", more + 1);
        }
        self.problems = problems;
    }
}

/// Whether a directory that cannot be listed at the start is the flag's fault.
fn is_a_mistake(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
    )
}

async fn send(events: &Sender<Change>, event: Change) -> anyhow::Result<()> {
    events.send(event).await.context("the sync loop ended")
}
