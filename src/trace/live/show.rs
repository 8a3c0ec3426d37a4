//! Packets that were seen, in the words of a trace.

use super::super::ending::{ClientAddress, Ending};
use super::assemble::Seen;
use super::foreign::ForeignRule;
use super::{Followed, LiveStep, LiveWay, Reached};
use crate::netlink::dump::KnownRule;
use crate::netlink::nftrace::{Event, Kind};
use crate::report::{Page, Table};
use rules::model::{EndpointAddr, Family};
use rules::nft::names;
use rules::nft::ruleset::{Rule, Statement, TABLE};
use rules::nft::trace::{Outcome, Step};
use rules::trace::Packet;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// So many ways are told.
const WAYS: usize = 50;

/// What events are put into words by.
pub(super) struct Known<'a> {
    pub(super) packet: &'a Packet,
    /// Rules of our table by their handles.
    pub(super) rules: BTreeMap<u64, KnownRule>,
    /// Rules of others by family, table and handle.
    pub(super) foreign: BTreeMap<(u8, String), BTreeMap<u64, ForeignRule>>,
    /// The hook of each base chain, by family, table and name.
    pub(super) hooks: BTreeMap<String, String>,
}

/// Table, chain and what matched, in order.
type Track = Vec<(String, String, Kind)>;

/// The ways of packets, the most frequent first.
pub(super) fn ways(all: &[Seen], known: &Known<'_>) -> Vec<LiveWay> {
    let mut groups: Vec<(Track, Vec<&Seen>)> = Vec::new();
    for seen in all {
        let events = seen.events.iter();
        let key: Track = events
            .map(|event| (event.table.clone(), event.chain.clone(), event.kind))
            .collect();
        match groups.iter_mut().find(|(own, _)| *own == key) {
            Some((_, members)) => members.push(seen),
            None => groups.push((key, vec![seen])),
        }
    }
    groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    groups.truncate(WAYS);
    let ways = groups.iter();
    ways.filter_map(|(_, members)| way(members, known))
        .collect()
}

fn way(members: &[&Seen], known: &Known<'_>) -> Option<LiveWay> {
    let first = *members.first()?;
    let mut endpoints: Vec<Reached> = Vec::new();
    for seen in members {
        let Some(last) = seen.last.filter(|_| seen.end() == Ending::Delivered) else {
            continue;
        };
        let is_same = |own: &&mut Reached| (own.address, own.port) == (last.destination, last.port);
        match endpoints.iter_mut().find(is_same) {
            Some(own) => own.packets += 1,
            None => endpoints.push(Reached {
                address: last.destination,
                port: last.port,
                packets: 1,
            }),
        }
    }
    let endpoint = match endpoints.as_slice() {
        [one] => Some(EndpointAddr {
            address: one.address,
            port: one.port,
        }),
        _ => None,
    };
    let has = |event: &Event, statement: &Statement| {
        let rule = rule_of(event, known).and_then(|known| known.rule.as_ref());
        rule.is_some_and(|(_, rule)| rule.statements.contains(statement))
    };
    let foreign =
        |event: &Event, does: fn(&ForeignRule) -> bool| foreign_of(event, known).is_some_and(does);
    let masquerades = |event: &&Event| {
        has(event, &Statement::Masquerade) || foreign(event, ForeignRule::masquerades)
    };
    let rejects =
        |event: &Event| has(event, &Statement::Reject) || foreign(event, ForeignRule::rejects);
    let last = first.events.last();
    let outcome = match first.end() {
        Ending::Dropped if last.is_some_and(rejects) => Ending::Rejected,
        outcome => outcome,
    };
    let ended = matches!(outcome, Ending::Dropped | Ending::Rejected);
    let masquerade = first.events.iter().any(|event| masquerades(&event));
    Some(LiveWay {
        packets: members.len(),
        outcome,
        ended_by: last.filter(|_| ended).map(place),
        client_address: (!ended).then(|| ClientAddress::of(masquerade)),
        interface: first.input.clone(),
        endpoints,
        steps: steps(first, endpoint, known),
    })
}

fn family_word(family: u8) -> &'static str {
    match family {
        1 => "inet",
        2 => "ip",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "other",
    }
}

/// Family, table and chain.
fn place(event: &Event) -> String {
    format!(
        "{} {} {}",
        family_word(event.family),
        event.table,
        event.chain
    )
}

fn rule_of<'a>(event: &Event, known: &'a Known<'_>) -> Option<&'a KnownRule> {
    match event.kind {
        Kind::Rule { handle } if event.table == TABLE => known.rules.get(&handle),
        _ => None,
    }
}

fn foreign_of<'a>(event: &Event, known: &'a Known<'_>) -> Option<&'a ForeignRule> {
    let Kind::Rule { handle } = event.kind else {
        return None;
    };
    let rules = known.foreign.get(&(event.family, event.table.clone()))?;
    rules.get(&handle)
}

fn steps(seen: &Seen, endpoint: Option<EndpointAddr>, known: &Known<'_>) -> Vec<LiveStep> {
    let mut steps = Vec::new();
    let mut hook = None;
    for event in &seen.events {
        if let Some(own) = known.hooks.get(&place(event)) {
            hook = Some(own.clone());
        }
        let Some((position, words)) = words(event, endpoint, known) else {
            continue;
        };
        steps.push(LiveStep {
            hook: hook.clone(),
            table: format!("{} {}", family_word(event.family), event.table),
            chain: event.chain.clone(),
            position: position.map(|own| own + 1),
            words,
        });
    }
    steps
}

