//! Rules outside of our table that packets came by: those of kube-proxy's chains of iptables, and
//! others'.

use crate::netlink::dump;
use crate::netlink::iptables::ChainReader;
use rules::check::is_proxy_chain;
use rules::iptables::names::ChainName;
use rules::iptables::print::saved_rule;
use rules::iptables::rule::{Rule, Table, Target};
use rules::iptables::top::FIREWALL;
use rules::iptables::trace::{Line, Outcome, Place, Step};
use rules::model::Family;
use rules::trace::Packet;
use std::collections::BTreeMap;
use std::io;

/// A rule of another table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ForeignRule {
    /// As its own tool tells it, or in the words of `nft --debug=netlink`.
    pub(super) text: String,
    /// What it is, if kube-proxy has such rules, and where.
    pub(super) own: Option<(Place, usize, Rule)>,
}

/// The rules of a chain by what the kernel calls them; `family` is one of `NFPROTO_*`.
///
/// # Errors
/// The kernel does not permit it, or the rules changed each time that they were read.
pub(super) fn rules(
    family: u8,
    table: &str,
    chain: &str,
) -> io::Result<BTreeMap<u64, ForeignRule>> {
    if let Some((family, place)) = of_iptables(family, table, chain) {
        let lines = ChainReader::open(family)?.chain(place)?;
        let rules = lines.into_iter().flatten().enumerate();
        let rules = rules.map(|(at, held)| (held.handle, rule(family, place, at, held.line)));
        return Ok(rules.collect());
    }
    let rules = dump::foreign_rules(family, table, chain)?;
    let text = |text| ForeignRule { text, own: None };
    let rules = rules.into_iter();
    Ok(rules.map(|(handle, words)| (handle, text(words))).collect())
}

fn of_iptables(family: u8, table: &str, chain: &str) -> Option<(Family, Place)> {
    let family = match i32::from(family) {
        libc::NFPROTO_IPV4 => Family::V4,
        libc::NFPROTO_IPV6 => Family::V6,
        _ => return None,
    };
    let tables = [Table::Mangle, Table::Filter, Table::Nat];
    let table = tables.into_iter().find(|own| own.name() == table)?;
    Some((family, (table, ChainName::read(chain)?)))
}

fn rule(family: Family, place: Place, at: usize, line: Line) -> ForeignRule {
    match line {
        Line::Other(text) => ForeignRule { text, own: None },
        Line::Rule(rule) => {
            let leads_to_ours =
                matches!(rule.target, Some(Target::Jump(to)) if is_proxy_chain(to.as_str()));
            let is_own = leads_to_ours || is_proxy_chain(place.1.as_str());
            ForeignRule {
                text: saved_rule(place.1, &rule, family),
                own: is_own.then_some((place, at, rule)),
            }
        }
    }
}

/// A chain of kube-proxy's, or the one that it has in common with the kubelet.
fn is_ours(chain: ChainName) -> bool {
    chain == FIREWALL || is_proxy_chain(chain.as_str())
}

impl ForeignRule {
    /// It rejects, which the kernel tells as a drop.
    pub(super) fn rejects(&self) -> bool {
        let own = self.own.as_ref();
        own.is_some_and(|(_, _, rule)| rule.target == Some(Target::Reject))
    }

    /// It gives packets an address of the node.
    pub(super) fn masquerades(&self) -> bool {
        let own = self.own.as_ref();
        own.is_some_and(|(_, _, rule)| rule.target == Some(Target::Masquerade))
    }

    /// What it did to a packet; `None` if it only leads from a built-in chain to one of kube-proxy's.
    /// Its place and words, if it is such as kube-proxy has.
    pub(super) fn told(&self, packet: &Packet) -> Option<Option<(usize, String)>> {
        let Some((place, at, rule)) = &self.own else {
            return None;
        };
        if !is_ours(place.1) {
            return Some(None);
        }
        let outcome = match &rule.target {
            Some(Target::Jump(chain)) => Outcome::Jump(*chain),
            Some(Target::Accept) => Outcome::Accept,
            Some(Target::Drop) => Outcome::Drop,
            Some(Target::Return) => Outcome::Return,
            Some(Target::Reject) => Outcome::Reject,
            Some(Target::Masquerade) => Outcome::Masquerade,
            Some(Target::Dnat(endpoint)) => Outcome::Translate(*endpoint),
            None | Some(Target::MarkOr(_) | Target::MarkXor(_)) => Outcome::Continue,
        };
        let step = Step::seen(*place, *at, rule.clone(), packet, outcome);
        Some(Some((*at, step.words(packet))))
    }
}
