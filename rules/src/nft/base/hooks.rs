//! The base chains, where packets come in.

use super::{
    CHECK_CLUSTER_IPS, CHECK_ENDPOINTS, CHECK_NODEPORTS, CHECK_SOURCES, MASQUERADE, SERVICES, rule,
};
use crate::config::Config;
use crate::nft::ruleset::{
    Chain, ChainId, Counter, Hook, HookKind, HookPoint, Rule, Statement, Verdict,
};

/// docs/reference.md#base-chains. Priorities are the kernel's own names: dstnat is
/// -100, srcnat 100, filter 0.
pub(super) fn hooks(config: &Config) -> Vec<Chain> {
    use HookKind::{Filter, Nat};
    use HookPoint::{Forward, Input, Output, Postrouting, Prerouting};
    /// Sources are checked while the destination is still the frontend.
    const BEFORE_DSTNAT: i32 = -110;
    let new = |chain| {
        rule([
            Statement::CtStateNew,
            Statement::Verdict(Verdict::Jump(chain)),
        ])
    };
    let all = |chain| rule([Statement::Verdict(Verdict::Jump(chain))]);
    // First of all, as upstream has it in mode iptables: what is invalid would pass untranslated
    // (kubernetes/kubernetes#74839).
    let invalid = config.drop_invalid.then(|| {
        rule([
            Statement::CtStateInvalid,
            Statement::Count(Counter::Invalid),
            Statement::Verdict(Verdict::Drop),
        ])
    });
    let endpoints = [new(CHECK_ENDPOINTS), new(CHECK_CLUSTER_IPS)];
    vec![
        hook(
            "filter-prerouting-pre-dnat",
            Filter,
            Prerouting,
            BEFORE_DSTNAT,
            vec![new(CHECK_SOURCES)],
        ),
        hook(
            "filter-output-pre-dnat",
            Filter,
            Output,
            BEFORE_DSTNAT,
            vec![new(CHECK_SOURCES)],
        ),
        hook(
            "filter-input",
            Filter,
            Input,
            0,
            vec![new(CHECK_NODEPORTS), new(CHECK_ENDPOINTS)],
        ),
        hook(
            "filter-forward",
            Filter,
            Forward,
            0,
            invalid.into_iter().chain(endpoints).collect(),
        ),
        hook(
            "filter-output",
            Filter,
            Output,
            0,
            vec![new(CHECK_ENDPOINTS), new(CHECK_CLUSTER_IPS)],
        ),
        hook("nat-prerouting", Nat, Prerouting, -100, vec![all(SERVICES)]),
        hook("nat-output", Nat, Output, -100, vec![all(SERVICES)]),
        hook(
            "nat-postrouting",
            Nat,
            Postrouting,
            100,
            vec![all(MASQUERADE)],
        ),
    ]
}

fn hook(
    name: &'static str,
    kind: HookKind,
    point: HookPoint,
    priority: i32,
    rules: Vec<Rule>,
) -> Chain {
    let hook = Some(Hook {
        kind,
        point,
        priority,
    });
    Chain {
        id: ChainId::Fixed(name),
        hook,
        comment: "",
        rules,
    }
}
