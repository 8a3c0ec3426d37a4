//! Real sockets in a namespace, whose loopback interface has the endpoints' addresses as well.

use super::*;
use crate::events::Message;
use crate::metrics::Metrics;
use e2e::{Namespace, wait};
use rules::model::{EndpointAddr, ObjectName};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

/// Whatever is waited for comes in that time.
const LIMIT: Duration = Duration::from_secs(30);
const PORT: u16 = 30080;
const ROOM: Room = Room {
    listeners: 500,
    connections: 2_000,
    of_one_port: 1_500,
};

struct Bench {
    namespace: Namespace,
    metrics: Metrics,
    proxy: LocalhostProxy,
    events: tokio::sync::mpsc::Receiver<Message>,
}

fn backend(n: u8) -> EndpointAddr {
    EndpointAddr {
        address: [10, 244, 0, n].into(),
        port: 8080,
    }
}

fn served(endpoints: &[u8]) -> Served {
    Served {
        service: ObjectName::new("shop", "web"),
        endpoints: endpoints.iter().copied().map(backend).collect(),
        affinity: None,
    }
}

impl Bench {
    fn new(room: Room) -> Self {
        // Tests are clients and endpoints as well, all in one process.
        crate::descriptors::raise();
        let namespace = Namespace::create("localhost").expect("a namespace, which needs root");
        let add = |n| format!("address add 10.244.0.{n}/32 dev lo\n");
        e2e::ip(&namespace, &(1..=3).map(add).collect::<String>()).expect("addresses");
        let metrics = Metrics::new().expect("metrics");
        let (recorder, events) = Recorder::queue();
        let own = metrics.localhost().expect("metrics of this mode").clone();
        let start = || LocalhostProxy::start(own, recorder, room, &Family::ALL);
        let proxy = namespace.run(start).expect("the namespace");
        Self {
            namespace,
            metrics,
            proxy: proxy.expect("a proxy"),
            events,
        }
    }

    fn update(&self, ports: impl IntoIterator<Item = (u16, Option<Served>)>) {
        self.proxy.update(LocalhostUpdate {
            family: Family::V4,
            ports: ports.into_iter().collect(),
        });
    }

    /// Serves the port, which has to listen before this ends.
    fn open(&self, served: Served) {
        self.update([(PORT, Some(served))]);
        self.until("kubeproxy_nftables_localhost_nodeport_listeners", 1);
    }

    /// Waits until a metric of IPv4 has a value.
    fn until(&self, metric: &str, value: usize) {
        let line = format!("{metric}{{ip_family=\"IPv4\"}} {value}\n");
        wait::until(&line, LIMIT, || ready(self.metrics.text().contains(&line)))
            .expect("the value");
    }

    fn listen(&self, address: SocketAddr) -> TcpListener {
        let listener = self.namespace.run(|| TcpListener::bind(address));
        listener.expect("the namespace").expect("a listener")
    }

    /// An endpoint that does this with each connection, one at a time.
    fn endpoint(&self, n: u8, with: impl Fn(TcpStream) + Send + 'static) {
        let EndpointAddr { address, port } = backend(n);
        let listener = self.listen(SocketAddr::new(address, port));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                with(stream.expect("a connection"));
            }
        });
    }

    /// One that tells its number and closes.
    fn numbered(&self, n: u8) {
        self.endpoint(n, move |mut stream| stream.write_all(&[n]).expect("room"));
    }

    fn try_connect(&self, port: u16) -> std::io::Result<TcpStream> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = self.namespace.run(|| TcpStream::connect(address));
        let stream = stream.expect("the namespace")?;
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
        Ok(stream)
    }

    fn connect(&self) -> TcpStream {
        self.try_connect(PORT).expect("a connection")
    }

    /// What an endpoint of [`numbered`](Self::numbered) tells.
    fn number(&self) -> u8 {
        match read_all(&mut self.connect()).expect("an answer")[..] {
            [number] => number,
            ref other => panic!("{other:?}"),
        }
    }
}

fn ready(it_is: bool) -> anyhow::Result<()> {
    anyhow::ensure!(it_is, "not yet");
    Ok(())
}

fn read_all(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map(|_| bytes)
}

