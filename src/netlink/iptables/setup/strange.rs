//! What others have in tables of iptables that the tools of iptables cannot read. They refuse such a
//! table, or show it as something else: it is named, and left alone.

use super::{chain, each_rule, hook, is_absent};
use crate::netlink::subsystem::protocol_family;
use nft_wire::nf_tables::{self, Expression, HEADER, Hook, nfta};
use nft_wire::{Socket, Writer, text_of};
use rules::iptables::names::ChainName;
use rules::iptables::rule::Table;
use rules::iptables::setup::ENTRANCES;
use rules::model::Family;
use std::collections::BTreeSet;
use std::io;

/// So many are named at the most.
const NAMED: usize = 8;

/// The expressions that iptables 1.8.7 to 1.8.11 know. `lookup` is one of them and is not shown: the
/// set is named.
const KNOWN: [&str; 11] = [
    "match",
    "target",
    "payload",
    "meta",
    "cmp",
    "bitwise",
    "counter",
    "immediate",
    "lookup",
    "limit",
    "log",
];

/// What was named already.
#[derive(Debug, Default)]
pub(in crate::netlink::iptables) struct Strangers {
    told: BTreeSet<String>,
}

impl Strangers {
    /// Says once of each stranger what it does to others.
    pub(in crate::netlink::iptables) fn look(&mut self, socket: &mut Socket, family: Family) {
        match find(socket, family) {
            Ok(found) => {
                for line in found.iter().filter(|line| !self.told.contains(*line)) {
                    tracing::warn!("{line}");
                }
                // What comes again is said again.
                self.told.retain(|line| !line.starts_with(&start(family)));
                self.told.extend(found);
            }
            Err(error) => {
                tracing::debug!(
                    "{family}: looking what others have in tables of iptables: {error}"
                );
            }
        }
    }
}

/// What a line begins with that is about the family.
fn start(family: Family) -> String {
    format!("table {} ", family.nft())
}

/// A line for each stranger, or for those that are too many.
#[derive(Default)]
struct Found {
    lines: Vec<String>,
    more: usize,
}

impl Found {
    fn add(&mut self, line: impl FnOnce() -> String) {
        match self.lines.len() < NAMED {
            true => self.lines.push(line()),
            false => self.more += 1,
        }
    }
}

fn find(socket: &mut Socket, family: Family) -> io::Result<Vec<String>> {
    let mut found = Found::default();
    for table in [Table::Filter, Table::Nat, Table::Mangle] {
        sets(socket, family, table, &mut found)?;
    }
    for (table, name) in ENTRANCES {
        built_in(socket, family, (table, name), &mut found)?;
    }
    let Found { mut lines, more } = found;
    if more > 0 {
        lines.push(format!(
            "{}of iptables: {more} more objects that its tools do not know",
            start(family)
        ));
    }
    Ok(lines)
}

/// What is strange about a built-in chain.
fn built_in(
    socket: &mut Socket,
    family: Family,
    (table, name): (Table, ChainName),
    found: &mut Found,
) -> io::Result<()> {
    let place = || format!("{}{}, chain {name}", start(family), table.name());
    let Some(base) = chain(socket, family, table, name)? else {
        return Ok(());
    };
    let expected = hook(table, name);
    let is_like = |base: &Hook| {
        (base.number, base.priority, &base.kind)
            == (expected.number, expected.priority, &expected.kind)
    };
    if !base.hook.as_ref().is_some_and(is_like) {
        found.add(|| {
            format!(
                "{}: it does not hang where iptables has it, so packets do not come to kube-proxy's \
                 rules by it as they should, and iptables' tools refuse the table; whoever made it \
                 has to delete it",
                place()
            )
        });
    }
    let mut unknown = BTreeSet::new();
    each_rule(socket, family, table, name, |rule| {
        let names = rule.expressions.iter().map(Expression::name);
        unknown.extend(
            names
                .filter(|name| !KNOWN.contains(name))
                .map(str::to_owned),
        );
    })?;
    if !unknown.is_empty() {
        found.add(|| {
            let names: Vec<String> = unknown.into_iter().collect();
            format!(
                "{}: a rule has the expression {}, which iptables' tools do not know, so they refuse \
                 the whole table until it is gone; it belongs into a table of its own",
                place(),
                names.join(", ").escape_debug()
            )
        });
    }
    Ok(())
}

