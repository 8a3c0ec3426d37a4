//! Messages as the kernel sends them, and such as it does not.

use super::*;
use nft_wire::Writer;
use proptest::prelude::*;

const OWN: u32 = 7;
const OTHER: u32 = 8;

fn put(out: &mut Vec<u8>, port: u32, family: u8, kind: i32, write: impl FnOnce(&mut Writer)) {
    let mut message = Writer::new();
    nf_tables::message(&mut message, family, kind, 0, 1, write);
    message.put(12, &port.to_ne_bytes());
    out.extend(message.finish().expect("a short message"));
}

fn object(out: &mut Vec<u8>, family: u8, kind: i32, table: &str, name: &str) {
    put(out, OTHER, family, kind, |out| {
        out.text(1, table);
        out.text(if kind == libc::NFT_MSG_DELCHAIN { 3 } else { 2 }, name);
    });
}

fn end(out: &mut Vec<u8>, port: u32, generation: u32) {
    put(out, port, 0, libc::NFT_MSG_NEWGEN, |out| {
        out.attribute(1, &generation.to_be_bytes());
        out.attribute(2, &42u32.to_be_bytes());
        out.text(3, "nft");
    });
}

fn notices(datagrams: &[Vec<u8>]) -> Vec<Notice> {
    let mut decoder = Decoder::new(Ours::Table, OWN);
    datagrams.iter().for_each(|datagram| decoder.read(datagram));
    decoder.take_notices()
}

