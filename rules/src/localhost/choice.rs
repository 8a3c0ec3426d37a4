//! Which endpoint a connection to a node port on a loopback address gets.

use super::Served;
use crate::model::EndpointAddr;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An endpoint that could not be connected to is not chosen for so long, while there is another.
pub const SHUNNED: Duration = Duration::from_secs(5);

/// The endpoints of one node port, and what is remembered of them.
#[derive(Debug)]
pub struct Choice {
    endpoints: Arc<[EndpointAddr]>,
    affinity: Option<Duration>,
    /// The endpoint of all clients, and when it was chosen last: they all have one address, so
    /// session affinity knows one client (KEP-6032).
    pinned: Option<(EndpointAddr, Instant)>,
    /// Endpoints that failed, and when; as many as there are endpoints at the most.
    failed: BTreeMap<EndpointAddr, Instant>,
}

impl Choice {
    /// Nothing is remembered.
    pub fn new(served: &Served) -> Self {
        Self {
            endpoints: served.endpoints.clone(),
            affinity: timeout(served),
            pinned: None,
            failed: BTreeMap::new(),
        }
    }

    /// Others serve from now on. What is known of those that stay is kept, but for the client's
    /// endpoint if affinity is another one.
    pub fn update(&mut self, served: &Served) {
        if self.affinity != timeout(served) {
            self.affinity = timeout(served);
            self.pinned = None;
        }
        self.endpoints = served.endpoints.clone();
        let stays = |own: &EndpointAddr| self.endpoints.binary_search(own).is_ok();
        self.pinned = self.pinned.filter(|(own, _)| stays(own));
        self.failed.retain(|own, _| stays(own));
    }

    /// The endpoint to try, none of those that were `tried`; `None` if there is no other. `draw`
    /// yields a number less than its argument, at random.
    pub fn pick(
        &mut self,
        now: Instant,
        tried: &[EndpointAddr],
        draw: impl FnOnce(usize) -> usize,
    ) -> Option<EndpointAddr> {
        let chosen = self.remembered(now, tried).or_else(|| {
            let is_shunned = |own: &EndpointAddr| {
                let since = self.failed.get(own);
                since.is_some_and(|since| now.saturating_duration_since(*since) < SHUNNED)
            };
            let all = self.endpoints.iter().filter(|own| !tried.contains(own));
            let (worse, better): (Vec<_>, Vec<_>) = all.copied().partition(is_shunned);
            // A failure may be over before its time is.
            let some = if better.is_empty() { worse } else { better };
            let drawn = (!some.is_empty()).then(|| draw(some.len()))?;
            some.get(drawn).copied()
        })?;
        if self.affinity.is_some() {
            self.pinned = Some((chosen, now));
        }
        Some(chosen)
    }

    fn remembered(&self, now: Instant, tried: &[EndpointAddr]) -> Option<EndpointAddr> {
        let (own, last) = self.pinned?;
        let is_young = now.saturating_duration_since(last) <= self.affinity?;
        (is_young && !tried.contains(&own)).then_some(own)
    }

    /// An endpoint could not be connected to.
    pub fn failed(&mut self, endpoint: EndpointAddr, now: Instant) {
        if self.endpoints.binary_search(&endpoint).is_ok() {
            self.failed.insert(endpoint, now);
        }
        self.pinned = self.pinned.filter(|(own, _)| *own != endpoint);
    }

    /// An endpoint was connected to.
    pub fn succeeded(&mut self, endpoint: EndpointAddr) {
        self.failed.remove(&endpoint);
    }
}

fn timeout(served: &Served) -> Option<Duration> {
    let seconds = served.affinity.map(u64::from);
    seconds.map(Duration::from_secs)
}
