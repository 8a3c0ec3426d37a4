//! One family: its backend, what is known about its rules, and how its syncs went.

use super::flows::FlowCleanup;
use super::outcome::Outcome;
use super::trouble::Trouble;
use crate::clock;
use crate::jitter;
use jiff::Timestamp;
use rules::drift::{Contest, Damage, Suspicion};
use rules::flows::FlowTable;
use rules::localhost::LocalhostPorts;
use rules::model::{Family, ObjectName};
use rules::{Backend, Config, NodeportAddresses, Refusal, State};
use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

/// The rules are replaced this long after the last time even if nobody has said why: upstream's
/// interval of full syncs (`docs/ruleset.md`).
const FULL_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// When to look again at rules that others may have changed unseen; each further time in a
/// row waits four times as long.
const UNSEEN_PAUSE: Duration = Duration::from_secs(1);

/// All that is one family's own.
pub(super) struct Proxier<B> {
    pub(super) backend: B,
    pub(super) trouble: Trouble,
    pub(super) contest: Contest,
    /// The rules have to be replaced.
    pub(super) suspicion: Option<Suspicion>,
    /// The ruleset's generation that the last replacement made.
    pub(super) replaced_at: Option<u32>,
    /// The rules were found to differ, and nobody has told who did that.
    pub(super) unexplained: bool,
    /// How often in a row others changed something just when nobody looked.
    unseen: u32,
    /// When the rules are replaced without a reason.
    full_at: Option<Instant>,
    /// When they are replaced because others may have changed them unseen.
    unseen_at: Option<Instant>,
    /// What was told about Services that are left out.
    pub(super) told: BTreeMap<ObjectName, String>,
    /// Services that are left out because there was no time to try them.
    pub(super) untried: Vec<ObjectName>,
    /// Times of endpoint changes that are not in the kernel yet, in milliseconds since the epoch.
    triggers: Vec<i64>,
    flows: FlowCleanup,
    localhost: LocalhostPorts,
}

/// What a family's sync works with.
pub(super) struct Round<'a, K> {
    pub(super) kernel: &'a mut K,
    pub(super) state: &'a State,
    /// The addresses of the node's interfaces.
    pub(super) local: &'a [IpAddr],
    pub(super) outcome: Outcome,
}

impl<B: Backend> Proxier<B> {
    /// One whose first sync takes over whatever rules there are. After failures in a row it tries
    /// again this long after the last one at the most.
    pub(super) fn new(config: Config, longest_pause: Duration) -> Self {
        Self {
            trouble: Trouble::new(longest_pause),
            contest: Contest::default(),
            suspicion: None,
            replaced_at: None,
            unexplained: false,
            unseen: 0,
            full_at: None,
            unseen_at: None,
            told: BTreeMap::new(),
            untried: Vec::new(),
            triggers: Vec::new(),
            flows: FlowCleanup::new(config.family),
            localhost: LocalhostPorts::default(),
            backend: B::new(config),
        }
    }

    pub(super) fn family(&self) -> Family {
        self.backend.config().family
    }

    /// Takes in what changed since the last sync.
    pub(super) fn changed(&mut self, state: &State, dirty: &HashSet<ObjectName>) {
        self.flows.note(state, dirty);
        if B::LEAVES_LOCALHOST {
            self.localhost.note(dirty);
        }
        self.backend.mark(dirty);
    }

    /// A change of endpoints waits for the kernel, which was made at this time.
    pub(super) fn triggered(&mut self, at: i64) {
        self.triggers.push(at);
    }

    /// Whether stale flows are left from the last sync.
    pub(super) fn has_stale_flows(&self) -> bool {
        self.flows.is_pending()
    }

    /// Brings the kernel in line with the state unless it is too soon after a failure.
    pub(super) fn sync(
        &mut self,
        mut round: Round<'_, B::Kernel>,
        config: Config,
        flows: &mut dyn FlowTable,
    ) -> Outcome {
        round.outcome.health_addresses = health_addresses(&config, round.local);
        self.backend.configure(config);
        let now = clock::now();
        if let Some(refusal) = self.trouble.waits(now) {
            round.outcome.refusal = Some(refusal.clone());
            round.outcome.rested = true;
            return round.outcome;
        }
        self.look(now);
        let result = self.attempt_all(&mut round);
        self.ended(result.as_ref().err(), &mut round.outcome);
        match result {
            Ok(()) => {
                let nodeports = &self.backend.config().nodeport_addresses;
                round.outcome.flows = self.flows.clean(flows, round.state, nodeports, round.local);
                if B::LEAVES_LOCALHOST {
                    let config = self.backend.config();
                    round.outcome.localhost = self.localhost.take(config, round.state.view());
                }
            }
            Err(refusal) => round.outcome.refusal = Some(refusal),
        }
        if round.outcome.has_updated() {
            self.updated(&mut round.outcome);
        }
        round.outcome
    }

    /// A sync ended, refused or not: says that once, and until when it rests.
    fn ended(&mut self, refusal: Option<&Refusal>, outcome: &mut Outcome) {
        match refusal {
            Some(refusal) => {
                if self.trouble.failed(refusal, clock::now()) {
                    let meaning = refusal.cause.meaning();
                    tracing::error!(
                        "sync failed, the old rules stay in place: {refusal}; {meaning}"
                    );
                }
            }
            None => {
                let failures = self.trouble.succeeded();
                if failures > 0 {
                    let family = self.family();
                    tracing::info!("{family}: a sync succeeded after {failures} that failed");
                }
            }
        }
        let left_out = self.backend.left_out();
        self.told.retain(|service, _| left_out.contains(service));
        outcome.left_out = left_out.len();
    }

