//! The part of the table that is there whatever the cluster holds, and the
//! shared chains that endpoint counts call for.

mod hooks;
mod localhost;
mod shared;

use crate::config::{Config, LocalDetector, Localhost, NodeportAddresses};
use crate::model::Family;
use crate::nft::ruleset::{Chain, ChainId, Counter, Header, Rule, SetId, Side, Statement, Verdict};
use hooks::hooks;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
pub(crate) use localhost::refusing;
pub(crate) use shared::{external_local, required, shared_chain};
use std::net::{Ipv4Addr, Ipv6Addr};

const ADDRESS: &[Header] = &[Header::Address(Side::Destination)];
const FRONTEND: &[Header] = &[
    Header::Address(Side::Destination),
    Header::Protocol,
    Header::Port,
];
const NODEPORT: &[Header] = &[Header::Protocol, Header::Port];
const HAIRPIN: &[Header] = &[
    Header::Address(Side::Source),
    Header::Address(Side::Destination),
    Header::Protocol,
    Header::Port,
];

const SERVICES: ChainId = ChainId::Fixed("services");
const MASQUERADE: ChainId = ChainId::Fixed("masquerading");
const CHECK_SOURCES: ChainId = ChainId::Fixed("check-sources");
const CHECK_ENDPOINTS: ChainId = ChainId::Fixed("check-endpoints");
const CHECK_NODEPORTS: ChainId = ChainId::Fixed("check-nodeport-endpoints");
const CHECK_CLUSTER_IPS: ChainId = ChainId::Fixed("check-cluster-ips");

/// The kernel's `IFNAMSIZ` without the closing NUL.
const INTERFACE_NAME_MAX: usize = 15;

/// The comment of chains that do what policy Local asks of external traffic.
pub(crate) const EXTERNAL_LOCAL: &str =
    "policy Local: pods and this node reach all endpoints, others only local ones";

/// Where frontends without any endpoint send their packets.
pub(crate) const REJECT: ChainId = ChainId::Fixed("reject-no-endpoints");

/// Where policy Local sends packets that no endpoint of this node takes.
pub(crate) const DROP: ChainId = ChainId::Fixed("drop-no-local-endpoint");

/// The sets and maps, in the order of a listing. The list of node-port
/// addresses is only there when not every local address is one, and that of
/// connections when they are counted.
pub(crate) fn sets(config: &Config) -> Vec<SetId> {
    let listed = config.nodeport_addresses != NodeportAddresses::All;
    SetId::ALL
        .into_iter()
        .filter(|set| match set {
            SetId::NodeportIps => listed,
            SetId::ServiceConnections => config.count_services,
            SetId::LocalhostNodeports => config.localhost != Localhost::Untouched,
            _ => true,
        })
        .collect()
}

/// The counters of a table under these settings, in the order of a listing.
pub fn counters(config: &Config) -> impl Iterator<Item = Counter> {
    let all = Counter::ALL.into_iter();
    all.filter(|counter| match counter {
        Counter::Invalid => config.drop_invalid,
        Counter::LocalhostNodeport(protocol) => config.localhost.refuses(*protocol),
        _ => true,
    })
}

/// The chains that are always there, each after those that it refers to.
pub(crate) fn chains(config: &Config, service_cidrs: &[IpNet]) -> Vec<Chain> {
    let mut chains = vec![
        plain(
            REJECT,
            "no endpoint anywhere: answer with port unreachable",
            vec![rule([
                Statement::Count(Counter::NoEndpoint),
                Statement::Reject,
            ])],
        ),
        plain(
            DROP,
            "policy Local, and no endpoint on this node",
            vec![rule([
                Statement::Count(Counter::NoLocalEndpoint),
                Statement::Verdict(Verdict::Drop),
            ])],
        ),
        plain(
            SERVICES,
            "send new connections to an endpoint",
            dispatch(config),
        ),
        plain(
            MASQUERADE,
            "give marked and hairpin connections this node's address",
            vec![
                rule([
                    Statement::MarkHas(config.masquerade_mark),
                    Statement::MarkXor(config.masquerade_mark),
                    Statement::Masquerade,
                ]),
                rule([
                    Statement::CtStatusDnat,
                    is_in(HAIRPIN, SetId::Hairpin),
                    Statement::Masquerade,
                ]),
            ],
        ),
        plain(
            CHECK_SOURCES,
            "loadBalancerSourceRanges: drop all other sources",
            vec![rule([Statement::VerdictMap {
                key: FRONTEND,
                map: SetId::SourceChecked,
            }])],
        ),
        plain(
            CHECK_ENDPOINTS,
            "frontends that nothing serves",
            vec![rule([Statement::VerdictMap {
                key: FRONTEND,
                map: SetId::NoEndpoints,
            }])],
        ),
        plain(
            CHECK_NODEPORTS,
            "node ports that nothing serves",
            [rule(nodeport_addresses(config).into_iter().chain([
                Statement::VerdictMap {
                    key: NODEPORT,
                    map: SetId::NodeportNoEndpoints,
                },
            ]))]
            .into_iter()
            .chain(localhost::check(config))
            .collect(),
        ),
        check_cluster_ips(service_cidrs),
    ];
    chains.extend(localhost::chains(config));
    chains.extend(hooks(config));
    chains
}