#[test]
fn a_transaction_is_told_at_its_end_with_all_that_it_did() {
    let mut first = Vec::new();
    for chain in ["services", "masquerade"] {
        object(&mut first, 2, libc::NFT_MSG_DELRULE, "kube-proxy", chain);
    }
    object(&mut first, 2, libc::NFT_MSG_DELRULE, "filter", "input");
    let mut second = Vec::new();
    object(
        &mut second,
        10,
        libc::NFT_MSG_DELCHAIN,
        "kube-proxy",
        "cluster-3",
    );
    let mut third = Vec::new();
    end(&mut third, OTHER, 9);
    let told = notices(&[first, second, third]);
    let [Notice::Changed(change)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!((change.generation, change.pid), (9, 42));
    assert_eq!(
        change.to_string(),
        "nft (pid 42): deleted 2 ip rules (services), deleted 1 ip6 chain (cluster-3)"
    );
}

#[test]
fn what_is_not_about_our_table_is_nothing() {
    let rows: [(&str, u8, i32, &str, &str); 4] = [
        (
            "another table",
            2,
            libc::NFT_MSG_NEWRULE,
            "kube-proxy-2",
            "services",
        ),
        (
            "another family",
            1,
            libc::NFT_MSG_DELTABLE,
            "kube-proxy",
            "",
        ),
        (
            "a client",
            2,
            libc::NFT_MSG_DELSETELEM,
            "kube-proxy",
            "affinity-ns/web",
        ),
        ("a trace", 2, 17, "kube-proxy", "services"),
    ];
    for (what, family, kind, table, name) in rows {
        let mut datagram = Vec::new();
        object(&mut datagram, family, kind, table, name);
        end(&mut datagram, OTHER, 9);
        assert_eq!(notices(&[datagram]), [], "{what}");
    }
    let mut own = Vec::new();
    put(&mut own, OWN, 2, libc::NFT_MSG_DELTABLE, |out| {
        out.text(1, "kube-proxy");
    });
    end(&mut own, OWN, 9);
    assert_eq!(notices(&[own]), [], "what we did ourselves");
}

#[test]
fn every_kind_of_object_counts_and_upstream_is_recognised() {
    for kind in [0, 2, 3, 5, 6, 8, 9, 11, 12, 14, 18, 20, 22, 24] {
        let mut datagram = Vec::new();
        object(&mut datagram, 2, kind, "kube-proxy", "endpoints");
        end(&mut datagram, OTHER, 9);
        assert_eq!(notices(&[datagram]).len(), 1, "{kind}");
    }
    let mut upstream = Vec::new();
    object(
        &mut upstream,
        2,
        libc::NFT_MSG_NEWSET,
        "kube-proxy",
        "service-ips",
    );
    end(&mut upstream, OTHER, 9);
    let told = notices(&[upstream]);
    assert!(
        matches!(&told[..], [Notice::Changed(change)] if change.is_by_a_proxy()),
        "{told:?}"
    );
}

/// What is told of chains, and whose jumps may be gone.
fn of_chains(datagrams: &[Vec<u8>]) -> (Vec<Notice>, Vec<String>) {
    let mut decoder = Decoder::new(Ours::Chains, OWN);
    datagrams.iter().for_each(|datagram| decoder.read(datagram));
    let doubts = decoder.take_doubts();
    let doubts = doubts.map(|(family, change)| format!("{family}: {change}"));
    let doubts = doubts.collect();
    (decoder.take_notices(), doubts)
}

#[test]
fn what_others_do_to_chains_is_told_as_far_as_they_are_ours() {
    use libc::{NFT_MSG_DELCHAIN, NFT_MSG_DELRULE, NFT_MSG_DELTABLE};
    use libc::{NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_NEWSET, NFT_MSG_NEWTABLE};
    let rows = [
        (
            NFT_MSG_NEWRULE,
            "nat",
            "KUBE-SERVICES",
            "set 1 ip nat rule (KUBE-SERVICES)",
        ),
        (
            NFT_MSG_DELRULE,
            "filter",
            "KUBE-FORWARD",
            "deleted 1 ip filter rule (KUBE-FORWARD)",
        ),
        (
            NFT_MSG_DELCHAIN,
            "nat",
            "KUBE-SEP-A",
            "deleted 1 ip nat chain (KUBE-SEP-A)",
        ),
        (
            NFT_MSG_NEWCHAIN,
            "nat",
            "KUBE-SVC-A",
            "set 1 ip nat chain (KUBE-SVC-A)",
        ),
        (
            NFT_MSG_DELCHAIN,
            "mangle",
            "KUBE-PROXY-CANARY",
            "deleted 1 ip mangle chain (KUBE-PROXY-CANARY)",
        ),
        (
            NFT_MSG_DELRULE,
            "filter",
            "KUBE-FIREWALL",
            "deleted 1 ip filter rule (KUBE-FIREWALL)",
        ),
        (NFT_MSG_DELTABLE, "filter", "", "deleted 1 ip filter table"),
        // The kubelet's, and others'.
        (NFT_MSG_NEWRULE, "filter", "KUBE-FIREWALL", ""),
        (NFT_MSG_NEWCHAIN, "filter", "KUBE-FIREWALL", ""),
        (NFT_MSG_NEWCHAIN, "mangle", "KUBE-IPTABLES-HINT", ""),
        (NFT_MSG_DELCHAIN, "nat", "KUBE-KUBELET-CANARY", ""),
        (NFT_MSG_NEWTABLE, "nat", "", ""),
        (NFT_MSG_NEWRULE, "nat", "PREROUTING", ""),
        (NFT_MSG_NEWCHAIN, "filter", "FORWARD", ""),
        (NFT_MSG_DELRULE, "mangle", "PREROUTING", ""),
        (NFT_MSG_DELRULE, "raw", "KUBE-SERVICES", ""),
        (NFT_MSG_DELRULE, "kube-proxy", "services", ""),
        (NFT_MSG_DELCHAIN, "filter", "DOCKER", ""),
        (NFT_MSG_NEWSET, "filter", "KUBE-SERVICES", ""),
    ];
    for (kind, table, name, expected) in rows {
        let mut datagram = Vec::new();
        put(&mut datagram, OTHER, 2, kind, |out| {
            out.text(1, table);
            let chain = matches!(kind, NFT_MSG_NEWCHAIN | NFT_MSG_DELCHAIN);
            out.text(if chain { 3 } else { 2 }, name);
        });
        end(&mut datagram, OTHER, 9);
        let (told, doubts) = of_chains(&[datagram]);
        let edits = told.iter().map(|notice| match notice {
            Notice::Changed(change) => change.edits[0].to_string(),
            Notice::Lost => "lost".to_owned(),
        });
        assert_eq!(edits.collect::<String>(), expected, "{table} {name}");
        assert_eq!(doubts, [""; 0], "{table} {name}");
    }
}

#[test]
fn however_much_others_delete_in_built_in_chains_it_is_one_doubt_for_each_family() {
    let mut datagrams = Vec::new();
    for generation in 0..1000 {
        for (family, chain) in [(2, "INPUT"), (10, "FORWARD")] {
            let mut datagram = Vec::new();
            object(
                &mut datagram,
                family,
                libc::NFT_MSG_DELRULE,
                "filter",
                chain,
            );
            end(&mut datagram, OTHER, generation);
            datagrams.push(datagram);
        }
    }
    let (told, doubts) = of_chains(&datagrams);
    assert_eq!(told, []);
    assert_eq!(
        doubts,
        [
            "IPv4: nft (pid 42): deleted 1 ip filter jump (INPUT)",
            "IPv6: nft (pid 42): deleted 1 ip6 filter jump (FORWARD)"
        ]
    );
    // Beside a chain of ours it is no doubt.
    let mut flush = Vec::new();
    object(&mut flush, 2, libc::NFT_MSG_DELRULE, "nat", "PREROUTING");
    object(&mut flush, 2, libc::NFT_MSG_DELRULE, "nat", "KUBE-SERVICES");
    end(&mut flush, OTHER, 9);
    let (told, doubts) = of_chains(&[flush]);
    assert_eq!((told.len(), doubts.len()), (1, 0));
}

#[test]
fn upstream_is_known_by_what_it_writes_and_how() {
    for (process, chain, expected) in [
        ("iptables-restor", "KUBE-POSTROUTING", true),
        ("ip6tables-nft-r", "KUBE-FORWARD", true),
        ("iptables", "KUBE-FORWARD", false),
        ("nft", "KUBE-POSTROUTING", false),
        ("iptables-restor", "KUBE-MARK-MASQ", false),
    ] {
        let mut datagram = Vec::new();
        object(&mut datagram, 2, libc::NFT_MSG_NEWRULE, "nat", chain);
        object(&mut datagram, 2, libc::NFT_MSG_NEWRULE, "filter", chain);
        put(&mut datagram, OTHER, 0, libc::NFT_MSG_NEWGEN, |out| {
            out.attribute(1, &3u32.to_be_bytes());
            out.text(3, process);
        });
        let (told, _) = of_chains(&[datagram]);
        assert!(
            matches!(&told[..], [Notice::Changed(change)] if change.is_by_a_proxy() == expected),
            "{process} {chain}: {told:?}"
        );
    }
}

#[test]
fn too_many_are_told_as_lost_and_the_next_begins_anew() {
    let mut decoder = Decoder::new(Ours::Table, OWN);
    let mut one = Vec::new();
    object(&mut one, 2, libc::NFT_MSG_DELRULE, "kube-proxy", "services");
    decoder.read(&one);
    decoder.lost();
    let mut last = Vec::new();
    end(&mut last, OTHER, 3);
    decoder.read(&last);
    assert_eq!(decoder.take_notices(), [Notice::Lost]);
    for generation in 0..1000 {
        decoder.read(&one);
        let mut last = Vec::new();
        end(&mut last, OTHER, generation);
        decoder.read(&last);
    }
    let told = decoder.take_notices();
    assert!(
        told.contains(&Notice::Lost) && told.len() <= NOTICES,
        "{}",
        told.len()
    );
}

proptest! {
    #[test]
    fn nothing_that_comes_is_too_odd(mut bytes: Vec<u8>, flips in prop::collection::vec((0usize..400, any::<u8>()), 0..8)) {
        let mut decoder = Decoder::new(Ours::Table, OWN);
        let mut of_chains = Decoder::new(Ours::Chains, OWN);
        decoder.read(&bytes);
        of_chains.read(&bytes);
        object(&mut bytes, 2, libc::NFT_MSG_DELRULE, "kube-proxy", "services");
        end(&mut bytes, OTHER, 3);
        for (at, value) in flips {
            let length = bytes.len();
            bytes[at % length] = value;
        }
        for mut decoder in [decoder, of_chains] {
            decoder.read(&bytes);
            prop_assert!(decoder.take_notices().len() <= NOTICES);
        }
    }
}
