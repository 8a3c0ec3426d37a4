//! Chains and sets that single Service ports have of their own: those with
//! session affinity ClientIP (docs/reference.md#session-affinity), and those with many
//! frontends, whose endpoints are listed once for all of them.
//!
//! With affinity, a client is in the set of the endpoint that it was sent to,
//! for as long as the timeout after its last connection. All frontends of a port
//! share the sets. An endpoint that goes takes its set along, so no entry can
//! hold a client to it.

use crate::config::Config;
use crate::model::{EndpointAddr, Protocol};
use crate::nft::base::{self, rule};
use crate::nft::ruleset::{
    AffinitySet, Chain, ChainId, Counter, Pick, PortChain, PortKind, PortName, PortRole, Rule,
    Statement, Verdict,
};

pub(crate) const REMEMBER: &str =
    "session affinity: to the client's last endpoint, or else to a random one";

/// How a port's own chains choose an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Balance {
    /// The one that remembers the client, or a random one, which does from then
    /// on for so many seconds.
    Affinity(u32),
    /// One of a list in `port-endpoints`: where those of `cluster` begin, and
    /// those of `local`.
    List {
        pick: Pick,
        cluster: u32,
        local: u32,
    },
}

impl Balance {
    pub(crate) fn kind(self) -> PortKind {
        match self {
            Self::Affinity(_) => PortKind::Affinity,
            Self::List { .. } => PortKind::List,
        }
    }
}

/// A port with chains of its own, and the endpoints that its frontends use.
pub(crate) struct PortChains<'a> {
    pub(crate) port: &'a PortName,
    pub(crate) protocol: Protocol,
    pub(crate) balance: Balance,
    pub(crate) cluster: &'a [EndpointAddr],
    pub(crate) local: &'a [EndpointAddr],
}

impl PortChains<'_> {
    /// One set of clients for each endpoint, in the order of their addresses.
    pub(crate) fn sets(&self) -> Vec<AffinitySet> {
        let backends = self.remembering().into_iter();
        backends.map(|backend| self.set(backend)).collect()
    }

    /// The chains that the roles need, each after those that it goes on to.
    pub(crate) fn chains(
        &self,
        config: &Config,
        roles: impl IntoIterator<Item = PortRole>,
    ) -> Vec<Chain> {
        let backends = self.remembering().into_iter();
        let mut wanted: Vec<PortRole> = backends.map(PortRole::Endpoint).collect();
        for role in roles {
            wanted.extend(required(role, !self.local.is_empty()));
            wanted.push(role);
        }
        // The order of the roles is the order in which they may refer.
        wanted.sort_unstable();
        wanted.dedup();
        let chains = wanted.into_iter();
        chains.map(|role| self.chain(config, role)).collect()
    }

    fn chain(&self, config: &Config, role: PortRole) -> Chain {
        let (comment, rules) = match role {
            PortRole::Endpoint(backend) => ("", self.endpoint(backend)),
            PortRole::Cluster => self.pick(config, self.cluster, false),
            PortRole::Local => self.pick(config, self.local, true),
            PortRole::Masquerade => {
                let mark = Statement::MarkOr(config.masquerade_mark);
                ("", vec![rule([mark, self.goto(PortRole::Cluster)])])
            }
            PortRole::ExternalLocal => {
                let local = (!self.local.is_empty()).then(|| self.id(PortRole::Local));
                let (cluster, marked) = (PortRole::Cluster, PortRole::Masquerade);
                let rules = base::external_local(config, self.id(cluster), self.id(marked), local);
                (base::EXTERNAL_LOCAL, rules)
            }
        };
        Chain {
            id: self.id(role),
            hook: None,
            comment,
            rules,
        }
    }

    fn endpoint(&self, backend: EndpointAddr) -> Vec<Rule> {
        let remember = match self.balance {
            Balance::Affinity(seconds) => Some(Statement::UpdateAffinity {
                set: self.set(backend),
                seconds,
            }),
            Balance::List { .. } => None,
        };
        let translate = Statement::DnatTo {
            protocol: self.protocol,
            backend,
        };
        // Apart, so that a full set does not keep anybody from the endpoint.
        let remember = remember.map(|own| rule([own]));
        let translate = rule([Statement::Count(Counter::Connections), translate]);
        remember.into_iter().chain([translate]).collect()
    }

    fn pick(
        &self,
        config: &Config,
        backends: &[EndpointAddr],
        is_local: bool,
    ) -> (&'static str, Vec<Rule>) {
        let count = base::count_frontend(config).into_iter();
        let Balance::List {
            pick,
            cluster,
            local,
        } = self.balance
        else {
            return (
                REMEMBER,
                count.chain(self.remember_or_pick(backends)).collect(),
            );
        };
        let one = Statement::DnatListed {
            protocol: self.protocol,
            pick,
            count: u32::try_from(backends.len()).unwrap_or(u32::MAX),
            first: if is_local { local } else { cluster },
        };
        let one = rule([Statement::Count(Counter::Connections), one]);
        ("", count.chain([one]).collect())
    }

    /// Back to where the client was, or to one at random: the first with a
    /// chance of one in n, the next with one in n-1, the last in any case.
    fn remember_or_pick(&self, backends: &[EndpointAddr]) -> Vec<Rule> {
        let known = backends.iter().map(|backend| {
            rule([
                Statement::InAffinity(self.set(*backend)),
                self.goto(PortRole::Endpoint(*backend)),
            ])
        });
        let count = u32::try_from(backends.len()).unwrap_or(u32::MAX);
        let random = backends.iter().zip(0..count).map(|(backend, before)| {
            let left = count - before;
            let chance = (left > 1).then_some(Statement::OneIn(left));
            rule(
                chance
                    .into_iter()
                    .chain([self.goto(PortRole::Endpoint(*backend))]),
            )
        });
        known.chain(random).collect()
    }

    /// The endpoints that remember clients.
    fn remembering(&self) -> Vec<EndpointAddr> {
        if matches!(self.balance, Balance::List { .. }) {
            return Vec::new();
        }
        let mut all: Vec<EndpointAddr> = self.cluster.iter().chain(self.local).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn set(&self, backend: EndpointAddr) -> AffinitySet {
        let port = self.port.clone();
        AffinitySet { port, backend }
    }

    fn id(&self, role: PortRole) -> ChainId {
        ChainId::Port(PortChain {
            port: self.port.clone(),
            kind: self.balance.kind(),
            role,
        })
    }

    fn goto(&self, role: PortRole) -> Statement {
        Statement::Verdict(Verdict::Goto(self.id(role)))
    }
}

/// The roles that a role goes on to, endpoints aside.
fn required(role: PortRole, any_local: bool) -> Vec<PortRole> {
    use PortRole::{Cluster, Endpoint, ExternalLocal, Local, Masquerade};
    match role {
        Endpoint(_) | Cluster | Local => Vec::new(),
        Masquerade => vec![Cluster],
        ExternalLocal if any_local => vec![Cluster, Masquerade, Local],
        ExternalLocal => vec![Cluster, Masquerade],
    }
}
