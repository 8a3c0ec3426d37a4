//! How a Service port is planned: which frontends it has, and who serves them.

use super::ServicePlan;
use super::lists::{Lists, MANY_FRONTENDS, Rows};
use super::port::{PortPlan, Serving, has_chain};
use crate::State;
use crate::config::Config;
use crate::limits;
use crate::model::{EndpointAddr, Family, Frontend, Service, ServicePort, TrafficPolicy};
use crate::nft::ruleset::Pick;
use crate::select::{Needs, Selection, Selector};
use crate::state::claims;
use foldhash::HashSet;
use std::collections::BTreeSet;

/// What planning one port reads.
pub(super) struct PortBuild<'a> {
    pub(super) config: &'a Config,
    pub(super) state: &'a State,
    pub(super) service: &'a Service,
    pub(super) port: &'a ServicePort,
    pub(super) rows: &'a Rows,
}

impl PortBuild<'_> {
    /// docs/reference.md#traffic-policies.
    pub(super) fn plan(
        &mut self,
        taken: &mut HashSet<Frontend>,
        totals: &mut ServicePlan,
        before: Option<&PortPlan>,
        selector: &mut Selector<'_>,
    ) -> PortPlan {
        let mut frontends: Vec<Frontend> = self
            .owned(claims::internal(self.service, self.port), taken)
            .collect();
        let internal = frontends.len();
        let outside = claims::external(self.service, self.port).chain(claims::node_port(self.port));
        frontends.extend(self.owned(outside, taken));
        let needs = self.needs(frontends.len() > internal);
        let selection = selector.select(self.port, needs);
        self.count_missing(&selection, totals);

        let inside = self.internal_serving(&selection);
        let outside = self.external_serving(&selection);
        let serving = (0..).map(|at| if at < internal { inside } else { outside });
        let frontends: Box<[_]> = frontends.into_iter().zip(serving).collect();
        let cluster = keep_order(before.map_or(&[], |own| &own.cluster), selection.cluster);
        let local = keep_order(before.map_or(&[], |own| &own.local), selection.local);
        let is_served = |(_, serving): &(Frontend, Serving)| has_chain(*serving);
        let is_served = frontends.iter().any(is_served);
        let (affinity, pick) = self.balance(&cluster, &local, frontends.len());
        let lists = pick.filter(|_| is_served).map(|pick| {
            let before = before.and_then(|own| own.lists.as_deref());
            Box::new(Lists {
                pick,
                cluster: self.rows.row(before.map(|own| own.cluster), &cluster),
                local: self.rows.row(before.map(|own| own.local), &local),
            })
        });
        PortPlan {
            name: self.port.name.clone(),
            protocol: self.port.protocol,
            number: self.port.port,
            affinity,
            lists,
            frontends,
            cluster,
            local,
            hairpin: selection.on_this_node.into(),
        }
    }

    /// How long endpoints remember their clients, in seconds, if they do; else how
    /// one of a list for all frontends is chosen, if there is to be such a list.
    fn balance(
        &self,
        cluster: &[EndpointAddr],
        local: &[EndpointAddr],
        frontends: usize,
    ) -> (Option<u32>, Option<Pick>) {
        if self.service.ports.len() > limits::PORTS_WITH_CHAINS {
            return (None, None);
        }
        let remembering = limits::remembering_of_each(self.service.ports.len());
        let many = || (frontends >= MANY_FRONTENDS).then_some(Pick::Random);
        match self.service.session_affinity {
            None => (None, many()),
            Some(seconds) if cluster.len().max(local.len()) <= remembering => (Some(seconds), None),
            Some(_) => (None, Some(Pick::Source)),
        }
    }

    /// The frontends of this family that this Service serves, each once.
    fn owned(
        &self,
        frontends: impl Iterator<Item = Frontend>,
        taken: &mut HashSet<Frontend>,
    ) -> impl Iterator<Item = Frontend> {
        let family = self.config.family;
        frontends
            .filter(move |own| own.address.is_none_or(|ip| Family::of(ip) == family))
            .filter(|own| self.state.claims().owns(&self.service.name, own))
            .filter(|own| taken.insert(*own))
    }

    fn needs(&self, reachable_from_outside: bool) -> Needs {
        let internal_local = self.service.internal_policy == TrafficPolicy::Local;
        let external_local = self.service.external_policy == TrafficPolicy::Local;
        Needs {
            cluster: !internal_local || reachable_from_outside,
            local: internal_local || (external_local && reachable_from_outside),
        }
    }

    fn internal_serving(&self, selection: &Selection) -> Serving {
        match self.service.internal_policy {
            _ if !selection.any => Serving::Reject,
            TrafficPolicy::Cluster => Serving::Cluster { masquerade: false },
            TrafficPolicy::Local if selection.local.is_empty() => Serving::Drop,
            TrafficPolicy::Local => Serving::Local,
        }
    }

    fn external_serving(&self, selection: &Selection) -> Serving {
        match self.service.external_policy {
            _ if !selection.any => Serving::Reject,
            TrafficPolicy::Cluster => Serving::Cluster { masquerade: true },
            TrafficPolicy::Local => Serving::ExternalLocal,
        }
    }

    fn count_missing(&self, selection: &Selection, totals: &mut ServicePlan) {
        if !selection.any || !selection.local.is_empty() {
            return;
        }
        let service = self.service;
        if service.internal_policy == TrafficPolicy::Local {
            totals.no_local_internal += 1;
        }
        let external = service.external_type || !service.external_ips.is_empty();
        if service.external_policy == TrafficPolicy::Local && external {
            totals.no_local_external += 1;
        }
    }
}

/// Lists `wanted` so that as few positions as possible differ from `before`:
/// who stays keeps the index, newcomers fill the gaps, and the last ones move
/// into what gaps are left.
pub(super) fn keep_order(
    before: &[EndpointAddr],
    wanted: Vec<EndpointAddr>,
) -> Box<[EndpointAddr]> {
    if before.is_empty() || before == wanted {
        return wanted.into();
    }
    let target: BTreeSet<EndpointAddr> = wanted.iter().copied().collect();
    let known: HashSet<EndpointAddr> = before.iter().copied().collect();
    let mut fresh = target
        .iter()
        .copied()
        .filter(|backend| !known.contains(backend));
    let mut slots: Vec<Option<EndpointAddr>> = before
        .iter()
        .map(|backend| {
            target
                .contains(backend)
                .then_some(*backend)
                .or_else(|| fresh.next())
        })
        .collect();
    slots.extend(fresh.map(Some));
    let mut at = 0;
    while at < slots.len() {
        if slots[at].is_none() {
            slots.swap_remove(at);
        } else {
            at += 1;
        }
    }
    slots.into_iter().flatten().collect()
}
