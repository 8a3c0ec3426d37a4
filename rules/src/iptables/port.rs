//! What one Service port adds.

use super::content::{Content, Ruleset};
use super::names::{self, ChainName, PortChains};
use super::rule::{Address, Is, Match, Rule, Target, comment, jump, rule};
use super::top::{
    EXTERNAL_SERVICES, LOCALHOST_ACCEPTED, MARK_MASQ, NODEPORTS, PROXY_FIREWALL, SERVICES,
    loopback, serves_localhost,
};
use crate::model::{Frontend, ObjectName, Protocol};
use crate::plan::{FrontendKind, PortPlan, ServicePlan, Serving};
use crate::{Config, LocalDetector};

/// What all ports are built with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Build<'a> {
    pub(super) config: &'a Config,
    /// Rules of endpoints carry no comments, as there are many of them.
    pub(super) large: bool,
}

/// With more listed endpoints than this in all, rules of endpoints carry no comments: upstream's
/// large-cluster mode (`largeClusterEndpointsThreshold`).
pub(super) const LARGE: usize = 1000;

/// One port, with its names.
pub(super) struct Port<'a> {
    pub(super) build: Build<'a>,
    service: &'a ServicePlan,
    pub(super) plan: &'a PortPlan,
    /// `namespace/service:port`.
    pub(super) name: String,
    pub(super) chains: PortChains,
}

impl<'a> Port<'a> {
    pub(super) fn new(
        build: Build<'a>,
        name: &ObjectName,
        service: &'a ServicePlan,
        plan: &'a PortPlan,
    ) -> Self {
        let name = names::port_name(name, &plan.name);
        Self {
            chains: PortChains::of(&name, plan.protocol),
            build,
            service,
            plan,
            name,
        }
    }

    /// Adds its rules in chains that all ports share, in upstream's order.
    pub(super) fn add_shared(&self, out: &mut Ruleset) {
        self.cluster_ips(out);
        self.addresses(FrontendKind::ExternalIp, out);
        self.addresses(FrontendKind::LoadBalancerIp, out);
        self.node_ports(out);
        self.health(&mut out.filter);
    }

    /// Adds its own chains and their rules but those of its endpoints, in upstream's order.
    pub(super) fn add_own(&self, nat: &mut Content) {
        self.cluster_ip_masquerade(nat);
        self.external_chain(nat);
        self.firewall_chain(nat);
    }

    fn cluster_ips(&self, out: &mut Ruleset) {
        for (frontend, serving) in self.plan.of_kind(FrontendKind::ClusterIp) {
            if let Some(chain) = self.inside(serving) {
                let matches = self.to(frontend, &format!("{} cluster IP", self.name));
                out.nat.add(SERVICES, jump(chain, matches));
            }
            if let Some((why, target)) = self.unserved(serving) {
                out.filter
                    .add(SERVICES, rule(self.to(frontend, &why), target));
            }
        }
    }

    /// External or load-balancer IPs.
    fn addresses(&self, kind: FrontendKind, out: &mut Ruleset) {
        let checked = kind == FrontendKind::LoadBalancerIp && self.has_firewall();
        let (words, chain) = match kind {
            FrontendKind::ExternalIp => ("external IP", self.chains.external),
            _ if checked => ("loadbalancer IP", self.chains.firewall),
            _ => ("loadbalancer IP", self.chains.external),
        };
        for (frontend, serving) in self.plan.of_kind(kind) {
            if serving.is_served() {
                let matches = self.to(frontend, &format!("{} {words}", self.name));
                out.nat.add(SERVICES, jump(chain, matches));
            }
            if checked {
                let why = format!(
                    "{} traffic not accepted by {}",
                    self.name, self.chains.firewall
                );
                let rule = rule(self.to(frontend, &why), Target::Drop);
                out.filter.add(PROXY_FIREWALL, rule);
            }
            if let Some((why, target)) = self.unserved(serving) {
                let rule = rule(self.to(frontend, &why), target);
                out.filter.add(EXTERNAL_SERVICES, rule);
            }
        }
    }

    fn node_ports(&self, out: &mut Ruleset) {
        let config = self.build.config;
        for (Frontend { port, protocol, .. }, serving) in self.plan.of_kind(FrontendKind::NodePort)
        {
            let is_port = || [Match::Protocol(protocol), Match::Port(port)];
            if serving.is_served() {
                if serves_localhost(config) && config.counters.localhost_nodeports {
                    let matches = [
                        comment(&*self.name),
                        Match::Protocol(protocol),
                        Match::Destination(Is::So, loopback(config.family)),
                        Match::Port(port),
                        Match::Count(LOCALHOST_ACCEPTED),
                    ];
                    out.nat.add(NODEPORTS, jump(self.chains.external, matches));
                }
                let matches = [comment(&*self.name)].into_iter().chain(is_port());
                out.nat.add(NODEPORTS, jump(self.chains.external, matches));
            }
            if let Some((why, target)) = self.unserved(serving) {
                let matches = [comment(why), Match::DestinationIsLocal];
                let rule = rule(matches.into_iter().chain(is_port()), target);
                out.filter.add(EXTERNAL_SERVICES, rule);
            }
        }
    }

    fn health(&self, filter: &mut Content) {
        let Some(health) = self.service.health else {
            return;
        };
        let matches = [
            comment(format!("{} health check node port", self.name)),
            Match::Protocol(Protocol::Tcp),
            Match::Port(health.port),
        ];
        filter.add(NODEPORTS, rule(matches, Target::Accept));
    }

