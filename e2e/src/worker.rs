//! A thread that works in a namespace for as long as somebody wants it to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::Result;

use crate::Namespace;

/// Told to stop, and waited for, when the value goes: its sockets would keep the namespace alive.
#[derive(Debug)]
pub struct Worker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Namespace {
    /// Starts a thread inside the namespace; `work` ends soon after the flag is set that it gets.
    ///
    /// # Errors
    /// If the thread can't be made.
    pub fn start_worker(
        &self,
        label: &str,
        work: impl FnOnce(&AtomicBool) -> Result<()> + Send + 'static,
    ) -> Result<Worker> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = self.spawn(label, move || work(&stopped))?;
        Ok(Worker {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
