//! Which chains of others may end the way of a Service's packets: KP301.

use super::chain::ForeignChain;
use super::fate::DroppingRule;
use super::hook::{ChainFamily, Hook};
use super::owner::{Kind, Owner};
use crate::finding::{Code, Finding, Severity};

/// What is found about base chains of others. Those of network plugins, the kubelet and of other
/// proxies are silent: dropping what policies forbid is what they are for, and other proxies have a
/// finding of their own.
pub fn foreign_drops(chains: &[ForeignChain]) -> Vec<Finding> {
    chains.iter().filter_map(finding).collect()
}

fn finding(chain: &ForeignChain) -> Option<Finding> {
    if chain.owner.is_some_and(is_expected) {
        return None;
    }
    let drops: Vec<&DroppingRule> = (chain.fate.drops.iter())
        .filter(|rule| !Owner::of(chain.family, &chain.table, &rule.chain).is_some_and(is_expected))
        .collect();
    let (severity, what) = if chain.fate.drops_all() {
        (Severity::Error, "lets nothing through")
    } else if chain.fate.drops_rest {
        (Severity::Warning, "drops what none of its rules accepts")
    } else if !drops.is_empty() {
        (Severity::Info, "has rules that drop")
    } else {
        return None;
    };
    let message = format!("{} {what}, {}", title(chain), whom(chain.hook));
    let mut finding = Finding::new(Code::ForeignDrop, severity, message, remedy(chain));
    if chain.policy_drop {
        finding = finding.because("its policy is drop");
    }
    for rule in &drops {
        finding = finding.because(told(rule));
    }
    if chain.fate.more_drops > 0 {
        finding = finding.because(format!("{} more rules that drop", chain.fate.more_drops));
    }
    let sees = chain.sees();
    Some(finding.because(format!(
        "at priority {} of {} it sees {sees}; what our rules accept is not beyond it",
        chain.priority, chain.hook
    )))
}

/// It drops as a matter of course, and knows of Services.
fn is_expected(owner: Owner) -> bool {
    matches!(owner.kind(), Kind::Network | Kind::Kubelet | Kind::Proxy)
}

fn title(chain: &ForeignChain) -> String {
    match chain.owner {
        Some(owner) => format!("Chain {chain} of {}", owner.name()),
        None => format!("Chain {chain}"),
    }
}

fn whom(hook: Hook) -> &'static str {
    match hook {
        Hook::Ingress => "of what a device receives",
        Hook::Prerouting => "of what comes to this node",
        Hook::Input => "of what comes to this node itself: health check ports, pods in its network",
        Hook::Forward => "of what goes to and from pods through this node",
        Hook::Output => "of what this node and pods in its network send",
        Hook::Postrouting => "of what leaves this node",
        Hook::Egress => "of what a device sends",
    }
}

fn told(rule: &DroppingRule) -> String {
    let all = if rule.always {
        " all that comes to it"
    } else {
        ""
    };
    let comment = match &rule.comment {
        Some(comment) => format!(" ({comment})"),
        None => String::new(),
    };
    format!(
        "chain {}, rule with handle {}, {}{all}{comment}",
        rule.chain, rule.handle, rule.does
    )
}

/// What lets packets of Services through: in the chain itself, since no chain of another table
/// can.
fn remedy(chain: &ForeignChain) -> String {
    let look = format!("`nft -a list chain {chain}` shows it");
    if chain.owner == Some(Owner::Firewalld) {
        return "have firewalld trust the pods: `firewall-cmd --permanent --zone=trusted \
                --add-source=POD-CIDR`, then `firewall-cmd --reload`"
            .to_owned();
    }
    match chain.hook {
        Hook::Forward | Hook::Output | Hook::Postrouting => format!(
            "let packets of Services pass: `{}`; {look}",
            accept(chain, "ct status dnat", "-m conntrack --ctstate DNAT")
        ),
        Hook::Input => format!(
            "let the Services' health check ports pass: `{}`; {look}",
            accept(
                chain,
                "tcp dport HEALTH-CHECK-NODE-PORT",
                "-p tcp --dport HEALTH-CHECK-NODE-PORT"
            )
        ),
        Hook::Ingress | Hook::Prerouting | Hook::Egress => {
            format!("let it accept the addresses and ports of Services; {look}")
        }
    }
}

