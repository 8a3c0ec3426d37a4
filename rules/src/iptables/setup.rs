//! What a node has once, whatever the cluster holds: jumps from the built-in chains, and chains that
//! tell who empties the tables.

use super::names::ChainName;
use super::rule::{Is, Match, Rule, State, Table, comment, jump};
use super::top::{
    EXTERNAL_SERVICES, FIREWALL, FORWARD, MARK_MASQ, NODEPORTS, POSTROUTING, PROXY_FIREWALL,
    SERVICES,
};

/// Empty, and in each table: where it is gone, somebody emptied the table, and rules are to be
/// written anew. Tools look for it too.
pub const CANARY: ChainName = ChainName::fixed("KUBE-PROXY-CANARY");

/// The tables that have a [`CANARY`].
pub const CANARIES: [Table; 3] = [Table::Mangle, Table::Filter, Table::Nat];

/// Built-in chains.
const INPUT: ChainName = ChainName::fixed("INPUT");
const OUTPUT: ChainName = ChainName::fixed("OUTPUT");
const FORWARDED: ChainName = ChainName::fixed("FORWARD");
const PREROUTED: ChainName = ChainName::fixed("PREROUTING");
const POSTROUTED: ChainName = ChainName::fixed("POSTROUTING");

/// The built-in chains that have jumps.
pub const ENTRANCES: [(Table, ChainName); 6] = [
    (Table::Filter, INPUT),
    (Table::Filter, FORWARDED),
    (Table::Filter, OUTPUT),
    (Table::Nat, PREROUTED),
    (Table::Nat, OUTPUT),
    (Table::Nat, POSTROUTED),
];

/// What a chain is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What is in it is ours.
    Own,
    /// The kubelet fills it as well, with the same rule.
    Kubelets,
    /// It is everybody's, and has jumps of ours.
    Entrance,
    /// Nothing.
    Foreign,
}

impl Role {
    /// That of a chain.
    pub fn of(table: Table, chain: &str) -> Self {
        let Some(chain) = ChainName::read(chain) else {
            return Self::Foreign;
        };
        let own = match table {
            Table::Mangle => chain == CANARY,
            Table::Filter => [
                SERVICES,
                EXTERNAL_SERVICES,
                FORWARD,
                NODEPORTS,
                PROXY_FIREWALL,
                CANARY,
            ]
            .contains(&chain),
            Table::Nat => {
                chain.is_of_service()
                    || [SERVICES, NODEPORTS, POSTROUTING, MARK_MASQ, CANARY].contains(&chain)
            }
        };
        match (table, chain) {
            _ if own => Self::Own,
            (Table::Filter, FIREWALL) => Self::Kubelets,
            entrance if ENTRANCES.contains(&entrance) => Self::Entrance,
            _ => Self::Foreign,
        }
    }
}

/// A rule at the head of a built-in chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// The chain's table.
    pub table: Table,
    /// The chain.
    pub from: ChainName,
    /// What it holds.
    pub rule: Rule,
}

/// The jumps in the order in which each is put at the head of its chain, so that the last one stands
/// first. The last two are the kubelet's as well, and outlive kube-proxy.
pub fn jumps() -> Vec<Jump> {
    const OUTSIDE: &str = "kubernetes externally-visible service portals";
    const PORTALS: &str = "kubernetes service portals";
    const BALANCER: &str = "kubernetes load balancer firewall";
    let of = |table, new: bool, words: &str| {
        let new = new.then_some(Match::State(Is::So, &[State::New]));
        let words = (!words.is_empty()).then(|| comment(words));
        let matches: Vec<Match> = new.into_iter().chain(words).collect();
        move |from, to| Jump {
            table,
            from,
            rule: jump(to, matches.clone()),
        }
    };
    let outside = of(Table::Filter, true, OUTSIDE);
    let health = of(
        Table::Filter,
        false,
        "kubernetes health check service ports",
    );
    let portals = of(Table::Filter, true, PORTALS);
    let forward = of(Table::Filter, false, "kubernetes forwarding rules");
    let balancer = of(Table::Filter, true, BALANCER);
    let translate = of(Table::Nat, false, PORTALS);
    let masquerade = of(Table::Nat, false, "kubernetes postrouting rules");
    let martians = of(Table::Filter, false, "");
    vec![
        outside(INPUT, EXTERNAL_SERVICES),
        outside(FORWARDED, EXTERNAL_SERVICES),
        health(INPUT, NODEPORTS),
        portals(FORWARDED, SERVICES),
        portals(OUTPUT, SERVICES),
        forward(FORWARDED, FORWARD),
        balancer(INPUT, PROXY_FIREWALL),
        balancer(OUTPUT, PROXY_FIREWALL),
        balancer(FORWARDED, PROXY_FIREWALL),
        translate(OUTPUT, SERVICES),
        translate(PREROUTED, SERVICES),
        masquerade(POSTROUTED, POSTROUTING),
        martians(INPUT, FIREWALL),
        martians(OUTPUT, FIREWALL),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn entrances_are_the_chains_that_have_jumps() {
        let jumps: BTreeSet<_> = jumps().iter().map(|own| (own.table, own.from)).collect();
        assert_eq!(jumps, BTreeSet::from(ENTRANCES));
    }

    #[test]
    fn what_a_chain_is_to_us() {
        use Table::{Filter, Mangle, Nat};
        for (table, chain, expected) in [
            (Nat, "KUBE-SERVICES", Role::Own),
            (Nat, "KUBE-SEP-F45V6TZZSXLO3WFM", Role::Own),
            (Nat, "KUBE-FORWARD", Role::Foreign),
            (Filter, "KUBE-FORWARD", Role::Own),
            (Filter, "KUBE-SEP-F45V6TZZSXLO3WFM", Role::Foreign),
            (Filter, "KUBE-FIREWALL", Role::Kubelets),
            (Nat, "KUBE-FIREWALL", Role::Foreign),
            (Mangle, "KUBE-PROXY-CANARY", Role::Own),
            (Mangle, "KUBE-KUBELET-CANARY", Role::Foreign),
            (Mangle, "KUBE-IPTABLES-HINT", Role::Foreign),
            (Mangle, "PREROUTING", Role::Foreign),
            (Nat, "PREROUTING", Role::Entrance),
            (Nat, "INPUT", Role::Foreign),
            (Filter, "INPUT", Role::Entrance),
            (Filter, "cali-INPUT", Role::Foreign),
            (
                Filter,
                "a-name-that-is-longer-than-any-of-iptables",
                Role::Foreign,
            ),
        ] {
            assert_eq!(Role::of(table, chain), expected, "{table:?} {chain}");
        }
    }
}
