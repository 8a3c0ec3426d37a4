//! A steady stream of connections, to see whether a change loses one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::Namespace;
use crate::client::{Outcome, Tally, dial};

/// Connects again and again until stopped.
#[derive(Debug)]
pub struct Stream {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Result<Tally>>>,
}

/// What became of a stream.
pub type StreamReport = Tally;

impl Stream {
    /// Two threads connect from `namespace` to `target`, about 300 times a second together.
    ///
    /// # Errors
    /// If no thread can be made.
    pub fn start(namespace: &Namespace, target: SocketAddr) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let made = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let threads = (0..2)
            .map(|_| {
                let (stop, made) = (Arc::clone(&stop), Arc::clone(&made));
                namespace.spawn("stream", move || {
                    let mut tally = Tally::default();
                    while !stop.load(Ordering::Relaxed) {
                        // Shorter than the first SYN's repetition: a lost packet is a failure.
                        let begun = start.elapsed();
                        match dial(target, Duration::from_millis(900)) {
                            Outcome::Answered(answer) => tally.add(Outcome::Answered(answer)),
                            other => tally.fail(format!("{other}, begun at {begun:.2?}")),
                        }
                        made.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Ok(tally)
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            stop,
            made,
            threads,
        })
    }

    /// How many connections were made so far, whatever became of them.
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Stops it and sums up.
    ///
    /// # Errors
    /// If a thread could not enter its namespace.
    pub fn stop(mut self) -> Result<StreamReport> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Tally::default();
        for thread in self.threads.drain(..) {
            sum.merge(thread.join().ok().context("a stream thread panicked")??);
        }
        Ok(sum)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}
