use super::*;
use e2e::{Namespace, ip};
use std::net::UdpSocket;
use std::time::Duration;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn namespace(role: &str) -> Namespace {
    let namespace = Namespace::create(role).expect("a namespace");
    let set_up = "link set lo up\naddress add 192.0.2.1/32 dev lo\n\
        -6 address add 2001:db8::1/128 dev lo nodad";
    ip(&namespace, set_up).expect("addresses");
    namespace
}

fn tables(namespace: &Namespace) -> String {
    namespace.exec(&["nft", "list", "tables"]).expect("nft")
}

fn pair(own: IpAddr, port: u16) -> Pair {
    Pair {
        protocol: model::Protocol::Udp,
        source: own,
        destination: own,
        port,
    }
}

/// Events until a datagram of the pair was told of, and those of another port's.
async fn heard(follower: &mut Follower, own: IpAddr) -> Vec<Event> {
    let socket = UdpSocket::bind((own, 0)).expect("a socket");
    // Not of the pair, and sent first: what is told then is told after it.
    for port in [9998, 9999] {
        socket.send_to(b"x", (own, port)).expect("a datagram");
    }
    let mut events = Vec::new();
    let all = async {
        let has_port = |events: &[Event]| {
            let mut headers = events.iter().filter_map(|event| event.headers);
            headers.any(|own| own.port == 9999)
        };
        while !has_port(&events) {
            events.extend(follower.next().await.expect("events").into_iter().flatten());
        }
    };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, all).await.expect("an event");
    events
}

#[test]
fn the_kernel_tells_of_a_pairs_packets_alone() {
    let namespace = namespace("nftrace");
    for own in ["192.0.2.1", "2001:db8::1"].map(address) {
        let (events, table) = namespace
            .run(|| {
                let mut builder = tokio::runtime::Builder::new_current_thread();
                let runtime = builder.enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    let mut follower = Follower::open().expect("a listener");
                    let marking = Marking::set(pair(own, 9999)).expect("the kernel marks");
                    assert!(marking.is_owned(), "this kernel knows owners");
                    let events = heard(&mut follower, own).await;
                    (events, marking.table().to_owned())
                })
            })
            .expect("a thread");
        let headers = events.iter().filter_map(|event| event.headers);
        for headers in headers {
            let ends = (headers.source, headers.destination, headers.port);
            assert_eq!(ends, (own, own, 9999));
        }
        assert!(
            events.iter().all(|event| event.table == table),
            "{events:?}"
        );
        assert!(!tables(&namespace).contains(TABLE_PREFIX), "it is gone");
    }
}

#[test]
fn the_kernel_removes_the_table_with_its_owner_and_we_what_has_none() {
    let namespace = namespace("nftrace-left");
    let own = address("192.0.2.1");
    namespace
        .run(|| {
            let marking = Marking::set(pair(own, 9999)).expect("the kernel marks");
            assert!(tables(&namespace).contains(marking.table()));
            let removed = remove_leftovers(Family::V4).expect("a list");
            assert!(!removed, "what is in use stays");
            assert!(tables(&namespace).contains(marking.table()));
        })
        .expect("a thread");
    namespace
        .nft(
            "table ip kube-proxy-trace-1 {}\ntable ip somebody {}\ntable ip6 kube-proxy-trace-2 {}",
        )
        .expect("tables");
    for family in Family::ALL {
        let removed = namespace.run(|| remove_leftovers(family));
        assert!(removed.expect("a thread").expect("a list"));
    }
    assert_eq!(tables(&namespace).trim(), "table ip somebody");
}

#[test]
fn no_message_makes_the_reader_panic() {
    let mut out = Writer::new();
    out.message(nf_tables::message_kind(libc::NFT_MSG_TRACE), 0, 1, |out| {
        nf_tables::header(out, 2);
        out.number(6, 7);
        out.number(4, 3);
        out.long(3, 9);
        out.text(1, "kube-proxy");
        out.text(2, "services");
        out.attribute(8, &[0x45, 0, 0, 40]);
        out.attribute(9, &[0, 1]);
    });
    let bytes = out.bytes().to_vec();
    let read = |bytes: &[u8]| messages(bytes).filter_map(Event::read).count();
    assert_eq!(read(&bytes), 1, "without its packet");
    for at in 16..bytes.len() {
        for value in [0, 0xff] {
            let mut broken = bytes.clone();
            broken[at] = value;
            read(&broken);
        }
    }
}
