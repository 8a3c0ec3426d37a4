//! Chains of others in a real kernel, as nft and iptables make them.

use super::*;
use e2e::Namespace;
use rules::check::{DropKind, foreign_drops};
use rules::finding::Severity;
use std::fmt::Write as _;

fn namespace() -> Namespace {
    Namespace::create("others").expect("a namespace, which needs root")
}

fn seen(namespace: &Namespace) -> Others {
    let others = namespace.run(look).expect("the namespace");
    others.expect("what others have")
}

/// Chain, hook, priority, and what becomes of packets: what drops, what gets through.
fn outline(others: &Others) -> Vec<String> {
    let chains = others.chains.iter();
    let line = |chain: &ForeignChain| {
        let fate = &chain.fate;
        let drops: Vec<String> = (fate.drops.iter())
            .map(|rule| format!("{}/{}", rule.chain, rule.does))
            .collect();
        format!(
            "{chain}, {} {}, {} rules, passes {}, drops rest {}, {drops:?}",
            chain.hook, chain.priority, fate.rules, fate.lets_pass, fate.drops_rest
        )
    };
    chains.map(line).collect()
}

#[test]
fn a_namespace_of_nobody_has_none() {
    let namespace = namespace();
    assert_eq!(seen(&namespace), Others::default());
    // Our own table is nobody else's.
    namespace
        .nft(
            "table ip kube-proxy {\n chain filter-forward {\n\
             type filter hook forward priority 0; policy drop;\n }\n}",
        )
        .expect("a table");
    assert_eq!(seen(&namespace), Others::default());
}

#[test]
fn chains_of_nft_are_told_in_the_order_of_packets() {
    let namespace = namespace();
    namespace
        .nft(
            "table inet fw {
                chain late { type filter hook forward priority 10; policy drop;
                    ct state vmap { established : accept, invalid : drop, new : jump sub }
                }
                chain early { type filter hook prerouting priority -300;
                    counter log drop comment \"nothing comes in\"
                }
                chain sub { tcp dport 22 reject with tcp reset; counter return; drop; }
                chain unused { drop; }
            }
            table ip sleeping {
                flags dormant
                chain asleep { type filter hook forward priority 0; policy drop; }
            }
            table netdev dev {
                chain in { type filter hook ingress device lo priority 0; policy accept;
                    ip saddr 192.0.2.1 drop
                }
            }
            table bridge br {
                chain f { type filter hook forward priority 0; policy drop; }
            }",
        )
        .expect("tables");
    let others = seen(&namespace);
    assert_eq!(
        outline(&others),
        [
            "netdev dev in, ingress 0, 1 rules, passes true, drops rest false, [\"in/drops\"]",
            "inet fw early, prerouting -300, 1 rules, passes false, drops rest true, \
             [\"early/drops\"]",
            "inet fw late, forward 10, 4 rules, passes true, drops rest true, \
             [\"late/drops\", \"sub/rejects\"]",
        ]
    );
    let early = &others.chains[1];
    assert!(early.fate.drops_all());
    let rule = &early.fate.drops[0];
    assert_eq!(rule.comment.as_deref(), Some("nothing comes in"));
    assert_eq!((rule.does, rule.always), (DropKind::Drop, true));
    let severities: Vec<Severity> = (foreign_drops(&others.chains).iter())
        .map(|finding| finding.severity)
        .collect();
    assert_eq!(
        severities,
        [Severity::Info, Severity::Error, Severity::Warning]
    );
}

#[test]
fn chains_of_iptables_are_told_with_their_extensions() {
    let namespace = namespace();
    for words in [
        "iptables-nft -P FORWARD DROP",
        "iptables-nft -N DOCKER-USER",
        "iptables-nft -A FORWARD -j DOCKER-USER",
        "iptables-nft -A DOCKER-USER -j RETURN",
        "iptables-nft -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT",
        "iptables-nft -A INPUT -m comment --comment closed -j REJECT",
        "ip6tables-nft -N KUBE-FIREWALL",
        "ip6tables-nft -A OUTPUT -j KUBE-FIREWALL",
        "ip6tables-nft -A KUBE-FIREWALL -d fd00::/8 -m conntrack ! --ctstate RELATED -j DROP",
        "iptables-nft -t nat -N KUBE-SERVICES",
        "iptables-nft -t nat -N KUBE-SVC-AAAAAAAAAAAAAAAA",
        "iptables-nft -t nat -A PREROUTING -j KUBE-SERVICES",
        "iptables-nft -t nat -A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-AAAAAAAAAAAAAAAA",
        "iptables-nft -t nat -A KUBE-SVC-AAAAAAAAAAAAAAAA -p tcp -j DNAT --to-destination 10.0.0.1",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        namespace.exec(&words).expect("iptables");
    }
    let others = seen(&namespace);
    assert_eq!(
        outline(&others),
        [
            "ip nat PREROUTING, prerouting -100, 1 rules, passes true, drops rest false, []",
            "ip filter INPUT, input 0, 1 rules, passes false, drops rest true, [\"INPUT/rejects\"]",
            "ip filter FORWARD, forward 0, 3 rules, passes true, drops rest true, []",
            "ip6 filter OUTPUT, output 0, 2 rules, passes true, drops rest false, \
             [\"KUBE-FIREWALL/drops\"]",
        ]
    );
    let comment = others.chains[1].fate.drops[0].comment.as_deref();
    assert_eq!(comment, Some("closed"));
    let census: Vec<String> = (others.census.iter())
        .map(|owned| {
            format!(
                "{} {}: {:?} {}",
                owned.family, owned.table, owned.owner, owned.chains
            )
        })
        .collect();
    assert_eq!(
        census,
        [
            "ip filter: Docker 1",
            "ip nat: KubeProxy 2",
            "ip6 filter: Kubelet 1"
        ]
    );
}

#[test]
fn however_much_a_neighbour_has_reading_ends() {
    let namespace = namespace();
    let mut rules = String::from(
        "table ip huge { chain sub { }\n chain f { type filter hook forward priority 0; policy drop;\n",
    );
    for number in 0..RULES + 5_000 {
        let _ = writeln!(
            rules,
            "ip saddr 10.{}.{}.{} drop",
            number >> 16,
            (number >> 8) & 255,
            number & 255
        );
    }
    rules.push_str("jump sub\n}\n}\ntable ip small {\n chain f { type filter hook forward priority 1; policy drop; }\n}\n");
    namespace.nft(&rules).expect("rules");
    let others = seen(&namespace);
    let huge = &others.chains[0].fate;
    assert_eq!((huge.rules, huge.unread), (RULES, true));
    assert_eq!(huge.drops.len() + huge.more_drops, RULES);
    assert!(!huge.drops_all(), "what was not read may accept");
    assert!(others.chains[1].fate.drops_all(), "of another table");
}
