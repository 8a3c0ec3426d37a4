//! Many calls, some at a time.

use super::call::{Open, call};
use super::tally::Tally;
use super::target::Target;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How often it is called, and how.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// In all.
    pub count: u64,
    /// At a time; so many ports of this machine are in use at once.
    pub concurrency: usize,
    /// For one call, with its connection.
    pub timeout: Duration,
    /// Each on a connection of its own, so that a Service chooses anew. Otherwise each of those
    /// at a time keeps one.
    pub new_connections: bool,
}

/// How far it is, for whoever waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Calls that have begun.
    pub(super) fn begun(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Takes a call to make, until there are `count`.
    fn next(&self, count: u64) -> bool {
        self.0
            .fetch_update(Relaxed, Relaxed, |begun| {
                (begun < count).then_some(begun + 1)
            })
            .is_ok()
    }
}

/// Calls until all calls are made, or `stop`; what is under way then is not counted.
pub(super) async fn all(
    target: &Arc<Target>,
    address: SocketAddr,
    calls: Calls,
    progress: &Progress,
    stop: impl Future<Output = ()>,
) -> Tally {
    let stopping = Arc::new(tokio::sync::Notify::new());
    let mut workers = JoinSet::new();
    for _ in 0..calls.concurrency {
        let (target, progress) = (target.clone(), progress.clone());
        let stopping = stopping.clone();
        workers.spawn(async move {
            let mut tally = Tally::default();
            let mut stopped = std::pin::pin!(stopping.notified());
            stopped.as_mut().enable();
            let mut open: Option<Open> = None;
            while progress.next(calls.count) {
                let kept = !calls.new_connections;
                let called = call(&target, address, calls.timeout, &mut open, kept);
                tokio::select! {
                    result = called => tally.count(result),
                    () = stopped.as_mut() => break,
                }
            }
            tally
        });
    }
    let mut stop = std::pin::pin!(stop);
    let mut is_stopped = false;
    let mut sum = Tally::default();
    loop {
        tokio::select! {
            () = stop.as_mut(), if !is_stopped => {
                is_stopped = true;
                stopping.notify_waiters();
            }
            joined = workers.join_next() => match joined {
                Some(Ok(tally)) => sum.merge(tally),
                // A worker that panicked; nothing in it does.
                Some(Err(_)) => {}
                None => return sum,
            },
        }
    }
}

/// The first address that takes a connection in time, or else the first.
pub(super) async fn reachable(addresses: &[SocketAddr], limit: Duration) -> Option<SocketAddr> {
    if let [_, _, ..] = addresses {
        for address in addresses {
            let connected = tokio::time::timeout(limit, TcpStream::connect(address)).await;
            if let Ok(Ok(_)) = connected {
                return Some(*address);
            }
        }
    }
    addresses.first().copied()
}
