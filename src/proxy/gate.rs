//! What the first sync waits for (docs/reference.md#the-node).

use crate::settings::{self, DetectLocalMode, Settings};
use rules::State;
use rules::model::{Family, Node};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the Node object is waited for to tell its addresses.
const NODE_WAIT: Duration = Duration::from_secs(30);
/// How long it is waited for, from then on, to tell the pods' ranges.
const POD_CIDR_WAIT: Duration = Duration::from_secs(5 * 60);

/// Holds the first sync back until it would not take away what is right: both
/// lists are in, and the Node object tells what the rules need or has been
/// waited for.
#[derive(Debug)]
pub struct Gate {
    settings: Arc<Settings>,
    families: &'static [Family],
    started: Instant,
    /// When the wait for the pods' ranges began.
    waits_for_ranges: Option<Instant>,
    /// How long the Node's addresses are waited for.
    patience: Duration,
    open: bool,
}

impl Gate {
    /// A closed one.
    pub fn new(settings: Arc<Settings>, families: &'static [Family], now: Instant) -> Self {
        // Files tell at once what they tell; only an API server may be late.
        let patience = match settings.source.manifests {
            Some(_) => Duration::ZERO,
            None => NODE_WAIT,
        };
        Self {
            settings,
            families,
            started: now,
            waits_for_ranges: None,
            patience,
            open: false,
        }
    }

    /// Whether it was opened.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// True once, when the gate opens.
    ///
    /// # Errors
    /// It never will: pods are known by a range that the Node object does not
    /// tell, or the configuration is of another IP family than the node.
    pub fn opens(&mut self, state: &State, now: Instant) -> anyhow::Result<bool> {
        if self.open || !state.is_listed() {
            return Ok(false);
        }
        let node = state.last_node();
        let known = node.is_some_and(|node| !node.addresses.is_empty());
        if !known && now < self.started + self.patience {
            return Ok(false);
        }
        if self.lacks_ranges(node) {
            let since = *self.waits_for_ranges.get_or_insert(now);
            if now < since + POD_CIDR_WAIT {
                return Ok(false);
            }
            let name = &self.settings.node_name;
            match node {
                None => anyhow::bail!("timeout waiting for node {name:?} to exist"),
                Some(_) => {
                    anyhow::bail!("timeout waiting for PodCIDR allocation on node {name:?}")
                }
            }
        }
        if !known {
            tracing::warn!(
                "the Node object tells no address of this node; going on without: \
                 every local address answers node ports"
            );
        }
        self.check(node)?;
        self.open = true;
        Ok(true)
    }

    /// When to look again though nothing has happened.
    pub fn next_look(&self, state: &State) -> Option<Instant> {
        if self.open || !state.is_listed() {
            return None;
        }
        Some(match self.waits_for_ranges {
            Some(since) => since + POD_CIDR_WAIT,
            None => self.started + self.patience,
        })
    }

    /// Whether pods are known by ranges that are still to come.
    fn lacks_ranges(&self, node: Option<&Node>) -> bool {
        self.settings.rules.detect_local_mode == DetectLocalMode::NodeCidr
            && self.settings.source.manifests.is_none()
            && node.is_none_or(|node| node.pod_cidrs.is_empty())
    }

