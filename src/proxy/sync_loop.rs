//! The loop that everything meets in: changes, addresses, drift and time become syncs.

use super::Proxy;
use super::gate::Gate;
use super::schedule::Schedule;
use crate::clock;
use crate::counts::Question;
use rules::drift::Notice;
use rules::{Backend, Change};
use std::time::Instant;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::mpsc;

/// What the loop is told.
pub(super) struct Inputs {
    /// Changes of the cluster; the loop ends with them.
    pub(super) changes: mpsc::Receiver<Change>,
    /// The node's addresses may be others.
    pub(super) addresses: mpsc::Receiver<()>,
    /// What others do to the rules.
    pub(super) drift: mpsc::Receiver<Vec<Notice>>,
    /// Whose frontends are.
    pub(super) questions: mpsc::Receiver<Question>,
}

/// Takes in changes and changed addresses and syncs when due, until the source of changes ends.
/// `first_success` is called once, after the first sync that succeeds for all families.
///
/// # Errors
/// The gate will never open.
pub(super) async fn sync_loop<B: Backend>(
    mut proxy: Proxy<B>,
    mut schedule: Schedule,
    mut gate: Gate,
    mut inputs: Inputs,
    first_success: impl FnOnce(),
) -> anyhow::Result<()> {
    proxy.begin();
    let mut first_success = Some(first_success);
    loop {
        let now = clock::now();
        if gate.opens(proxy.syncer.state(), now)? {
            schedule.request();
        }
        let due = if gate.is_open() {
            earlier(schedule.due(now), proxy.syncer.next_look())
        } else {
            gate.next_look(proxy.syncer.state())
        };
        let until_due = async {
            match due {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = until_due, if due.is_some() => {
                if gate.is_open() {
                    let succeeded = blocking(|| proxy.sync());
                    if let Some(call) = first_success.take_if(|_| succeeded) {
                        blocking(call);
                    }
                    // Flows that could not be deleted wait for the next sync,
                    // which has to come even if nothing else happens.
                    let finished = succeeded && !proxy.syncer.has_leftovers();
                    schedule.ended(clock::now(), finished);
                }
            }
            Some(()) = inputs.addresses.recv() => {
                if proxy.addresses_may_differ() {
                    schedule.request();
                }
            }
            Some(notices) = inputs.drift.recv() => proxy.noticed(notices, clock::now()),
            Some(question) = inputs.questions.recv() => question.answer(proxy.syncer.world()),
            change = inputs.changes.recv() => match change {
                Some(change) => {
                    if proxy.apply(change) {
                        schedule.request();
                    }
                }
                None => return Ok(()),
            },
        }
    }
}

/// Does what blocks. Other tasks go on meanwhile, unless there is no thread for them.
fn blocking<T>(what: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => what(),
        _ => tokio::task::block_in_place(what),
    }
}

/// The earlier of two times, as far as there are any.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