/// What an event says; `None` if it decides nothing.
fn words(
    event: &Event,
    endpoint: Option<EndpointAddr>,
    known: &Known<'_>,
) -> Option<(Option<usize>, String)> {
    let Kind::Rule { handle } = event.kind else {
        return event.drops().then(|| (None, "policy → drop".to_owned()));
    };
    if event.table != TABLE {
        let rule = foreign_of(event, known);
        if let Some(own) = rule.and_then(|rule| rule.told(known.packet)) {
            return own.map(|(position, words)| (Some(position), words));
        }
        let text = rule.map(|rule| rule.text.clone());
        let text = text.unwrap_or_else(|| format!("rule with handle {handle}"));
        return Some((None, format!("{text} → {}", verdict(event))));
    }
    let own = known.rules.get(&handle)?;
    let Some((chain, rule)) = &own.rule else {
        let text = own.text.join(" ");
        return Some((Some(own.position), format!("{text} → {}", verdict(event))));
    };
    if is_plain_jump(rule) {
        return None;
    }
    let outcome = outcome(event, rule, endpoint, Family::of(known.packet.destination));
    let step = Step::seen(
        chain.clone(),
        own.position,
        rule.clone(),
        known.packet,
        outcome,
    );
    let words = step.words(known.packet, endpoint.is_some() || !translates(rule));
    Some((Some(own.position), words))
}

/// It is how a base chain hands packets to another one.
fn is_plain_jump(rule: &Rule) -> bool {
    use rules::nft::ruleset::Verdict;
    matches!(
        rule.statements.as_slice(),
        [Statement::Verdict(Verdict::Jump(_))]
            | [Statement::CtStateNew, Statement::Verdict(Verdict::Jump(_))]
    )
}

fn translates(rule: &Rule) -> bool {
    let is_dnat = |statement: &Statement| {
        matches!(
            statement,
            Statement::Dnat { .. } | Statement::DnatListed { .. } | Statement::DnatTo { .. }
        )
    };
    rule.statements.iter().any(is_dnat)
}

fn outcome(event: &Event, rule: &Rule, endpoint: Option<EndpointAddr>, family: Family) -> Outcome {
    let chain = |name: &Option<String>| name.as_deref().and_then(|name| names::chain(name, family));
    match &event.verdict {
        Some((libc::NF_DROP, _)) if rule.statements.contains(&Statement::Reject) => Outcome::Reject,
        Some((libc::NF_DROP, _)) => Outcome::Drop,
        Some((libc::NFT_GOTO, name)) => chain(name).map_or(Outcome::Continue, Outcome::Goto),
        Some((libc::NFT_JUMP, name)) => chain(name).map_or(Outcome::Continue, Outcome::Jump),
        _ if rule.statements.contains(&Statement::Masquerade) => Outcome::Masquerade,
        _ => match endpoint.filter(|_| translates(rule)) {
            Some(endpoint) => Outcome::Translate(endpoint),
            None => Outcome::Continue,
        },
    }
}

fn verdict(event: &Event) -> String {
    match &event.verdict {
        Some((libc::NF_DROP, _)) => "drop".to_owned(),
        Some((libc::NF_ACCEPT, _)) => "accept".to_owned(),
        Some((libc::NFT_GOTO, Some(chain))) => format!("goto {chain}"),
        Some((libc::NFT_JUMP, Some(chain))) => format!("jump {chain}"),
        Some((libc::NFT_RETURN, _)) => "return".to_owned(),
        _ => "continue".to_owned(),
    }
}

impl Followed {
    pub(crate) fn show(&self, page: &mut Page) {
        page.heading(format!("Live, {:.0} s", self.seconds));
        if self.packets == 0 {
            page.text("no packet of this pair came by");
        }
        for way in &self.ways {
            page.text(way.title());
            let mut table = Table::new(["hook", "table", "chain", "decision"]);
            for step in &way.steps {
                table.row([
                    step.hook.clone().unwrap_or_default(),
                    step.table.clone(),
                    step.chain.clone(),
                    step.words.clone(),
                ]);
            }
            page.table(table);
        }
        if self.incomplete {
            page.text("there was more than could be read: some packets are missing");
        }
    }
}

impl LiveWay {
    fn title(&self) -> String {
        let count = match self.packets {
            1 => "1 packet".to_owned(),
            count => format!("{count} packets"),
        };
        let from = match &self.interface {
            Some(name) => format!("in by {name}"),
            None => "from the node itself".to_owned(),
        };
        let reached = self.endpoints.iter().map(|own| {
            let to = SocketAddr::new(own.address, own.port);
            format!("{to} ({})", own.packets)
        });
        let reached: Vec<String> = reached.collect();
        let end = match (self.outcome, &self.ended_by) {
            (Ending::Delivered, _) => format!("sent on to {}", reached.join(", ")),
            (Ending::Rejected, Some(by)) => format!("rejected by {by}"),
            (Ending::Dropped, Some(by)) => format!("dropped by {by}"),
            (Ending::Rejected, None) => "rejected".to_owned(),
            (Ending::Dropped, None) => "dropped".to_owned(),
            (Ending::Local, _) => "to the node itself, untranslated".to_owned(),
            (Ending::Routed, _) => "onwards, untranslated".to_owned(),
        };
        format!("{count} {from}: {end}")
    }
}
