//! What one Service port has in the table.

use super::comment;
use crate::affinity::Affinity;
use crate::base;
use crate::model::{Backend, Frontend, ObjectName, Protocol};
use crate::ruleset::{ChainId, Element, Key, PortChain, PortName, PortRole, SetId, Value, Verdict};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How one frontend is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serving {
    /// All endpoints.
    Cluster { masquerade: bool },
    /// This node's endpoints.
    Local,
    /// This node's endpoints for outside clients, all of them for others.
    ExternalLocal,
    /// No endpoint anywhere.
    Reject,
    /// Policy Local, and none of the endpoints is here.
    Drop,
}

/// What one Service port needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PortPlan {
    pub(super) name: Arc<str>,
    pub(super) protocol: Protocol,
    pub(super) number: u16,
    /// How long a client keeps its endpoint, in seconds.
    pub(super) affinity: Option<u32>,
    pub(super) frontends: Box<[(Frontend, Serving)]>,
    /// In the order of their index: see `keep_order`.
    pub(super) cluster: Box<[Backend]>,
    pub(super) local: Box<[Backend]>,
    pub(super) hairpin: Box<[Backend]>,
}

impl PortPlan {
    /// Calls `make` if the port has affinity and a frontend that uses it.
    pub(super) fn with_affinity<T>(
        &self,
        service: &ObjectName,
        make: impl FnOnce(&Affinity<'_>, BTreeSet<PortRole>) -> T,
    ) -> Option<T> {
        let seconds = self.affinity?;
        let servings = self.frontends.iter().map(|(_, serving)| *serving);
        let roles: BTreeSet<PortRole> = servings.filter_map(affinity_role).collect();
        if roles.is_empty() {
            return None;
        }
        let affinity = Affinity {
            port: &PortName::new(service, self.protocol, self.number),
            protocol: self.protocol,
            seconds,
            cluster: &self.cluster,
            local: &self.local,
        };
        Some(make(&affinity, roles))
    }

    /// A frontend has two verdicts at most.
    pub(super) fn element_estimate(&self) -> usize {
        let of_frontend = 2 + self.cluster.len() + self.local.len();
        self.frontends.len() * of_frontend + self.hairpin.len()
    }

    pub(super) fn add_elements(
        &self,
        service: &ObjectName,
        wanted: &impl Fn(SetId) -> bool,
        elements: &mut Vec<(SetId, Element)>,
    ) {
        let port = self
            .affinity
            .map(|_| PortName::new(service, self.protocol, self.number));
        let mut text = None;
        for (frontend, serving) in &self.frontends {
            let (services, nobody) = match frontend.address {
                Some(_) => (SetId::Services, SetId::NoEndpoints),
                None => (SetId::Nodeports, SetId::NodeportNoEndpoints),
            };
            let mut verdict = |set, verdict| {
                let comment = text.get_or_insert_with(|| comment(service, &self.name));
                let element = Element {
                    key: Key::Frontend(*frontend),
                    value: Some(Value::Verdict(verdict)),
                    comment: Some(comment.clone()),
                };
                elements.push((set, element));
            };
            if wanted(services)
                && let Some(chain) = self.chain(port.as_ref(), *serving, frontend.address.is_none())
            {
                verdict(services, Verdict::Goto(chain));
            }
            if wanted(nobody)
                && let Some(what) = self.without_endpoints(*serving)
            {
                verdict(nobody, what);
            }
            // With affinity the chains themselves name the endpoints.
            if port.is_none() {
                self.add_backends(*frontend, *serving, wanted, elements);
            }
        }
    }

    /// What becomes of a frontend's packets that no endpoint takes.
    fn without_endpoints(&self, serving: Serving) -> Option<Verdict> {
        match serving {
            Serving::Reject => Some(Verdict::Goto(base::REJECT)),
            Serving::Drop => Some(Verdict::Drop),
            Serving::ExternalLocal if self.local.is_empty() => Some(Verdict::Drop),
            _ => None,
        }
    }

    /// The chain that a frontend goes to; `port` names one with affinity.
    fn chain(&self, port: Option<&PortName>, serving: Serving, nodeport: bool) -> Option<ChainId> {
        if let Some(port) = port {
            let role = affinity_role(serving)?;
            let port = port.clone();
            return Some(ChainId::Port(PortChain { port, role }));
        }
        let all = count(&self.cluster);
        let local = count(&self.local);
        match serving {
            Serving::Cluster { masquerade } => Some(ChainId::Cluster {
                endpoints: all,
                masquerade,
                nodeport,
            }),
            Serving::Local => Some(ChainId::Local {
                endpoints: local,
                nodeport,
            }),
            Serving::ExternalLocal => Some(ChainId::ExternalLocal {
                local,
                all,
                nodeport,
            }),
            Serving::Reject | Serving::Drop => None,
        }
    }

    fn add_backends(
        &self,
        frontend: Frontend,
        serving: Serving,
        wanted: &impl Fn(SetId) -> bool,
        elements: &mut Vec<(SetId, Element)>,
    ) {
        let (all, local) = match frontend.address {
            Some(_) => (SetId::Endpoints, SetId::LocalEndpoints),
            None => (SetId::NodeportEndpoints, SetId::NodeportLocalEndpoints),
        };
        let mut add = |set, backends: &[Backend]| {
            if !wanted(set) {
                return;
            }
            elements.reserve_exact(backends.len());
            for (index, backend) in (0u32..).zip(backends) {
                let key = Key::Indexed(frontend, index);
                let value = Some(Value::Backend(*backend));
                elements.push((
                    set,
                    Element {
                        key,
                        value,
                        comment: None,
                    },
                ));
            }
        };
        if matches!(serving, Serving::Cluster { .. } | Serving::ExternalLocal) {
            add(all, &self.cluster);
        }
        if matches!(serving, Serving::Local | Serving::ExternalLocal) {
            add(local, &self.local);
        }
    }
}

fn affinity_role(serving: Serving) -> Option<PortRole> {
    match serving {
        Serving::Cluster { masquerade: false } => Some(PortRole::Cluster),
        Serving::Cluster { masquerade: true } => Some(PortRole::Masquerade),
        Serving::Local => Some(PortRole::Local),
        Serving::ExternalLocal => Some(PortRole::ExternalLocal),
        Serving::Reject | Serving::Drop => None,
    }
}

fn count(backends: &[Backend]) -> u32 {
    u32::try_from(backends.len()).unwrap_or(u32::MAX)
}
