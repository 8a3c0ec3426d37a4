//! Whether the proxy keeps up, and whether the node takes traffic: what
//! `/healthz` and `/livez` tell (docs/reference.md#health-port).
//!
//! How long a change waits is measured by the monotonic clock, as Go's `time.Since` does: a step
//! of the wall clock is no verdict. The times that are shown are the wall clock's.

use crate::clock;
use jiff::Timestamp;
use rules::model::Family;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A moment by both clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// For durations: nobody sets this clock.
    pub monotonic: Instant,
    /// For people.
    pub wall: Timestamp,
}

impl Moment {
    /// What both clocks show.
    pub fn now() -> Self {
        Self {
            monotonic: clock::now(),
            wall: Timestamp::now(),
        }
    }

    /// How long ago it was; nothing if it is still to come.
    fn until(self, now: Self) -> Duration {
        now.monotonic.saturating_duration_since(self.monotonic)
    }
}

/// Shared between the sync loop, which writes, and the HTTP servers.
#[derive(Debug)]
pub struct Health {
    timeout: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    families: BTreeMap<Family, Progress>,
    /// `None` until the Node object was seen.
    eligible: Option<bool>,
}

/// How far one family's rules are.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// The last successful sync.
    updated: Option<Moment>,
    /// The oldest request that no sync has served.
    waiting_since: Option<Moment>,
}