    /// Tells whether the configuration fits the node.
    fn check(&self, node: Option<&Node>) -> anyhow::Result<()> {
        const WRONG: &str = "kube-proxy configuration may be incomplete or incorrect";
        for problem in settings::check_node_ports(&self.settings, node) {
            tracing::error!("{WRONG}: {problem}");
        }
        let checks = settings::check_ips(&self.settings, node, self.families);
        if checks.fatal {
            anyhow::bail!(
                "kube-proxy configuration is incorrect: {}",
                checks.problems.join(", ")
            );
        }
        for problem in checks.problems {
            tracing::error!("{WRONG}: {problem}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::{Change, ObjectKind};

    const SECOND: Duration = Duration::from_secs(1);

    fn gate(flags: &[&str], start: Instant) -> Gate {
        let mut words = vec!["--hostname-override=n1", "--proxy-mode=nftables"];
        words.extend(flags);
        let settings = Settings::from_flags(&words).expect("valid flags");
        Gate::new(settings.into(), &Family::ALL, start)
    }

    fn listed() -> State {
        let mut state = State::new();
        for kind in [ObjectKind::Service, ObjectKind::EndpointSlice] {
            state.apply(Change::ListBegin(kind));
            state.apply(Change::ListEnd(kind));
        }
        state
    }

    fn node(state: &mut State, pod_cidrs: &[&str]) {
        let node = Node {
            addresses: vec!["192.0.2.1".parse().expect("an address")],
            pod_cidrs: pod_cidrs
                .iter()
                .map(|range| range.parse().expect("a range"))
                .collect(),
            ..Node::default()
        };
        state.apply(Change::Node(node));
    }

    #[test]
    fn it_waits_for_lists_and_for_the_node() {
        let start = Instant::now();
        let mut gate = gate(&[], start);
        let late = start + 100 * SECOND;
        assert!(!gate.opens(&State::new(), late).expect("fine"), "no lists");
        assert_eq!(gate.next_look(&State::new()), None);
        let mut state = listed();
        assert!(!gate.opens(&state, start).expect("fine"), "no node");
        assert_eq!(gate.next_look(&state), Some(start + NODE_WAIT));
        node(&mut state, &[]);
        assert!(gate.opens(&state, start).expect("fine"));
        assert!(gate.is_open());
        assert!(!gate.opens(&state, start).expect("fine"), "only once");
    }

    #[test]
    fn it_goes_on_without_a_node() {
        let start = Instant::now();
        let mut patient = gate(&[], start);
        let state = listed();
        assert!(!patient.opens(&state, start + 29 * SECOND).expect("fine"));
        assert!(patient.opens(&state, start + 30 * SECOND).expect("fine"));
        let mut files = gate(&["--manifests=/tmp", "--detect-local-mode=NodeCIDR"], start);
        assert!(files.opens(&state, start).expect("files tell at once"));
    }

    #[test]
    fn it_does_not_go_on_without_ranges_of_pods() {
        let start = Instant::now();
        let flags = ["--detect-local-mode=NodeCIDR"];
        let mut with = gate(&flags, start);
        let mut state = listed();
        node(&mut state, &[]);
        assert!(!with.opens(&state, start + SECOND).expect("it waits"));
        let end = start + SECOND + POD_CIDR_WAIT;
        assert_eq!(with.next_look(&state), Some(end));
        let error = with.opens(&state, end).expect_err("long enough");
        assert!(
            error
                .to_string()
                .contains("PodCIDR allocation on node \"n1\"")
        );
        let mut with = gate(&flags, start);
        assert!(!with.opens(&state, start).expect("it waits"));
        node(&mut state, &["10.244.1.0/24"]);
        assert!(with.opens(&state, start + SECOND).expect("here they are"));
        let mut never = gate(&flags, start);
        let nobody = listed();
        assert!(!never.opens(&nobody, start + NODE_WAIT).expect("it waits"));
        let error = never.opens(&nobody, start + NODE_WAIT + POD_CIDR_WAIT);
        let error = error.expect_err("long enough").to_string();
        assert_eq!(error, "timeout waiting for node \"n1\" to exist");
    }

    #[test]
    fn what_does_not_fit_the_node_ends_it() {
        let start = Instant::now();
        let mut gate = gate(&["--detect-local-mode=NodeCIDR"], start);
        let mut state = listed();
        node(&mut state, &["fd00::/64"]);
        let error = gate.opens(&state, start).expect_err("another family");
        let error = error.to_string();
        assert!(
            error.starts_with("kube-proxy configuration is incorrect: cluster is IPv4-primary"),
            "{error}"
        );
    }
}
