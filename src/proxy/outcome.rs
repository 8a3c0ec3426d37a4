//! What the proxy did, as plain data.

use rules::localhost::Served;
use rules::model::{Family, ObjectName};
use rules::{HealthCheck, NodeNotice, Problem, Refusal, Summary};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// What a change of the cluster came to.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Something that the rules depend on is different: a sync is needed.
    pub(super) changed: bool,
    /// What is counted of it.
    pub(super) counted: Option<Counted>,
    /// What is wrong with Services that was not before.
    pub(super) problems: Vec<Problem>,
    /// This node's object no longer tells what it told, or tells it again.
    pub(super) notice: Option<NodeNotice>,
    /// Whether the Node takes traffic, if the change was about it; in that, `None` if there is no
    /// Node.
    pub(super) eligible: Option<Option<bool>>,
    /// Services that changed since the last sync.
    pub(super) pending_services: usize,
}

/// A kind of change that upstream counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Service,
    EndpointSlice,
}

/// What one sync of one family did.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) family: Family,
    /// Transactions, in order.
    pub(super) attempts: Vec<Attempt>,
    /// What was refused, now or at an attempt that is not repeated yet.
    pub(super) refusal: Option<Refusal>,
    /// Nothing was attempted, as it is not time yet.
    pub(super) rested: bool,
    /// How often a change was refused as somebody else had changed the table.
    pub(super) found_different: u64,
    /// Whether others changed something just when nobody looked, a word for each commit that
    /// tells.
    pub(super) unseen: Vec<bool>,
    /// How many Services are left out, as the kernel refuses them.
    pub(super) left_out: usize,
    /// Those that are, or are for another reason, since now; in words.
    pub(super) newly_left_out: Vec<(ObjectName, String)>,
    /// Figures over what is programmed, if rules came into the kernel.
    pub(super) summary: Option<Summary>,
    /// How long after they were made changes of endpoints came into the kernel.
    pub(super) programmed: Vec<Duration>,
    /// A search for stale flows.
    pub(super) flows: Option<FlowsCleaned>,
    /// Where health checks are answered.
    pub(super) health_addresses: Vec<IpAddr>,
    /// The node ports of the proxy on loopback addresses that changed; `None` for those that are
    /// gone.
    pub(super) localhost: BTreeMap<u16, Option<Served>>,
    /// The health checks that changed; `None` for those that are gone.
    pub(super) health_checks: Vec<(ObjectName, Option<HealthCheck>)>,
}

/// One transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// It was to replace all rules.
    pub(super) full: bool,
    /// Planning and waiting for the kernel's answer.
    pub(super) took: Duration,
    pub(super) succeeded: bool,
}

/// One search for stale flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowsCleaned {
    pub(super) took: Duration,
    /// Flows that were stale and are gone.
    pub(super) deleted: u64,
}

/// What somebody else did to the ruleset.
#[derive(Debug, Default)]
pub(super) struct Drift {
    /// The families whose tables were changed.
    pub(super) touched: Vec<Family>,
    /// Somebody does so again and again; in words.
    pub(super) contested: Option<String>,
}

impl Outcome {
    /// Nothing was done yet.
    pub(super) fn of(family: Family) -> Self {
        Self {
            family,
            attempts: Vec::new(),
            refusal: None,
            rested: false,
            found_different: 0,
            unseen: Vec::new(),
            left_out: 0,
            newly_left_out: Vec::new(),
            summary: None,
            programmed: Vec::new(),
            flows: None,
            health_addresses: Vec::new(),
            localhost: BTreeMap::new(),
            health_checks: Vec::new(),
        }
    }

    /// Whether rules came into the kernel, or were there already.
    pub(super) fn has_updated(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.succeeded)
    }
}