/// A command that puts a rule first, by the program that has made the chain.
fn accept(chain: &ForeignChain, nft: &str, iptables: &str) -> String {
    const TABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];
    let of_iptables = TABLES.contains(&&*chain.table)
        && chain.chain.bytes().all(|byte| byte.is_ascii_uppercase())
        && chain.family != ChainFamily::Inet;
    if !of_iptables {
        return format!("nft insert rule {chain} {nft} accept");
    }
    let program = match chain.family {
        ChainFamily::Ip6 => "ip6tables",
        _ => "iptables",
    };
    format!(
        "{program} -t {} -I {} {iptables} -j ACCEPT",
        chain.table, chain.chain
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{DropKind, Fate};

    fn chain(table: &str, policy_drop: bool, fate: Fate) -> ForeignChain {
        ForeignChain {
            family: ChainFamily::Ip,
            table: table.to_owned(),
            chain: "FORWARD".to_owned(),
            kind: "filter".to_owned(),
            hook: Hook::Forward,
            priority: 0,
            policy_drop,
            fate,
            owner: Owner::of_table(ChainFamily::Ip, table),
        }
    }

    fn drop_in(chain: &str) -> DroppingRule {
        DroppingRule {
            chain: chain.to_owned(),
            handle: 7,
            does: DropKind::Drop,
            always: false,
            comment: None,
        }
    }

    #[test]
    fn how_bad_it_is_depends_on_what_gets_through() {
        let passes = Fate {
            lets_pass: true,
            ..Fate::default()
        };
        let with_drop = |name: &str| Fate {
            drops: vec![drop_in(name)],
            ..passes.clone()
        };
        let rest = Fate {
            drops_rest: true,
            ..passes.clone()
        };
        let all = Fate {
            lets_pass: false,
            ..rest.clone()
        };
        let unread = Fate {
            unread: true,
            ..all.clone()
        };
        for (name, table, fate, severity) in [
            ("nothing", "filter", passes.clone(), None),
            ("all", "filter", all.clone(), Some(Severity::Error)),
            ("the rest", "filter", rest.clone(), Some(Severity::Warning)),
            ("not read whole", "filter", unread, Some(Severity::Warning)),
            ("some", "filter", with_drop("FORWARD"), Some(Severity::Info)),
            (
                "a firewall's",
                "filter",
                with_drop("ufw-user-forward"),
                Some(Severity::Info),
            ),
            ("a plugin's", "filter", with_drop("cali-FORWARD"), None),
            ("the kubelet's", "filter", with_drop("KUBE-FIREWALL"), None),
            ("another proxy's", "filter", with_drop("KUBE-FORWARD"), None),
            ("firewalld's", "firewalld", rest, Some(Severity::Warning)),
            ("Calico's table", "calico", all, None),
        ] {
            let found = foreign_drops(&[chain(table, false, fate)]);
            let severities: Vec<Severity> = found.iter().map(|found| found.severity).collect();
            assert_eq!(severities.first().copied(), severity, "{name}");
        }
    }

    #[test]
    fn the_finding_says_what_to_type() {
        let all = Fate {
            drops_rest: true,
            drops: vec![drop_in("FORWARD")],
            ..Fate::default()
        };
        let found = foreign_drops(&[chain("filter", true, all.clone())]);
        assert_eq!(
            found[0].remedy,
            "let packets of Services pass: `iptables -t filter -I FORWARD -m conntrack --ctstate \
             DNAT -j ACCEPT`; `nft -a list chain ip filter FORWARD` shows it"
        );
        assert_eq!(
            found[0].evidence,
            [
                "its policy is drop",
                "chain FORWARD, rule with handle 7, drops",
                "at priority 0 of forward it sees the endpoint's address; what our rules accept is \
                 not beyond it"
            ]
        );
        let found = foreign_drops(&[chain("mine", true, all)]);
        assert!(
            found[0]
                .remedy
                .contains("`nft insert rule ip mine FORWARD ct status dnat accept`"),
            "{}",
            found[0].remedy
        );
    }
}