#[test]
fn each_direction_may_end_before_the_other() {
    let bench = Bench::new(ROOM);
    // Who asks ends first.
    bench.endpoint(1, |mut stream| {
        let asked = read_all(&mut stream).expect("a question");
        stream.write_all(&asked).expect("room");
    });
    bench.open(served(&[1]));
    let mut client = bench.connect();
    client.write_all(b"to the end").expect("room");
    client.shutdown(Shutdown::Write).expect("an end");
    assert_eq!(read_all(&mut client).expect("an answer"), b"to the end");
    // Who answers ends first.
    let (told, heard) = std_mpsc::channel();
    bench.endpoint(2, move |mut stream| {
        stream.write_all(b"hello").expect("room");
        stream.shutdown(Shutdown::Write).expect("an end");
        let _ = told.send(read_all(&mut stream));
    });
    bench.update([(PORT, Some(served(&[2])))]);
    let mut client = bench.connect();
    assert_eq!(read_all(&mut client).expect("an answer"), b"hello");
    client.write_all(b"and more").expect("room");
    drop(client);
    let heard = heard.recv_timeout(LIMIT).expect("an end");
    assert_eq!(heard.expect("orderly"), b"and more");
    bench.until("kubeproxyrs_localhost_open_connections", 0);
}

#[test]
fn ipv6_is_served_on_its_own_address() {
    let bench = Bench::new(ROOM);
    let six: IpAddr = "fd00::1".parse().expect("an address");
    e2e::ip(&bench.namespace, "-6 address add fd00::1/128 dev lo nodad").expect("an address");
    let listener = bench.listen(SocketAddr::new(six, 8080));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream
                .expect("a connection")
                .write_all(b"six")
                .expect("room");
        }
    });
    let endpoint = EndpointAddr {
        address: six,
        port: 8080,
    };
    let served = Served {
        endpoints: [endpoint].into(),
        ..served(&[])
    };
    bench.proxy.update(LocalhostUpdate {
        family: Family::V6,
        ports: [(PORT, Some(served))].into(),
    });
    let mut answer = Vec::new();
    wait::until("an answer", LIMIT, || {
        let connect = || TcpStream::connect(("::1", PORT));
        answer = read_all(&mut bench.namespace.run(connect)??)?;
        Ok(())
    })
    .expect("a connection");
    assert_eq!(answer, b"six");
    let refused = bench.try_connect(PORT).expect_err("nobody serves IPv4");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn who_refuses_is_passed_over() {
    let bench = Bench::new(ROOM);
    bench.numbered(2);
    bench.open(served(&[1, 2, 3]));
    for _ in 0..50 {
        assert_eq!(bench.number(), 2);
    }
}

#[test]
fn a_client_that_nobody_takes_is_reset() {
    let bench = Bench::new(ROOM);
    bench.open(served(&[1, 2]));
    let error = read_all(&mut bench.connect()).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let text = bench.metrics.text();
    let line = "kubeproxyrs_localhost_connections_total{connected=\"false\",ip_family=\"IPv4\"} 1";
    assert!(text.contains(line), "{text}");
}

#[test]
fn what_breaks_off_does_not_look_complete() {
    let bench = Bench::new(ROOM);
    bench.endpoint(1, |mut stream| {
        stream.write_all(b"half of").expect("room");
        // It reads what the client says, so that the reset comes after what was written.
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a byte");
        let now = Some(Duration::ZERO);
        socket2::SockRef::from(&stream)
            .set_linger(now)
            .expect("an option");
    });
    bench.open(served(&[1]));
    let mut client = bench.connect();
    let mut half = [0; 7];
    client.read_exact(&mut half).expect("some of it");
    client.write_all(b"!").expect("room");
    let error = read_all(&mut client).expect_err("a broken connection");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    bench.until("kubeproxyrs_localhost_open_connections", 0);
}

