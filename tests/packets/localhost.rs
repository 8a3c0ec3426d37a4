//! What mode iptables promises and its table has where nftables serves: invalid packets are
//! dropped, and node ports on loopback addresses are refused where no proxy serves them.

use super::rig::{Expect, Rig, Source};
use kube_proxy::netlink::dump::Reader;
use rules::Localhost;
use rules::model::{Family, Protocol};
use rules::nft::ruleset::Counter;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
/// Nobody answers there.
const NOWHERE: u16 = 9;

fn count(rig: &Rig, counter: Counter) -> Option<u64> {
    let family = rig.family();
    let reading = rig.on_node_1(move || Reader::open(family)?.counts());
    let reading = reading.expect("counts").expect("a table");
    reading.counters.get(&counter).copied()
}

/// A TCP header with SYN and FIN, which nothing that is valid has, and without a checksum.
fn nonsense(source: u16) -> [u8; 20] {
    let mut header = [0; 20];
    header[..2].copy_from_slice(&source.to_be_bytes());
    header[2..4].copy_from_slice(&NOWHERE.to_be_bytes());
    header[12] = 5 << 4;
    header[13] = 3;
    header
}

fn raw(family: Family) -> Socket {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::RAW, Some(socket2::Protocol::TCP)).expect("a socket");
    socket.set_read_timeout(Some(LIMIT)).expect("a timeout");
    socket
}

/// The source port of the next packet of [`nonsense`].
fn next(socket: &mut Socket) -> u16 {
    let mut bytes = [0; 200];
    loop {
        let count = socket.read(&mut bytes).expect("a packet");
        // With IPv4 the header before it comes along.
        let at = if bytes[0] >> 4 == 4 && count >= 40 {
            20
        } else {
            0
        };
        let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        if port(at + 2) == NOWHERE {
            return port(at);
        }
    }
}

#[test]
fn invalid_packets_are_forwarded_unless_the_mode_drops_them() {
    for family in Family::ALL {
        let mut rig = Rig::new(family);
        let service = rig.service();
        rig.program(service.clone(), &[1]);
        let target = rig.endpoint_ip(1);
        let mut receiver = rig.at_endpoint(1, || raw(family));
        let send = |rig: &Rig, source: u16| {
            let (namespace, _) = rig.source(Source::Pod);
            let to = SockAddr::from(SocketAddr::new(target, 0));
            let sent = namespace.run(|| raw(family).send_to(&nonsense(source), &to));
            sent.expect("the namespace").expect("sent");
        };
        assert_eq!(count(&rig, Counter::Invalid), None, "{family}");
        send(&rig, 1001);
        assert_eq!(next(&mut receiver), 1001, "{family}");

        rig.configure(|config| config.drop_invalid = true);
        rig.program(service.clone(), &[1]);
        assert_eq!(count(&rig, Counter::Invalid), Some(0), "{family}");
        send(&rig, 1002);
        e2e::wait::until("a drop", LIMIT, || {
            anyhow::ensure!(count(&rig, Counter::Invalid) == Some(1), "not yet");
            Ok(())
        })
        .expect("it is counted");
        // What is valid is as before.
        let frontend = (rig.external_ip(), 80);
        rig.check(
            Source::Outside,
            frontend,
            Protocol::Tcp,
            Expect::Masqueraded,
        )
        .unwrap_or_else(|problem| panic!("{family}: {problem}"));

        rig.configure(|config| config.drop_invalid = false);
        rig.program(service, &[1]);
        send(&rig, 1003);
        // Packets come in order: what was dropped does not come any more.
        assert_eq!(next(&mut receiver), 1003, "{family}");
    }
}

#[test]
fn node_ports_on_localhost_are_refused_and_counted() {
    for family in Family::ALL {
        let mut rig = Rig::new(family);
        let service = rig.service();
        let localhost = match family {
            Family::V4 => IpAddr::from(Ipv4Addr::LOCALHOST),
            Family::V6 => Ipv6Addr::LOCALHOST.into(),
        };
        let frontend = (localhost, 30080);
        let listener = rig
            .on_node_1(|| TcpListener::bind(frontend))
            .expect("a listener");
        std::thread::spawn(move || listener.incoming().for_each(drop));
        let connects = |rig: &Rig| rig.on_node_1(|| TcpStream::connect(frontend)).is_ok();
        let refused = |rig: &Rig, protocol| {
            let counter = Counter::LocalhostNodeport(protocol);
            let before = count(rig, counter).expect("a counter");
            rig.check(Source::Node, frontend, protocol, Expect::Refused)
                .unwrap_or_else(|problem| panic!("{family} {protocol}: {problem}"));
            assert!(count(rig, counter) > Some(before), "{family} {protocol}");
        };
        rig.program(service.clone(), &[1]);
        assert!(connects(&rig), "{family}: nobody speaks of it");

        rig.configure(|config| config.localhost = Localhost::Refused);
        rig.program(service.clone(), &[1]);
        refused(&rig, Protocol::Tcp);
        refused(&rig, Protocol::Udp);

        rig.configure(|config| {
            config.localhost = Localhost::Proxied {
                local_policy_serves_all: true,
            };
        });
        rig.program(service, &[1]);
        assert!(connects(&rig), "{family}: the proxy is reached");
        refused(&rig, Protocol::Udp);
        // Other addresses are as they were.
        rig.check(
            Source::Outside,
            (rig.node_ip(), 30080),
            Protocol::Udp,
            Expect::Masqueraded,
        )
        .unwrap_or_else(|problem| panic!("{family}: {problem}"));
    }
}
