//! Frontends that several Services ask for, told to the one that goes without.

use super::{Claim, Kind};
use crate::model::{Frontend, ObjectName};
use crate::state::problems::{NAMED, Problem, ProblemKind, first_few};
use std::collections::BTreeMap;

/// One frontend, who has it, and who has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::state) struct Contest {
    pub(in crate::state) frontend: Frontend,
    pub(in crate::state) owner: Claim,
    pub(in crate::state) loser: Claim,
}

/// The contests that one event brought, by loser. Bounded: one Service may
/// list tens of thousands of addresses.
#[derive(Debug, Default)]
pub(in crate::state) struct Contests(BTreeMap<ObjectName, Lost>);

#[derive(Debug, Default)]
struct Lost {
    first: Vec<Contest>,
    all: usize,
}

impl Contests {
    pub(in crate::state) fn add(&mut self, contest: Contest) {
        let lost = self.0.entry(contest.loser.service.clone()).or_default();
        lost.all += 1;
        if lost.first.len() < NAMED {
            lost.first.push(contest);
        }
    }

    /// One message for each loser. `label` names a Service for the log, with
    /// the manifest that it stands in.
    pub(in crate::state) fn into_problems(
        self,
        label: impl Fn(&ObjectName) -> String,
    ) -> Vec<Problem> {
        let tell = |(service, lost): (ObjectName, Lost)| {
            let each = |name: &dyn Fn(&Contest) -> String| {
                first_few(lost.first.iter().map(name).collect(), lost.all)
            };
            let known = each(&|own| {
                let owner = format!("Service {}", label(&own.owner.service));
                describe(own, &owner)
            });
            let note = each(&|own| describe(own, "another Service"));
            Problem {
                kind: ProblemKind::LeftOut,
                text: format!("Service {}: not served: {known}", label(&service)),
                note: format!("not served: {note}"),
                service,
            }
        };
        self.0.into_iter().map(tell).collect()
    }
}

/// What the loser asks for, and why it is somebody else's.
fn describe(
    Contest {
        frontend,
        owner,
        loser,
    }: &Contest,
    has_it: &str,
) -> String {
    let Frontend {
        address,
        protocol,
        port,
    } = frontend;
    let wanted = match address {
        Some(address) => format!("{} {address} {protocol} port {port}", noun(loser.kind)),
        None => format!("{protocol} node port {port}"),
    };
    if owner.kind == loser.kind {
        format!("{wanted}, which {has_it} has: it is older or comes first by name")
    } else {
        format!("{wanted}, which is the {} of {has_it}", noun(owner.kind))
    }
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::ClusterIp => "cluster IP",
        Kind::NodePort => "node port",
        Kind::LoadBalancerIp => "load-balancer IP",
        Kind::ExternalIp => "external IP",
    }
}
