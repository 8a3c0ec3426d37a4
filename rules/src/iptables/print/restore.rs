//! Input of `iptables-restore --noflush`, line by line as upstream feeds it.

use super::{not, states};
use crate::iptables::change::Change;
use crate::iptables::content::{Content, Ruleset};
use crate::iptables::names;
use crate::iptables::rule::{Address, Match, Rule, Table, Target};
use crate::iptables::setup::{CANARIES, CANARY, jumps};
use crate::iptables::top::FIREWALL;
use std::collections::BTreeSet;
use std::fmt::Write;

/// What a sync of all Services feeds: a chain line makes a chain, or empties it.
pub fn restore(ruleset: &Ruleset) -> String {
    let mut out = String::new();
    for (table, content) in [(Table::Filter, &ruleset.filter), (Table::Nat, &ruleset.nat)] {
        write_table(&mut out, table, content);
    }
    out
}

/// What a node has once beside that: canaries and jumps. It is for a node without them: where they
/// are, the first chain that is to be made is refused, and with it the whole table.
pub fn setup(ruleset: &Ruleset) -> String {
    let mut out = String::new();
    let jumps = jumps();
    for table in CANARIES {
        let _ = writeln!(out, "*{}\n-N {CANARY}", table.name());
        // Otherwise the rules above have made it.
        if table == Table::Filter && !ruleset.filter.chains.contains(&FIREWALL) {
            let _ = writeln!(out, "-N {FIREWALL}");
        }
        for own in jumps.iter().filter(|own| own.table == table) {
            let _ = writeln!(out, "-I {}{}", own.from, arguments(&own.rule));
        }
        out.push_str("COMMIT\n");
    }
    out
}

/// What leads from one state to another. A table that stays as it is is not named.
pub fn change(change: &Change) -> String {
    let mut out = String::new();
    for (table, own) in [(Table::Filter, &change.filter), (Table::Nat, &change.nat)] {
        if own.is_empty() {
            continue;
        }
        let _ = writeln!(out, "*{}", table.name());
        // Each line makes a chain or empties it; every chain is there before a rule leads to it.
        let refilled = own.refilled.iter().map(|(chain, _)| chain);
        let named: BTreeSet<_> = own.fresh.iter().chain(refilled).chain(&own.gone).collect();
        for chain in named {
            let _ = writeln!(out, ":{chain} - [0:0]");
        }
        for (chain, rules) in &own.refilled {
            for rule in rules {
                let _ = writeln!(out, "-A {chain}{}", arguments(rule));
            }
        }
        for chain in &own.gone {
            let _ = writeln!(out, "-X {chain}");
        }
        out.push_str("COMMIT\n");
    }
    out
}

fn write_table(out: &mut String, table: Table, content: &Content) {
    let _ = writeln!(out, "*{}", table.name());
    for chain in &content.chains {
        let _ = writeln!(out, ":{chain} - [0:0]");
    }
    for (chain, rule) in &content.rules {
        let _ = writeln!(out, "-A {chain}{}", arguments(rule));
    }
    out.push_str("COMMIT\n");
}

/// Each with a blank before it.
fn arguments(rule: &Rule) -> String {
    let mut out = String::new();
    for own in &rule.matches {
        out.push(' ');
        write_match(&mut out, own);
    }
    if let Some(target) = &rule.target {
        out.push_str(" -j ");
        write_target(&mut out, target);
    }
    out
}

/// Writing to a string cannot fail.
fn write_match(out: &mut String, own: &Match) {
    let _ = match own {
        Match::Comment(comment) => {
            let text = comment.as_str();
            let plain = |c: char| c.is_ascii_alphanumeric() || "/:.-_".contains(c);
            // As upstream: it quotes what has blanks.
            match !text.is_empty() && text.chars().all(plain) {
                true => write!(out, "-m comment --comment {text}"),
                false => write!(out, "-m comment --comment \"{text}\""),
            }
        }
        Match::Protocol(protocol) => {
            let word = names::keyword(*protocol);
            write!(out, "-m {word} -p {word}")
        }
        Match::Port(port) => write!(out, "--dport {port}"),
        Match::Source(is, address) => write!(out, "{}-s {}", not(*is), text(*address)),
        Match::Destination(is, address) => write!(out, "{}-d {}", not(*is), text(*address)),
        Match::Interface { is, name, wildcard } => {
            let plus = if *wildcard { "+" } else { "" };
            write!(out, "{}-i {name}{plus}", not(*is))
        }
        Match::SourceIsLocal => write!(out, "-m addrtype --src-type LOCAL"),
        Match::DestinationIsLocal => write!(out, "-m addrtype --dst-type LOCAL"),
        Match::Mark(is, mark) => {
            write!(out, "-m mark {}--mark {mark:#010x}/{mark:#010x}", not(*is))
        }
        Match::State(is, own) => {
            write!(out, "-m conntrack {}--ctstate {}", not(*is), states(own))
        }
        Match::OneOf(count) => {
            let chance = probability(*count);
            write!(out, "-m statistic --mode random --probability {chance}")
        }
        Match::SeenAt(chain, seconds) => write!(
            out,
            "-m recent --name {chain} --rcheck --seconds {seconds} --reap"
        ),
        Match::Remember(chain) => write!(out, "-m recent --name {chain} --set"),
        Match::Count(name) => write!(out, "-m nfacct --nfacct-name {name}"),
    };
}

fn write_target(out: &mut String, target: &Target) {
    let _ = match target {
        Target::Jump(chain) => write!(out, "{chain}"),
        Target::Accept => write!(out, "ACCEPT"),
        Target::Drop => write!(out, "DROP"),
        Target::Return => write!(out, "RETURN"),
        Target::Reject => write!(out, "REJECT"),
        Target::MarkOr(mark) => write!(out, "MARK --or-mark {mark:#010x}"),
        Target::MarkXor(mark) => write!(out, "MARK --xor-mark {mark:#010x}"),
        Target::Masquerade => write!(out, "MASQUERADE --random-fully"),
        Target::Dnat(endpoint) => {
            let endpoint = names::endpoint_name(endpoint);
            write!(out, "DNAT --to-destination {endpoint}")
        }
    };
}

fn text(address: Address) -> String {
    match address {
        Address::One(address) => address.to_string(),
        Address::Range(range) => range.to_string(),
    }
}

/// One out of so many, with upstream's ten digits: what the kernel makes of it depends on them.
pub(super) fn probability(count: usize) -> String {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    format!("{:.10}", 1.0 / f64::from(count))
}