#[test]
fn the_proxy_does_not_end_without_its_peers_seeing_it() {
    let bench = Bench::new(ROOM);
    bench.endpoint(1, |mut stream| {
        stream.write_all(b"half of").expect("room");
        assert!(read_all(&mut stream).is_err(), "the endpoint sees it too");
    });
    bench.open(served(&[1]));
    let mut client = bench.connect();
    client.read_exact(&mut [0; 7]).expect("some of it");
    drop(bench.proxy);
    let error = read_all(&mut client).expect_err("a broken connection");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_port_closes_and_its_connections_live_on() {
    let bench = Bench::new(ROOM);
    bench.endpoint(1, |mut stream| {
        let mut byte = [0];
        while let Ok(()) = stream.read_exact(&mut byte) {
            stream.write_all(&byte).expect("room");
        }
    });
    bench.open(served(&[1]));
    let mut client = bench.connect();
    let mut ask = |byte: u8| {
        client.write_all(&[byte]).expect("room");
        let mut answer = [0];
        client.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer, [byte]);
    };
    ask(1);
    bench.update([(PORT, None)]);
    bench.until("kubeproxy_nftables_localhost_nodeport_listeners", 0);
    let refused = bench.try_connect(PORT).expect_err("the port is closed");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    // What the rules translated goes on as well when its Service goes.
    ask(2);
    bench.open(served(&[1]));
    ask(3);
    bench.until("kubeproxyrs_localhost_open_connections", 1);
    drop(client);
    bench.until("kubeproxyrs_localhost_open_connections", 0);
}

#[test]
fn a_port_of_somebody_else_is_told_of_and_waited_for() {
    let mut bench = Bench::new(ROOM);
    bench.numbered(1);
    let other = bench.listen(SocketAddr::from(([0, 0, 0, 0], PORT)));
    bench.update([(PORT, Some(served(&[1]))), (PORT + 1, Some(served(&[1])))]);
    bench.until(
        "kubeproxy_nftables_localhost_nodeport_listener_creation_failures_total",
        1,
    );
    bench.until("kubeproxy_nftables_localhost_nodeport_listeners", 1);
    let Some(Message::Event(event)) = bench.events.blocking_recv() else {
        panic!("no event");
    };
    assert_eq!(event.reason, "FailedToListenOnLocalhost");
    assert_eq!(
        event.note,
        "nodePort 30080: listening on 127.0.0.1:30080: Address already in use (os error 98)"
    );
    drop(other);
    bench.until("kubeproxy_nftables_localhost_nodeport_listeners", 2);
    assert_eq!(bench.number(), 1);
}

#[test]
fn affinity_keeps_clients_at_one_endpoint() {
    let bench = Bench::new(ROOM);
    (1..=3).for_each(|n| bench.numbered(n));
    bench.open(Served {
        affinity: Some(3600),
        ..served(&[1, 2, 3])
    });
    let first = bench.number();
    assert!((0..30).all(|_| bench.number() == first));
    // Without it 30 draws of one of three are the same with a chance of 3^-29.
    bench.update([(PORT, Some(served(&[1, 2, 3])))]);
    wait::until("another endpoint", LIMIT, || ready(bench.number() != first)).expect("another");
}

#[test]
fn a_slow_reader_holds_up_nobody_and_fills_no_memory() {
    const ALL: usize = 64 << 20;
    let bench = Bench::new(ROOM);
    let (told, sent) = std_mpsc::channel();
    bench.endpoint(1, move |mut stream| {
        let told = told.clone();
        std::thread::spawn(move || {
            let piece: Vec<u8> = (0..1 << 20).map(|at: u32| at.to_be_bytes()[3]).collect();
            for _ in 0..ALL >> 20 {
                if stream.write_all(&piece).is_err() {
                    return;
                }
            }
            let _ = told.send(());
        });
    });
    bench.numbered(2);
    bench.open(served(&[1]));
    let mut slow = bench.connect();
    // Its bytes are where the kernel has room for them.
    slow.read_exact(&mut [0; 1]).expect("a byte");
    bench.update([(PORT + 1, Some(served(&[2])))]);
    bench.until("kubeproxy_nftables_localhost_nodeport_listeners", 2);
    for _ in 0..20 {
        let mut other = bench.try_connect(PORT + 1).expect("a connection");
        assert_eq!(read_all(&mut other).expect("an answer"), [2]);
    }
    assert!(sent.try_recv().is_err(), "64 MiB are somewhere");
    let rest = read_all(&mut slow).expect("the rest");
    assert_eq!(rest.len(), ALL - 1);
    let is_next = |pair: &[u8]| pair[0].wrapping_add(1) == pair[1];
    assert!(rest.windows(2).all(is_next), "in order");
    sent.recv_timeout(LIMIT).expect("all is sent");
}

