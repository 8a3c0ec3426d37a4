//! What is read back when somebody else edited the table.

use super::build;
use super::listing::Node;
use super::table::Both;
use kube_proxy::netlink::dump::{Dump, Foreign, Place};
use rules::model::Family;
use rules::nft::ruleset::{ChainId, Key, SetId};

/// Where, and in which words; handles are the kernel's.
fn told(foreign: &[Foreign]) -> Vec<String> {
    let without_handle = |found: &Foreign| {
        let mut found = found.clone();
        if let Place::Rule { handle, .. } = &mut found.place {
            assert_ne!(*handle, 0);
            *handle = 7;
        }
        found.to_string()
    };
    let mut told: Vec<String> = foreign.iter().map(without_handle).collect();
    told.sort();
    told
}

fn node(family: Family) -> Node {
    let mut node = Node::new(family);
    node.add(
        build::service("web"),
        build::endpoints("web", &["n1", "n2", "n2"]),
    );
    node
}

#[test]
fn there_is_no_table_before_there_is_one() {
    for family in Family::ALL {
        let mut both = Both::new(family);
        assert_eq!(both.reader.table().expect("an answer"), None);
        let elements = both.reader.elements(SetId::ClusterIps, []);
        assert_eq!(elements.expect("an answer"), (Vec::new(), Vec::new()));
        let chain = both.reader.chain(&ChainId::Fixed("services"));
        assert_eq!(chain.expect("an answer"), None);
    }
}

#[test]
fn what_somebody_else_put_in_is_told_and_ours_is_read_all_the_same() {
    let rows: [(&str, &[&str], &[&str]); 10] = [
        (
            "a rule with a statement that we have not",
            &["insert rule ip kube-proxy services ip saddr 203.0.113.7 counter drop"],
            &[
                "rule 1 of chain services (handle 7): ip saddr 203.0.113.7 [ counter pkts 0 bytes 0 ] drop",
            ],
        ),
        (
            "a verdict that we do not give",
            &["add rule ip kube-proxy filter-input tcp dport 22 accept"],
            &[
                "rule 3 of chain filter-input (handle 7): [ meta load key 16 => reg 1 ] [ cmp eq reg 1 0x06 ] \
              [ payload load 2b @ transport header + 2 => reg 1 ] [ cmp eq reg 1 0x0016 ] \
              [ immediate reg 0 accept ]",
            ],
        ),
        (
            "a chain, and a rule that goes there",
            &[
                "add chain ip kube-proxy mine",
                "add rule ip kube-proxy services jump mine",
            ],
            &[
                "chain mine: not ours",
                "rule 4 of chain services (handle 7): [ immediate reg 0 jump -> mine ]",
            ],
        ),
        (
            "a policy",
            &["add chain ip kube-proxy filter-forward { policy drop ; }"],
            &["chain filter-forward: type filter hook 2 priority 0; policy drop"],
        ),
        (
            "a set with elements",
            &["add set ip kube-proxy mine { type ipv4_addr ; elements = { 192.0.2.1 } ; }"],
            &["set mine: flags 0x0, key of type 0x7, 4 bytes"],
        ),
        (
            "an element that goes to nobody's chain",
            &[
                "add chain ip kube-proxy mine",
                "add element ip kube-proxy services { 10.0.0.1 . tcp . 80 : goto mine }",
            ],
            &[
                "chain mine: not ours",
                "element of services: 10.0.0.1 . tcp . 80 : goto -> mine",
            ],
        ),
        (
            "an element of a protocol that we have not",
            &["add element ip kube-proxy services { 10.0.0.1 . udplite . 80 : drop }"],
            &["element of services: 0x0a0000018800000000500000 : drop"],
        ),
        (
            "a rule of ours once more",
            &["add rule ip kube-proxy services drop"],
            &[],
        ),
        (
            "an object",
            &["add counter ip kube-proxy mine"],
            &["object mine: not ours"],
        ),
        (
            "a table that sleeps",
            &["add table ip kube-proxy { flags dormant ; }"],
            &["table: flags 0x1"],
        ),
    ];
    for (what, commands, expected) in rows {
        let mut node = node(Family::V4);
        let before = node.both.dump(what);
        for command in commands {
            let edited = node.both.namespace.nft(command);
            edited.unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        let after = node.both.dump(what);
        assert_eq!(told(&after.foreign), expected, "{what}");
        assert_eq!(after.sets, before.sets, "{what}");
        let chains = |dump: &Dump| dump.chains.keys().cloned().collect();
        let (own, others): (Vec<ChainId>, Vec<ChainId>) = (chains(&before), chains(&after));
        assert_eq!(own, others, "{what}");
        let is_longer = after.chains != before.chains;
        assert_eq!(is_longer, what == "a rule of ours once more", "{what}");
    }
}

#[test]
fn one_services_elements_are_read_without_the_others() {
    let mut node = node(Family::V4);
    let dump = node.both.dump("a Service");
    let (_, services) = &dump.sets[&SetId::Services];
    let [service] = &services[..] else {
        panic!("{services:?}");
    };
    let Key::Frontend(frontend) = service.key else {
        panic!("{service:?}");
    };
    // More than there are: those that are not there are no error.
    let keys = (0..9).map(|index| Key::Indexed(frontend, index));
    let (found, foreign) = node
        .both
        .reader
        .elements(SetId::Endpoints, keys)
        .expect("some");
    assert_eq!((found.len(), foreign), (3, Vec::new()));
    let chains: Vec<&ChainId> = dump.chains.keys().collect();
    let nobody = ChainId::Cluster {
        endpoints: 77,
        masquerade: false,
        nodeport: false,
    };
    assert!(!chains.contains(&&nobody));
    assert_eq!(node.both.reader.chain(&nobody).expect("an answer"), None);
}
