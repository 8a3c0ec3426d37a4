//! Chains that Services share: those that pick one of some number of endpoints, those of external
//! policy Local, and those that check sources.

use super::{EXTERNAL_LOCAL, FRONTEND, NODEPORT, count_frontend, from_local_pod, plain, rule};
use crate::config::Config;
use crate::nft::ruleset::{
    Chain, ChainId, Counter, Rule, SetId, Side, SourceSet, Statement, Verdict,
};
use ipnet::IpNet;

/// The rules of a pick chain, an external policy chain or one that checks
/// sources.
pub(crate) fn shared_chain(config: &Config, id: &ChainId) -> Option<Chain> {
    let (comment, rules) = match *id {
        ChainId::Fixed(_) | ChainId::Port(_) => return None,
        ChainId::Sources(ref own) => ("", vec![drop_others(own)]),
        ChainId::Cluster {
            endpoints,
            masquerade,
            nodeport,
        } => {
            let mark = masquerade.then_some(Statement::MarkOr(config.masquerade_mark));
            let pick = pick(nodeport, false, endpoints);
            ("", counted(config, mark.into_iter().chain(pick)))
        }
        ChainId::Local {
            endpoints,
            nodeport,
        } => ("", counted(config, pick(nodeport, true, endpoints))),
        ChainId::ExternalLocal {
            local,
            all,
            nodeport,
        } => {
            let cluster = |masquerade| ChainId::Cluster {
                endpoints: all,
                masquerade,
                nodeport,
            };
            let local = (local > 0).then_some(ChainId::Local {
                endpoints: local,
                nodeport,
            });
            let rules = external_local(config, cluster(false), cluster(true), local);
            (EXTERNAL_LOCAL, rules)
        }
    };
    Some(plain(id.clone(), comment, rules))
}

/// Few ranges are compared one after the other, many are looked up.
fn drop_others(sources: &SourceSet) -> Rule {
    let outside = |range: &IpNet| Statement::Address {
        side: Side::Source,
        prefix: *range,
        negated: true,
    };
    let mut statements: Vec<Statement> = match sources.is_set() {
        true => vec![Statement::NotFrom(sources.clone())],
        false => sources.ranges().iter().map(outside).collect(),
    };
    statements.push(Statement::Count(Counter::SourceRange));
    statements.push(Statement::Verdict(Verdict::Drop));
    rule(statements)
}

/// The chains that a chain goes on to.
pub(crate) fn required(config: &Config, id: &ChainId) -> Vec<ChainId> {
    let chain = shared_chain(config, id);
    let statements = chain
        .iter()
        .flat_map(|chain| &chain.rules)
        .flat_map(|rule| &rule.statements);
    statements
        .filter_map(|statement| match statement {
            Statement::Verdict(Verdict::Goto(next)) => Some(next.clone()),
            _ => None,
        })
        .collect()
}

/// docs/reference.md#traffic-policies, what is external under policy Local.
pub(crate) fn external_local(
    config: &Config,
    cluster: ChainId,
    masquerade: ChainId,
    local: Option<ChainId>,
) -> Vec<Rule> {
    let goto = |chain| Statement::Verdict(Verdict::Goto(chain));
    let mut rules = Vec::new();
    if let Some(from_pod) = from_local_pod(config, false) {
        rules.push(rule([from_pod, goto(cluster)]));
    }
    rules.push(rule([Statement::FibLocal(Side::Source), goto(masquerade)]));
    rules.extend(local.map(|chain| rule([goto(chain)])));
    rules
}

/// Rules that count a connection for its frontend, and then do this.
fn counted(config: &Config, statements: impl IntoIterator<Item = Statement>) -> Vec<Rule> {
    let count = count_frontend(config).into_iter();
    count.chain([rule(statements)]).collect()
}

fn pick(nodeport: bool, local: bool, endpoints: u32) -> [Statement; 2] {
    let map = match (nodeport, local) {
        (false, false) => SetId::Endpoints,
        (false, true) => SetId::LocalEndpoints,
        (true, false) => SetId::NodeportEndpoints,
        (true, true) => SetId::NodeportLocalEndpoints,
    };
    let key = if nodeport { NODEPORT } else { FRONTEND };
    let translate = Statement::Dnat {
        key,
        modulus: endpoints,
        map,
    };
    [Statement::Count(Counter::Connections), translate]
}
