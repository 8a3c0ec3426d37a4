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
    let mut decoder = Decoder::new(OWN);
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

#[test]
fn too_many_are_told_as_lost_and_the_next_begins_anew() {
    let mut decoder = Decoder::new(OWN);
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
        let mut decoder = Decoder::new(OWN);
        decoder.read(&bytes);
        object(&mut bytes, 2, libc::NFT_MSG_DELRULE, "kube-proxy", "services");
        end(&mut bytes, OTHER, 3);
        for (at, value) in flips {
            let length = bytes.len();
            bytes[at % length] = value;
        }
        decoder.read(&bytes);
        prop_assert!(decoder.take_notices().len() <= NOTICES);
    }
}
