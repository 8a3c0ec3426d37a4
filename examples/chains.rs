//! `chains SERVICES ENDPOINTS [PIECE]`: what chains of iptables for so many Services of so many endpoints
//! take to be written, in an empty network namespace (`unshare -n`), and how long somebody else who
//! changes rules every ten milliseconds has to wait meanwhile.
//!
//! Prints a name and a number of seconds a line.

use anyhow::{Context, Result};
use kube_proxy::netlink::Iptables;
use nft_wire::nf_tables::{self, nfta};
use nft_wire::{Socket, Writer};
use rules::iptables::IptablesBackend;
use rules::model::{
    Endpoint, EndpointPort, EndpointSlice, Family, Hints, Node, ObjectName, Protocol, Service,
    ServicePort,
};
use rules::{Backend, Change, Config, LocalDetector, NodeportAddresses, State};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).map(|word| word.parse::<u32>()).transpose();
    let usage = "usage: chains SERVICES ENDPOINTS [PIECE]";
    let (services, endpoints) = (number(0)?.context(usage)?, number(1)?.context(usage)?);
    let mut kernel = Iptables::open()?;
    if let Some(piece) = number(2)? {
        kernel.in_pieces_of(piece as usize);
    }
    let mut state = State::new();
    state.apply(Change::Node(Node {
        name: "n1".into(),
        ..Node::default()
    }));
    for service in 0..services {
        add(&mut state, service, endpoints);
    }
    let mut node = Syncer {
        backend: IptablesBackend::new(config()),
        kernel,
        state,
    };
    node.sync("first")?;
    node.backend.distrust();
    node.sync("again")?;
    slice(&mut node.state, services / 2, endpoints, endpoints);
    node.sync("endpoint")?;
    add(&mut node.state, services, endpoints);
    node.sync("service")?;
    node.state.apply(Change::ServiceGone(name(services / 2)));
    node.sync("service_gone")?;
    node.backend = IptablesBackend::new(config());
    node.sync("restart")
}

struct Syncer {
    backend: IptablesBackend<Iptables>,
    kernel: Iptables,
    state: State,
}

impl Syncer {
    fn sync(&mut self, what: &str) -> Result<()> {
        let Self {
            backend,
            kernel,
            state,
        } = self;
        backend.mark(&state.take_dirty());
        let node = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let start = Instant::now();
        let pending = backend.prepare(state.view(), &node, Default::default);
        let pending = pending.context("nothing to plan")?;
        let planned = start.elapsed();
        let (applied, longest) = beside_others(|| {
            let result = backend.apply(kernel, &pending);
            // The other one's socket takes the kernel some 20 ms to close.
            result.map(|()| start.elapsed())
        });
        let all = applied?;
        backend.commit(pending);
        let seconds = |time: Duration| format!("{:.4}", time.as_secs_f64());
        println!("{what}_plan {}", seconds(planned));
        println!("{what} {}", seconds(all));
        println!("{what}_others_wait {}", seconds(longest));
        println!("{what}_megabytes {:.1}", kernel.sent_bytes() as f64 / 1e6);
        Ok(())
    }
}

/// Does something while somebody else changes rules: the longest that one such change took.
fn beside_others<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut socket = nf_tables::open().expect("a socket");
            let mut longest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let start = Instant::now();
                add_table(&mut socket).expect("a table of its own");
                longest = longest.max(start.elapsed());
                std::thread::sleep(Duration::from_millis(10));
            }
            longest
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        (result, other.join().expect("the other one"))
    })
}

/// A table of somebody else comes and goes, which is one commit.
fn add_table(socket: &mut Socket) -> std::io::Result<()> {
    let mut out = Writer::new();
    let first = socket.sequence();
    nf_tables::begin(&mut out, first, None);
    let flags = libc::NLM_F_CREATE | libc::NLM_F_ACK;
    for (at, kind) in [(1, libc::NFT_MSG_NEWTABLE), (2, libc::NFT_MSG_DELTABLE)] {
        nf_tables::message(&mut out, 2, kind, flags, first + at, |out| {
            out.text(nfta::TABLE_NAME, "others");
        });
    }
    nf_tables::end(&mut out, first + 3);
    socket.number_on(first + 4);
    socket.send(out.bytes())?;
    match socket.replies()?.all.iter().find(|reply| reply.errno != 0) {
        Some(reply) => Err(std::io::Error::from_raw_os_error(reply.errno)),
        None => Ok(()),
    }
}

fn config() -> Config {
    Config {
        local_detector: LocalDetector::Source("10.244.0.0/16".parse().expect("a range")),
        nodeport_addresses: NodeportAddresses::All,
        drop_invalid: true,
        ..Config::new(Family::V4, "n1")
    }
}

fn name(service: u32) -> ObjectName {
    ObjectName::new("default", format!("service-{service:05}"))
}

fn add(state: &mut State, service: u32, endpoints: u32) {
    state.apply(Change::Service(Service {
        name: name(service),
        cluster_ips: vec![Ipv4Addr::from_bits(0x0a60_0001 + service).into()],
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
        }],
        ..Service::default()
    }));
    slice(state, service, endpoints, 0);
}

/// Endpoints from a number on, `count` of them.
fn slice(state: &mut State, service: u32, count: u32, shifted: u32) {
    let endpoint = |number: u32| Endpoint {
        address: Ipv4Addr::from_bits(0x0af4_0000 + service * 32 + number).into(),
        node: Some("n2".into()),
        ready: true,
        serving: true,
        terminating: false,
        hints: Hints::default(),
    };
    // With a shift the first one is another.
    let mut numbers: Vec<u32> = (0..count).collect();
    if let Some(first) = numbers.first_mut().filter(|_| shifted > 0) {
        *first = shifted;
    }
    state.apply(Change::Slice(EndpointSlice {
        name: ObjectName::new("default", format!("service-{service:05}-v4")),
        service: name(service),
        family: Family::V4,
        ports: vec![EndpointPort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 8080,
        }],
        endpoints: numbers.into_iter().map(endpoint).collect(),
        last_change_trigger: None,
    }));
}