fn sets(socket: &mut Socket, family: Family, table: Table, found: &mut Found) -> io::Result<()> {
    let kind = nf_tables::message_kind(libc::NFT_MSG_GETSET);
    let within = |out: &mut Writer| {
        nf_tables::header(out, protocol_family(family));
        out.text(nfta::SET_TABLE, table.name());
    };
    let listed = socket.list(kind, within, |message| {
        let Some(set) = text_of(message.body(HEADER), nfta::SET_NAME) else {
            return;
        };
        found.add(|| {
            format!(
                "{}{}, set {}: iptables' tools do not know sets, so they show rules that use it \
                 without that condition, and what they save and restore is another rule; it belongs \
                 into a table of its own",
                start(family),
                table.name(),
                set.escape_debug()
            )
        });
    });
    match listed {
        Err(error) if !is_absent(&error) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2e::Namespace;

    /// What is found after that, of IPv4.
    fn found(namespace: &Namespace, nft: &[&str]) -> Vec<String> {
        for command in nft {
            namespace.exec(&["nft", command]).expect("an object");
        }
        let look = || find(&mut nf_tables::open()?, Family::V4);
        namespace.run(look).expect("the namespace").expect("a list")
    }

    #[test]
    fn what_iptables_tools_cannot_read_is_named() {
        let namespace = Namespace::create("strange").expect("a namespace, which needs root");
        assert_eq!(found(&namespace, &[]), [""; 0], "no tables");
        let words = "iptables -A INPUT -p tcp --dport 22 -m limit --limit 1/s -j LOG; \
                     iptables -A FORWARD -m mark --mark 1 -m conntrack --ctstate NEW -j ACCEPT; \
                     iptables -t nat -A POSTROUTING -o eth7 -j MASQUERADE; iptables -N X; \
                     iptables -P OUTPUT ACCEPT; iptables -t nat -P OUTPUT ACCEPT";
        namespace.exec(&["sh", "-c", words]).expect("rules");
        let healthy = [
            "add table ip theirs",
            "add set ip theirs s { type ipv4_addr; }",
            // What is beside the built-in chains is seen by tools that look there only.
            "add chain ip filter own { type filter hook input priority 7; }",
        ];
        assert_eq!(found(&namespace, &healthy), [""; 0]);
        let rows: [(&[&str], &str); 4] = [
            (
                &["add set ip filter blocked { type ipv4_addr; }"],
                "table ip filter, set blocked: iptables' tools do not know sets",
            ),
            (
                &["add rule ip filter OUTPUT ct state invalid drop"],
                "table ip filter, chain OUTPUT: a rule has the expression ct,",
            ),
            (
                &["add rule ip nat OUTPUT fib daddr type local dnat to 192.0.2.1"],
                "table ip nat, chain OUTPUT: a rule has the expression fib, nat,",
            ),
            (
                &["add chain ip nat PREROUTING { type nat hook prerouting priority 5; }"],
                "table ip nat, chain PREROUTING: it does not hang where iptables has it",
            ),
        ];
        // A tool makes this one where none is, so that nobody else's is in the way.
        for (nft, expected) in rows {
            let before = found(&namespace, &[]).len();
            let lines = found(&namespace, nft);
            assert_eq!(lines.len(), before + 1, "{lines:?}");
            assert!(
                lines.iter().any(|line| line.starts_with(expected)),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn however_many_there_are_few_are_named() {
        let namespace = Namespace::create("strange").expect("a namespace, which needs root");
        let sets = (0..20).map(|n| format!("add set ip nat s{n} {{ type ipv4_addr; }}"));
        let commands = std::iter::once("add table ip nat".to_owned()).chain(sets);
        let lines = found(&namespace, &[&commands.collect::<Vec<_>>().join("; ")]);
        assert_eq!(lines.len(), NAMED + 1);
        assert_eq!(
            lines[NAMED],
            "table ip of iptables: 12 more objects that its tools do not know"
        );
    }
}
