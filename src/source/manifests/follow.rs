//! Following a directory.

use super::{Manifests, Problem};
use anyhow::Context;
use notify::{RecursiveMode, Watcher};
use rules::{Event, ObjectKind};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc::{self, Sender};

/// Editors and ConfigMap mounts write in several steps; this long after the
/// last one the files are read.
const SETTLE: Duration = Duration::from_millis(50);

impl Manifests {
    /// Sends all objects, then every change, for ever.
    ///
    /// # Errors
    /// The directory cannot be read at the start, or not be watched; or the
    /// receiver is gone.
    pub async fn follow(mut self, events: Sender<Event>) -> anyhow::Result<()> {
        let context = || format!("--manifests {}", self.dir.display());
        // The watcher would say less clearly what is wrong with it.
        std::fs::read_dir(&self.dir).with_context(context)?;
        let (wake, mut woken) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<_>| {
            // Reading the files is an event too, but none that matters.
            let only_read = matches!(
                event,
                Ok(notify::Event {
                    kind: notify::EventKind::Access(_),
                    ..
                })
            );
            if !only_read {
                // A wake-up that is already waiting will do for this one too.
                let _ = wake.try_send(());
            }
        })
        .with_context(context)?;
        watcher
            .watch(&self.dir, RecursiveMode::NonRecursive)
            .with_context(context)?;

        let kinds = [
            ObjectKind::Node,
            ObjectKind::ServiceCidr,
            ObjectKind::Service,
            ObjectKind::EndpointSlice,
        ];
        for kind in kinds {
            send(&events, Event::ListBegin(kind)).await?;
        }
        let context = format!("--manifests {}", self.dir.display());
        let mut said = BTreeSet::new();
        self.read_into(&events, &mut said).context(context)?;
        for kind in kinds {
            send(&events, Event::ListEnd(kind)).await?;
        }
        while woken.recv().await.is_some() {
            tokio::time::sleep(SETTLE).await;
            while woken.try_recv().is_ok() {}
            if let Err(error) = self.read_into(&events, &mut said) {
                tracing::warn!(
                    "--manifests {}: {error}; nothing changes",
                    self.dir.display()
                );
            }
        }
        anyhow::bail!("watching the manifests ended")
    }

    /// Reads what changed and sends it; says what is wrong, each thing once.
    fn read_into(
        &mut self,
        events: &Sender<Event>,
        said: &mut BTreeSet<Problem>,
    ) -> std::io::Result<()> {
        let problems = tokio::task::block_in_place(|| {
            // The receiver ends only when the whole process does.
            self.load(&mut |event| drop(events.blocking_send(event)))
        })?;
        let problems: BTreeSet<Problem> = problems.into_iter().collect();
        for problem in problems.difference(said) {
            tracing::warn!("{problem}");
        }
        *said = problems;
        Ok(())
    }
}

async fn send(events: &Sender<Event>, event: Event) -> anyhow::Result<()> {
    events.send(event).await.context("the sync loop ended")
}