    /// Rules came into the kernel.
    fn updated(&mut self, outcome: &mut Outcome) {
        outcome.summary = Some(*self.backend.summary());
        let now = Timestamp::now().as_millisecond();
        let waited = |at: i64| Duration::from_millis(u64::try_from(now - at).unwrap_or(0));
        outcome.programmed = self.triggers.drain(..).map(waited).collect();
        outcome.health_checks = self.backend.take_health_changes();
    }

    /// When to sync though nothing has happened.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let due = self.suspicion.map(|suspicion| suspicion.due);
        let quiet = [due, self.full_at, self.unseen_at];
        let quiet = quiet.into_iter().flatten().min();
        // While syncs fail, nothing comes sooner than the next attempt.
        self.trouble.retry_at().or(quiet)
    }

    /// Lets the backend replace the rules if it is time to.
    pub(super) fn look(&mut self, now: Instant) {
        if let Some(suspicion) = self.suspicion.filter(|suspicion| suspicion.due <= now) {
            match suspicion.damage {
                Damage::Jumps => self.backend.distrust_jumps(),
                Damage::Rules => self.backend.distrust(),
            }
        }
        if self.unseen_at.take_if(|at| *at <= now).is_some() {
            self.backend.distrust();
        }
        if self.full_at.is_some_and(|at| at <= now) {
            self.full_at = Some(next_full(now));
            if self.backend.wants_periodic_replacement() {
                self.backend.distrust();
            }
            // Those that the kernel refused may fare better now.
            let left_out = self.backend.left_out().clone();
            self.backend.take_back(&left_out);
        }
        let untried = std::mem::take(&mut self.untried);
        self.backend.take_back(&untried);
    }

    /// The rules have to be mended, at the latest when the sooner of two reasons says.
    pub(super) fn suspect(&mut self, suspicion: Suspicion) {
        let known = self.suspicion;
        self.suspicion = Some(known.map_or(suspicion, |known| known.and(suspicion)));
    }

    /// What leads to the rules was looked after, if it was that that had to be mended.
    pub(super) fn jumps_restored(&mut self, now: Instant) {
        let only = |suspicion: &mut Suspicion| suspicion.damage == Damage::Jumps;
        if let Some(suspicion) = self.suspicion.take_if(only) {
            self.contest.repaired(&suspicion, now);
        }
    }

    /// The rules were replaced.
    pub(super) fn replaced(&mut self, generation: Option<u32>, now: Instant) {
        if let Some(suspicion) = self.suspicion.take() {
            self.contest.repaired(&suspicion, now);
        }
        self.replaced_at = generation;
        self.full_at = Some(next_full(now));
        self.unseen_at = None;
    }

    /// Others changed something when nobody looked, or not.
    pub(super) fn seen(&mut self, unseen: bool, now: Instant) {
        if !unseen {
            self.unseen = 0;
            return;
        }
        let pause = UNSEEN_PAUSE * 4u32.saturating_pow(self.unseen.min(6));
        self.unseen += 1;
        let at = now + pause;
        self.unseen_at = Some(self.unseen_at.map_or(at, |known| known.min(at)));
    }
}

/// When rules that were replaced now are replaced again, if nobody asks for it before.
fn next_full(now: Instant) -> Instant {
    let spread = FULL_INTERVAL.mul_f64(jitter::draw() / 10.0);
    now + (FULL_INTERVAL - spread)
}

/// Where a family's health checks are answered: wherever node ports are, and also on loopback
/// addresses in the configured ranges, as upstream has it.
fn health_addresses(config: &Config, local: &[IpAddr]) -> Vec<IpAddr> {
    match &config.nodeport_addresses {
        NodeportAddresses::All => vec![match config.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }],
        NodeportAddresses::Within(ranges) => {
            let within = |ip: &&IpAddr| ranges.iter().any(|range| range.contains(*ip));
            local.iter().filter(within).copied().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_checks_are_answered_where_node_ports_are_and_on_loopback() {
        let local: Vec<IpAddr> = ["127.0.0.1", "192.0.2.1", "::1", "2001:db8::1"]
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect();
        let answered = |family, range: Option<&str>| -> Vec<String> {
            let within = |range: &str| vec![range.parse().expect("a range")];
            let config = Config {
                nodeport_addresses: range.map_or(NodeportAddresses::All, |range| {
                    NodeportAddresses::Within(within(range))
                }),
                ..Config::new(family, "n1")
            };
            let addresses = health_addresses(&config, &local);
            addresses.iter().map(ToString::to_string).collect()
        };
        assert_eq!(answered(Family::V4, None), ["0.0.0.0"]);
        assert_eq!(answered(Family::V6, None), ["::"]);
        for (family, range, addresses) in [
            (Family::V4, "192.0.2.0/24", &["192.0.2.1"][..]),
            (Family::V4, "127.0.0.0/8", &["127.0.0.1"]),
            (Family::V6, "2001:db8::/64", &["2001:db8::1"]),
            (Family::V4, "198.51.100.0/24", &[]),
        ] {
            assert_eq!(answered(family, Some(range)), addresses, "{range}");
        }
    }
}
