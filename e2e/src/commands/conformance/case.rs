//! One row of the table: which packets go from where to where.

use std::net::SocketAddr;

use e2e::probe::Protocol;

use crate::conformance::spec::{Family, Frontend, Service};

/// Where packets come from; node-1 is the node under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A pod of node-1 that is no endpoint.
    Pod,
    /// Node-1 itself.
    Node,
    /// Node-2, by way of node-1.
    OtherNode,
    /// The client outside.
    Outside,
    /// The first pod of those that may be endpoints, on node-1.
    Endpoint,
}

impl Source {
    /// Those that are not themselves part of a Service.
    pub(crate) const ALL: [Self; 4] = [Self::Pod, Self::Node, Self::OtherNode, Self::Outside];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Node => "node",
            Self::OtherNode => "other-node",
            Self::Outside => "outside",
            Self::Endpoint => "endpoint",
        }
    }
}

/// What is sent, and how much of what comes back is compared.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// This many probes to each of the targets. If `sticky`, which pods answer is left to
    /// chance, but not how many.
    Probes {
        protocol: Protocol,
        targets: Vec<SocketAddr>,
        tries: usize,
        sticky: bool,
    },
    /// One datagram from this port, always the same.
    Flow { port: u16, target: SocketAddr },
    /// An HTTP GET of the health check port.
    Health { target: SocketAddr },
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// `<scene>/<frontend>/<source>/<family>/<protocol>`.
    pub(crate) id: String,
    /// The scene in words.
    pub(crate) description: String,
    pub(crate) family: Family,
    pub(crate) source: Source,
    pub(crate) what: What,
    /// Cases with the same text run one after another.
    pub(crate) turn: Option<String>,
}

impl Case {
    pub(crate) fn protocol(&self) -> &'static str {
        match &self.what {
            What::Probes { protocol, .. } => protocol.name(),
            What::Flow { .. } => Protocol::Udp.name(),
            What::Health { .. } => "HTTP",
        }
    }
}

/// Enough probes that one of `pods` equally likely pods is missed once in some ten thousand.
pub(crate) fn tries(pods: usize) -> usize {
    match pods {
        0 | 1 => 4,
        2 => 16,
        3 => 28,
        _ => 40,
    }
}

/// Which of a Service's cases there shall be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Breadth<'a> {
    pub(crate) frontends: &'a [Frontend],
    pub(crate) sources: &'a [Source],
    /// The sources of protocols other than TCP.
    pub(crate) datagrams: &'a [Source],
}

/// Every frontend, every source.
pub(crate) const FULL: Breadth<'_> = Breadth {
    frontends: &Frontend::ALL,
    sources: &Source::ALL,
    datagrams: &[Source::Pod, Source::Outside],
};

/// Every frontend, from a pod and from outside.
pub(crate) const BRIEF: Breadth<'_> = Breadth {
    frontends: &Frontend::ALL,
    sources: &[Source::Pod, Source::Outside],
    datagrams: &[Source::Outside],
};

/// A Service's cases: its ports at its frontends, in both families whether or not it has them,
/// and its health check port.
pub(crate) fn cases(service: &Service, description: &str, breadth: Breadth<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, source: Source, family: Family, protocol: &str, probes: What| {
        let id = [
            &service.name,
            what,
            source.name(),
            &family.name().to_lowercase(),
            &protocol.to_lowercase(),
        ];
        cases.push(Case {
            id: id.map(|part| part.to_owned()).join("/"),
            description: description.to_owned(),
            family,
            source,
            what: probes,
            // Two first connections of one client at once may each choose an endpoint.
            turn: service
                .affinity
                .map(|_| format!("{}/{source:?}/{family:?}/{protocol}", service.name)),
        });
    };
    for family in Family::BOTH {
        for port in &service.ports {
            let sources = match port.protocol {
                Protocol::Tcp => breadth.sources,
                _ => breadth.datagrams,
            };
            for source in sources {
                let mut all = Vec::new();
                for frontend in breadth.frontends {
                    let Some(target) = service.target(*frontend, family, port) else {
                        continue;
                    };
                    all.push(target);
                    let probes = What::Probes {
                        protocol: port.protocol,
                        targets: vec![target],
                        tries: tries(service.reach()),
                        sticky: service.affinity.is_some(),
                    };
                    add(frontend.name(), *source, family, port.name, probes);
                }
                if service.affinity.is_some() && all.len() > 1 {
                    let probes = What::Probes {
                        protocol: port.protocol,
                        targets: all,
                        tries: 4,
                        sticky: true,
                    };
                    add("all-frontends", *source, family, port.name, probes);
                }
            }
        }
        if let Some(port) = service.health_port() {
            let target = SocketAddr::new(family.of(e2e::address::node(1)), port);
            let health = What::Health { target };
            add("health", Source::Outside, family, "http", health);
        }
    }
    cases
}
