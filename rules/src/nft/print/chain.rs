//! Chains and their rules.

use super::element::{self, duration, verdict};
use crate::model::Family;
use crate::nft::ruleset::{
    Chain, Header, Hook, HookKind, HookPoint, Pick, Rule, SetId, Side, Statement,
};

/// The lines between a chain's braces.
pub(super) fn lines(chain: &Chain, family: Family) -> Vec<String> {
    let mut lines = Vec::new();
    if !chain.comment.is_empty() {
        lines.push(format!("comment \"{}\"", chain.comment));
    }
    lines.extend(chain.hook.as_ref().map(hook));
    lines.extend(chain.rules.iter().map(|own| rule(own, family)));
    lines
}

fn hook(hook: &Hook) -> String {
    let kind = match hook.kind {
        HookKind::Filter => "filter",
        HookKind::Nat => "nat",
    };
    let point = match hook.point {
        HookPoint::Prerouting => "prerouting",
        HookPoint::Input => "input",
        HookPoint::Forward => "forward",
        HookPoint::Output => "output",
        HookPoint::Postrouting => "postrouting",
    };
    // nft has names for these where they make sense, and lists them so.
    let priority = match (hook.point, hook.priority) {
        (HookPoint::Prerouting, -100) => "dstnat".to_owned(),
        (HookPoint::Prerouting, -110) => "dstnat - 10".to_owned(),
        (HookPoint::Postrouting, 100) => "srcnat".to_owned(),
        (_, 0) => "filter".to_owned(),
        (_, number) => number.to_string(),
    };
    format!("type {kind} hook {point} priority {priority}; policy accept;")
}

/// A rule.
pub fn rule(rule: &Rule, family: Family) -> String {
    let statements: Vec<String> = rule
        .statements
        .iter()
        .map(|own| statement(own, family))
        .collect();
    statements.join(" ")
}

/// A statement.
pub fn statement(statement: &Statement, family: Family) -> String {
    let ip = family.nft();
    let not = |negated: bool| if negated { "!= " } else { "" };
    match statement {
        Statement::CtStateNew => "ct state new".to_owned(),
        Statement::CtStateInvalid => "ct state invalid".to_owned(),
        Statement::CtStatusDnat => "ct status dnat".to_owned(),
        Statement::FibLocal(side) => format!("fib {} type local", addr(*side)),
        Statement::Address {
            side,
            prefix,
            negated,
        } => {
            let range = element::prefix(prefix);
            format!("{ip} {} {}{range}", addr(*side), not(*negated))
        }
        Statement::InputInterface {
            name,
            wildcard,
            negated,
        } => {
            let star = if *wildcard { "*" } else { "" };
            format!("iifname {}\"{name}{star}\"", not(*negated))
        }
        Statement::InSet { key, set, negated } => {
            format!("{} {}@{set}", headers(key, ip), not(*negated))
        }
        Statement::NotFrom(set) => format!("{ip} saddr != @{set}"),
        Statement::InAffinity(set) => format!("{ip} saddr @{set}"),
        Statement::UpdateAffinity { set, seconds } => {
            let timeout = duration(u64::from(*seconds) * 1000);
            format!("update @{set} {{ {ip} saddr timeout {timeout} }}")
        }
        Statement::Count(counter) => format!("counter name \"{counter}\""),
        Statement::CountIn { key, set } => format!("add @{set} {{ {} }}", headers(key, ip)),
        Statement::OneIn(count) => format!("numgen random mod {count} 0"),
        Statement::VerdictMap { key, map } => format!("{} vmap @{map}", headers(key, ip)),
        Statement::MarkHas(bit) => format!("meta mark & {bit:#010x} != 0x00000000"),
        Statement::MarkOr(bit) => format!("meta mark set meta mark | {bit:#010x}"),
        Statement::MarkXor(bit) => format!("meta mark set meta mark ^ {bit:#010x}"),
        Statement::Masquerade => "masquerade fully-random".to_owned(),
        Statement::Reject => "reject".to_owned(),
        Statement::Dnat { key, modulus, map } => {
            let key = headers(key, ip);
            format!("dnat {ip} to {key} . numgen random mod {modulus} map @{map}")
        }
        Statement::DnatTo { protocol, backend } => {
            let to = std::net::SocketAddr::new(backend.address, backend.port);
            format!("meta l4proto {protocol} dnat to {to}")
        }
        Statement::DnatListed {
            protocol,
            pick,
            count,
            first,
        } => {
            let pick = match pick {
                Pick::Random => format!("numgen random mod {count}"),
                Pick::Source => format!("jhash {ip} saddr mod {count} seed {:#x}", Pick::SEED),
            };
            let map = SetId::PortEndpoints;
            format!("meta l4proto {protocol} dnat {ip} to {pick} offset {first} map @{map}")
        }
        Statement::Verdict(own) => verdict(own),
    }
}

fn addr(side: Side) -> &'static str {
    match side {
        Side::Source => "saddr",
        Side::Destination => "daddr",
    }
}

fn headers(key: &[Header], ip: &str) -> String {
    let fields: Vec<String> = key
        .iter()
        .map(|header| match header {
            Header::Address(side) => format!("{ip} {}", addr(*side)),
            Header::Protocol => "meta l4proto".to_owned(),
            Header::Port => "th dport".to_owned(),
        })
        .collect();
    fields.join(" . ")
}