/// Rejects unknown ports of cluster IPs and drops what no Service was given.
/// Changes with the ServiceCIDRs.
pub(crate) fn check_cluster_ips(service_cidrs: &[IpNet]) -> Chain {
    let known = rule([
        is_in(ADDRESS, SetId::ClusterIps),
        Statement::Count(Counter::WrongPort),
        Statement::Reject,
    ]);
    let unallocated = service_cidrs.iter().map(|cidr| {
        rule([
            to(*cidr, false),
            Statement::Count(Counter::UnallocatedClusterIp),
            Statement::Verdict(Verdict::Drop),
        ])
    });
    plain(
        CHECK_CLUSTER_IPS,
        "other ports of a cluster IP: reject; unallocated cluster IPs: drop",
        [known].into_iter().chain(unallocated).collect(),
    )
}

/// docs/reference.md#chain-services.
fn dispatch(config: &Config) -> Vec<Rule> {
    let to_cluster_ip = is_in(ADDRESS, SetId::ClusterIps);
    let mark = Statement::MarkOr(config.masquerade_mark);
    let mut rules = Vec::new();
    if config.masquerade_all {
        rules.push(rule([to_cluster_ip, mark]));
    } else if let Some(from_elsewhere) = from_local_pod(config, true) {
        rules.push(rule([to_cluster_ip, from_elsewhere, mark]));
    }
    rules.push(rule([Statement::VerdictMap {
        key: FRONTEND,
        map: SetId::Services,
    }]));
    rules.push(rule(nodeport_addresses(config).into_iter().chain([
        Statement::VerdictMap {
            key: NODEPORT,
            map: SetId::Nodeports,
        },
    ])));
    rules
}

fn from_local_pod(config: &Config, negated: bool) -> Option<Statement> {
    match &config.local_detector {
        LocalDetector::None => None,
        LocalDetector::Source(prefix) => Some(Statement::Address {
            side: Side::Source,
            prefix: *prefix,
            negated,
        }),
        LocalDetector::Interface { name, wildcard } => Some(Statement::InputInterface {
            name: name.clone(),
            // Only that very name begins with so many characters, and nft has
            // no room for a star behind them.
            wildcard: *wildcard && name.len() < INTERFACE_NAME_MAX,
            negated,
        }),
    }
}

fn nodeport_addresses(config: &Config) -> Vec<Statement> {
    match config.nodeport_addresses {
        NodeportAddresses::All => {
            vec![
                Statement::FibLocal(Side::Destination),
                to(loopback(config.family), true),
            ]
        }
        NodeportAddresses::Within(_) => {
            vec![is_in(ADDRESS, SetId::NodeportIps)]
        }
    }
}

/// Never a node port, not even when all local addresses are meant.
fn loopback(family: Family) -> IpNet {
    match family {
        Family::V4 => Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).into(),
        Family::V6 => Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128).into(),
    }
}

fn to(prefix: IpNet, negated: bool) -> Statement {
    Statement::Address {
        side: Side::Destination,
        prefix,
        negated,
    }
}

fn is_in(key: &'static [Header], set: SetId) -> Statement {
    Statement::InSet {
        key,
        set,
        negated: false,
    }
}

fn plain(id: ChainId, comment: &'static str, rules: Vec<Rule>) -> Chain {
    Chain {
        id,
        hook: None,
        comment,
        rules,
    }
}

/// Counts the connection for the frontend that the client knows. A rule of its own, so that a full
/// set does not keep anybody from an endpoint.
pub(crate) fn count_frontend(config: &Config) -> Option<Rule> {
    let count = Statement::CountIn {
        key: FRONTEND,
        set: SetId::ServiceConnections,
    };
    config.count_services.then(|| rule([count]))
}

pub(crate) fn rule(statements: impl IntoIterator<Item = Statement>) -> Rule {
    Rule {
        statements: statements.into_iter().collect(),
    }
}