impl Health {
    /// A change that waits longer than `timeout` makes the proxy unhealthy.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            inner: Mutex::default(),
        }
    }

    /// A sync of the family is needed.
    pub fn queued(&self, family: Family, now: Moment) {
        let mut inner = self.lock();
        inner
            .families
            .entry(family)
            .or_default()
            .waiting_since
            .get_or_insert(now);
    }

    /// A sync of the family succeeded, or there was nothing to do.
    pub fn updated(&self, family: Family, now: Moment) {
        let mut inner = self.lock();
        inner.families.insert(
            family,
            Progress {
                updated: Some(now),
                waiting_since: None,
            },
        );
    }

    /// What the Node object says; `None` when there is none.
    pub fn node_eligible(&self, eligible: Option<bool>) {
        self.lock().eligible = eligible;
    }

    /// Whether no family has kept a change waiting for too long.
    pub fn is_healthy(&self, now: Moment) -> bool {
        self.lock()
            .families
            .values()
            .all(|progress| progress.is_healthy(now, self.timeout))
    }

    /// The answer of `/livez`.
    pub fn livez(&self, now: Moment) -> Status {
        let inner = self.lock();
        let families: BTreeMap<&'static str, FamilyStatus> = inner
            .families
            .iter()
            // Upstream lists a family once it was updated.
            .filter_map(|(family, progress)| {
                let healthy = progress.is_healthy(now, self.timeout);
                let last_updated = progress.updated?.wall.to_string();
                Some((
                    family.label(),
                    FamilyStatus {
                        last_updated,
                        healthy,
                    },
                ))
            })
            .collect();
        let healthy = inner
            .families
            .values()
            .all(|progress| progress.is_healthy(now, self.timeout));
        let latest = inner.latest();
        Status {
            ok: healthy,
            last_updated: last_updated(healthy, latest, now),
            current_time: now.wall.to_string(),
            node_eligible: None,
            healthy,
            status: families,
        }
    }

    /// The answer of `/healthz`.
    pub fn healthz(&self, now: Moment) -> Status {
        let eligible = self.lock().eligible.unwrap_or(false);
        let livez = self.livez(now);
        let ok = livez.healthy && eligible;
        let latest = self.lock().latest();
        Status {
            ok,
            last_updated: last_updated(ok, latest, now),
            node_eligible: Some(eligible),
            ..livez
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every write is one assignment: what a panicking thread left is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The last successful sync of any family.
    fn latest(&self) -> Option<Moment> {
        let updated = self
            .families
            .values()
            .filter_map(|progress| progress.updated);
        updated.max_by_key(|moment| moment.monotonic)
    }
}

impl Progress {
    fn is_healthy(&self, now: Moment, timeout: Duration) -> bool {
        self.waiting_since
            .is_none_or(|since| since.until(now) < timeout)
    }
}

fn last_updated(ok: bool, latest: Option<Moment>, now: Moment) -> String {
    match latest {
        _ if ok => now.wall.to_string(),
        Some(latest) => latest.wall.to_string(),
        // Go's zero time.
        None => "0001-01-01T00:00:00Z".to_owned(),
    }
}

/// The body of `/healthz` or `/livez`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether the status is 200.
    #[serde(skip)]
    pub ok: bool,
    last_updated: String,
    current_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_eligible: Option<bool>,
    healthy: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    status: BTreeMap<&'static str, FamilyStatus>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FamilyStatus {
    last_updated: String,
    healthy: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment some seconds after the tests' beginning, by clocks that agree.
    fn at(second: u64) -> Moment {
        stepped(second, 0)
    }

    /// The same with a wall clock that has been set by so many seconds.
    fn stepped(second: u64, step: i64) -> Moment {
        static BEGINNING: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        let wall = 1_800_000_000 + second.cast_signed() + step;
        Moment {
            monotonic: *BEGINNING + Duration::from_secs(second),
            wall: Timestamp::from_second(wall).expect("a time"),
        }
    }

    fn body(status: &Status) -> String {
        serde_json::to_string(status).expect("JSON")
    }

    #[test]
    fn a_change_that_waits_too_long_is_unhealthy() {
        let health = Health::new(Duration::from_secs(60));
        health.node_eligible(Some(true));
        assert!(health.healthz(at(0)).ok, "nothing to do yet");
        health.updated(Family::V4, at(0));
        health.queued(Family::V4, at(10));
        health.queued(Family::V4, at(60));
        assert!(health.is_healthy(at(69)), "the oldest request counts");
        assert!(!health.is_healthy(at(70)));
        assert!(!health.livez(at(70)).ok);
        health.updated(Family::V4, at(71));
        assert!(health.livez(at(10_000)).ok, "idle is healthy for ever");
    }

    #[test]
    fn a_step_of_the_wall_clock_is_no_verdict() {
        for step in [-3600, 3600] {
            let health = Health::new(Duration::from_secs(60));
            health.node_eligible(Some(true));
            health.updated(Family::V4, at(0));
            health.queued(Family::V4, at(10));
            let (early, late) = (stepped(69, step), stepped(70, step));
            assert!(health.healthz(early).ok, "{step}: not late yet");
            assert!(!health.healthz(late).ok, "{step}: late");
            assert!(!health.livez(late).ok && !health.is_healthy(late), "{step}");
            health.updated(Family::V4, stepped(71, step));
            health.queued(Family::V4, stepped(72, step));
            assert!(health.healthz(at(131)).ok, "{step}, set back: not late yet");
            assert!(!health.healthz(at(132)).ok, "{step}, set back: late");
        }
    }

    #[test]
    fn the_latest_update_is_that_of_the_clock_that_nobody_sets() {
        let health = Health::new(Duration::from_secs(60));
        health.updated(Family::V6, stepped(1, 3600));
        health.updated(Family::V4, at(2));
        let body = body(&health.healthz(at(3)));
        let last = r#"{"lastUpdated":"2027-01-15T08:00:02Z""#;
        assert!(body.starts_with(last), "{body}");
    }

    #[test]
    fn the_bodies_are_upstreams() {
        let health = Health::new(Duration::from_secs(60));
        insta::assert_snapshot!(body(&health.healthz(at(0))), @r#"{"lastUpdated":"0001-01-01T00:00:00Z","currentTime":"2027-01-15T08:00:00Z","nodeEligible":false,"healthy":true}"#);
        health.node_eligible(Some(true));
        health.updated(Family::V4, at(1));
        insta::assert_snapshot!(body(&health.healthz(at(2))), @r#"{"lastUpdated":"2027-01-15T08:00:02Z","currentTime":"2027-01-15T08:00:02Z","nodeEligible":true,"healthy":true,"status":{"IPv4":{"lastUpdated":"2027-01-15T08:00:01Z","healthy":true}}}"#);
        insta::assert_snapshot!(body(&health.livez(at(2))), @r#"{"lastUpdated":"2027-01-15T08:00:02Z","currentTime":"2027-01-15T08:00:02Z","healthy":true,"status":{"IPv4":{"lastUpdated":"2027-01-15T08:00:01Z","healthy":true}}}"#);
        health.node_eligible(Some(false));
        assert!(
            !health.healthz(at(2)).ok && health.livez(at(2)).ok,
            "a node about to go is live"
        );
    }
}
