//! Node ports on loopback addresses, which no rule can bring to an endpoint: they are refused and
//! counted by protocol (KEP-6032), but for those that the proxy serves.

use super::{NODEPORT, loopback, plain, rule, to};
use crate::config::{Config, Localhost};
use crate::model::Protocol;
use crate::nft::ruleset::{Chain, ChainId, Counter, Rule, SetId, Statement};

const ALL: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];

/// The chain that a protocol's node ports go to on loopback addresses.
pub(crate) fn refusing(protocol: Protocol) -> ChainId {
    ChainId::Fixed(match protocol {
        Protocol::Tcp => "refuse-localhost-tcp",
        Protocol::Udp => "refuse-localhost-udp",
        Protocol::Sctp => "refuse-localhost-sctp",
    })
}

/// The chains of the protocols that are refused.
pub(super) fn chains(config: &Config) -> impl Iterator<Item = Chain> {
    let refused = ALL.into_iter();
    let refused = refused.filter(|protocol| config.localhost.refuses(*protocol));
    refused.map(|protocol| {
        let count = Statement::Count(Counter::LocalhostNodeport(protocol));
        plain(
            refusing(protocol),
            "a node port on a loopback address, which nothing here serves",
            vec![rule([count, Statement::Reject])],
        )
    })
}

/// The rule that sends them there.
pub(super) fn check(config: &Config) -> Option<Rule> {
    (config.localhost != Localhost::Untouched).then(|| {
        let map = Statement::VerdictMap {
            key: NODEPORT,
            map: SetId::LocalhostNodeports,
        };
        rule([to(loopback(config.family), false), map])
    })
}