    /// What comes from outside of the cluster to a cluster IP may leave the node again.
    fn cluster_ip_masquerade(&self, nat: &mut Content) {
        let config = self.build.config;
        let from_outside = local(&config.local_detector, Is::Not);
        if !config.masquerade_all && from_outside.is_none() {
            return;
        }
        let from_outside = from_outside.filter(|_| !config.masquerade_all);
        for (frontend, serving) in self.plan.of_kind(FrontendKind::ClusterIp) {
            if let Some(chain) = self.inside(serving) {
                let matches = self.to(frontend, &format!("{} cluster IP", self.name));
                nat.add(
                    chain,
                    jump(MARK_MASQ, matches.into_iter().chain(from_outside.clone())),
                );
            }
        }
    }

    /// Where all that comes to anything but a cluster IP goes.
    fn external_chain(&self, nat: &mut Content) {
        let outside = self.outside();
        let Some(serving) = outside.filter(|serving| serving.is_served()) else {
            return;
        };
        let chain = self.chains.external;
        nat.chains.push(chain);
        for rule in self.external_rules(serving) {
            nat.add(chain, rule);
        }
        let then = match serving {
            Serving::Cluster { .. } => Some(self.chains.cluster),
            _ => (!self.plan.local.is_empty()).then_some(self.chains.local),
        };
        if let Some(then) = then {
            nat.add(chain, jump(then, []));
        }
    }

    /// Under policy Local pods and the node itself reach all endpoints, as they would by way of a
    /// load balancer.
    fn external_rules(&self, serving: Serving) -> Vec<Rule> {
        let name = &self.name;
        let of = |what: &str| comment(format!("{what} for {name} external destinations"));
        if matches!(serving, Serving::Cluster { .. }) {
            return vec![jump(MARK_MASQ, [of("masquerade traffic")])];
        }
        let pods = local(&self.build.config.local_detector, Is::So)
            .map(|from_pod| jump(self.chains.cluster, [of("pod traffic"), from_pod]));
        let node = [
            (MARK_MASQ, "masquerade LOCAL traffic"),
            (self.chains.cluster, "route LOCAL traffic"),
        ];
        let node = node.map(|(to, what)| jump(to, [of(what), Match::SourceIsLocal]));
        pods.into_iter().chain(node).collect()
    }

    fn firewall_chain(&self, nat: &mut Content) {
        let sources = self.service.sources.as_ref();
        let Some(sources) = sources.filter(|_| self.has_firewall()) else {
            return;
        };
        let (chain, name) = (self.chains.firewall, &self.name);
        nat.chains.push(chain);
        for range in &sources.allowed {
            let matches = [
                comment(format!("{name} loadbalancer IP")),
                Match::Source(Is::So, Address::Range(*range)),
            ];
            nat.add(chain, jump(self.chains.external, matches));
        }
        let others = format!("other traffic to {name} will be dropped by {PROXY_FIREWALL}");
        let only_words = Rule {
            matches: vec![comment(others)],
            target: None,
        };
        nat.add(chain, only_words);
    }

    /// Whether source ranges guard its load-balancer IPs: only if there is something to guard.
    fn has_firewall(&self) -> bool {
        let mut guarded = self.plan.of_kind(FrontendKind::LoadBalancerIp);
        self.service.sources.is_some() && guarded.any(|(_, serving)| serving.is_served())
    }

    /// How its frontends but cluster IPs are served, if it has one.
    fn outside(&self) -> Option<Serving> {
        let all = self.plan.frontends.iter().zip(&self.plan.kinds);
        let mut outside = all.filter(|(_, kind)| **kind != FrontendKind::ClusterIp);
        outside.next().map(|((_, serving), _)| *serving)
    }

    /// Where a cluster IP's traffic goes, if anywhere.
    fn inside(&self, serving: Serving) -> Option<ChainName> {
        match serving {
            Serving::Cluster { .. } => Some(self.chains.cluster),
            Serving::Local => Some(self.chains.local),
            Serving::ExternalLocal | Serving::Reject | Serving::Drop => None,
        }
    }

    /// Why and how packets end that no endpoint gets, if there may be any.
    fn unserved(&self, serving: Serving) -> Option<(String, Target)> {
        let nowhere = serving == Serving::Drop
            || serving == Serving::ExternalLocal && self.plan.local.is_empty();
        match serving {
            Serving::Reject => Some((format!("{} has no endpoints", self.name), Target::Reject)),
            _ if nowhere => {
                let why = format!("{} has no local endpoints", self.name);
                Some((why, Target::Drop))
            }
            _ => None,
        }
    }

    /// What is sent to an address and port.
    fn to(&self, frontend: Frontend, why: &str) -> Vec<Match> {
        let address = frontend.address.map(Address::One);
        let address = address.map(|own| Match::Destination(Is::So, own));
        [comment(why), Match::Protocol(frontend.protocol)]
            .into_iter()
            .chain(address)
            .chain([Match::Port(frontend.port)])
            .collect()
    }
}

/// What comes from pods of this node, or what does not; `None` if they are not known.
fn local(detector: &LocalDetector, is: Is) -> Option<Match> {
    /// The kernel's `IFNAMSIZ` without the closing NUL; `+` takes a place of it.
    const INTERFACE_NAME_MAX: usize = 15;
    match detector {
        LocalDetector::None => None,
        LocalDetector::Source(range) => Some(Match::Source(is, Address::Range(*range))),
        LocalDetector::Interface { name, wildcard } => Some(Match::Interface {
            is,
            name: name.clone(),
            // Only that very name begins with so many characters.
            wildcard: *wildcard && name.len() < INTERFACE_NAME_MAX,
        }),
    }
}