#[test]
fn a_thousand_clients_at_once() {
    const CLIENTS: usize = 1_000;
    let bench = Bench::new(ROOM);
    let (told, taken) = std_mpsc::channel();
    bench.endpoint(1, move |stream| drop(told.send(stream)));
    bench.open(served(&[1]));
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| bench.connect()).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        let number = u32::try_from(at).expect("a number");
        client.write_all(&number.to_be_bytes()).expect("room");
    }
    bench.until("kubeproxyrs_localhost_open_connections", CLIENTS);
    // All are there before the first one is answered.
    let all: Vec<TcpStream> = taken.iter().take(CLIENTS).collect();
    for mut stream in all {
        let mut number = [0; 4];
        stream.read_exact(&mut number).expect("a number");
        stream.write_all(&number).expect("room");
    }
    for (at, client) in clients.iter_mut().enumerate() {
        let answer = read_all(client).expect("an answer");
        assert_eq!(answer, u32::try_from(at).expect("a number").to_be_bytes());
    }
    drop(clients);
    bench.until("kubeproxyrs_localhost_open_connections", 0);
}

#[test]
fn a_port_that_is_full_takes_nothing_from_the_others() {
    let bench = Bench::new(Room {
        listeners: 10,
        connections: 4,
        of_one_port: 2,
    });
    bench.endpoint(1, |stream| {
        std::thread::spawn(move || {
            let mut stream = stream;
            stream.write_all(&[1]).expect("room");
            read_all(&mut stream)
        });
    });
    bench.update([(PORT, Some(served(&[1]))), (PORT + 1, Some(served(&[1])))]);
    bench.until("kubeproxy_nftables_localhost_nodeport_listeners", 2);
    let greeted = |stream: &mut TcpStream| stream.read_exact(&mut [0]);
    let mut open = [bench.connect(), bench.connect()];
    open.iter_mut()
        .for_each(|one| greeted(one).expect("served"));
    let mut third = bench.connect();
    let mut other = bench.try_connect(PORT + 1).expect("a connection");
    greeted(&mut other).expect("served");
    let short = Some(Duration::from_millis(100));
    third.set_read_timeout(short).expect("a timeout");
    assert_eq!(
        greeted(&mut third).expect_err("it waits").kind(),
        ErrorKind::WouldBlock
    );
    third.set_read_timeout(Some(LIMIT)).expect("a timeout");
    drop(open);
    greeted(&mut third).expect("served");
}

#[test]
fn ports_come_and_go_by_the_hundred() {
    const PORTS: u16 = 400;
    let bench = Bench::new(ROOM);
    bench.numbered(1);
    let all = |served: Option<Served>| (0..PORTS).map(move |n| (31000 + n, served.clone()));
    for _ in 0..10 {
        bench.update(all(Some(served(&[1]))));
        bench.update(all(None));
    }
    bench.update(all(Some(served(&[1]))));
    // One more, to know the last round from the others.
    bench.update([(PORT, Some(served(&[1])))]);
    bench.until(
        "kubeproxy_nftables_localhost_nodeport_listeners",
        usize::from(PORTS) + 1,
    );
    for n in [0, PORTS / 2, PORTS - 1] {
        let mut client = bench.try_connect(31000 + n).expect("a connection");
        assert_eq!(read_all(&mut client).expect("an answer"), [1]);
    }
    let text = bench.metrics.text();
    assert!(!text.contains("creation_failures_total{"), "{text}");
}

#[test]
fn more_ports_than_descriptors_leave_room_for_the_rest() {
    let bench = Bench::new(Room {
        listeners: 2,
        ..ROOM
    });
    bench.numbered(1);
    let all = |ports: std::ops::Range<u16>| ports.map(|n| (PORT + n, Some(served(&[1]))));
    bench.update(all(0..3));
    bench.until("kubeproxy_nftables_localhost_nodeport_listeners", 2);
    assert_eq!(bench.number(), 1);
    // One that goes makes way.
    bench.update([(PORT, None)]);
    let served = |port| ready(read_all(&mut bench.try_connect(port)?)? == [1]);
    wait::until("the third port", LIMIT, || served(PORT + 2)).expect("it is served");
}
