//! What planning mode iptables costs without a kernel: `cargo run --release -p rules --example planning --
//! 10000 10` for 10,000 Services of 10 endpoints each. Times are in milliseconds, memory is the process's own.

use rules::iptables::{IptablesBackend, Kernel, Refusal, Transaction};
use rules::model::{
    Endpoint, EndpointPort, EndpointSlice, Family, Hints, ObjectName, Protocol, Service,
    ServicePort,
};
use rules::{Backend, Change, Config, LocalDetector, Pending, State};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

/// Takes everything and keeps nothing.
#[derive(Default)]
struct Nowhere {
    steps: usize,
}

impl Kernel for Nowhere {
    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        transaction.steps.for_each_step(&mut |_| self.steps += 1);
        Ok(())
    }

    fn would_take(&mut self, _transaction: &Transaction) -> bool {
        true
    }

    fn clean_up(&mut self, _family: Family) -> std::io::Result<bool> {
        Ok(false)
    }
}

fn service(number: u32) -> Service {
    let [_, high, middle, low] = number.to_be_bytes();
    Service {
        name: ObjectName::new("bench", format!("service-{number}")),
        cluster_ips: vec![IpAddr::from([10, 96 + high, middle, low])],
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
        }],
        ..Service::default()
    }
}

fn slice(number: u32, endpoints: u32, round: u32) -> EndpointSlice {
    let endpoint = |own: u32| {
        let last = own + 1 == endpoints;
        let address = 0x0a80_0000 + number * endpoints + own + if last { round << 20 } else { 0 };
        Endpoint {
            address: Ipv4Addr::from_bits(address).into(),
            node: Some(format!("node-{}", own % 100).into()),
            ready: true,
            serving: true,
            terminating: false,
            hints: Hints::default(),
        }
    };
    EndpointSlice {
        name: ObjectName::new("bench", format!("service-{number}-x")),
        service: service(number).name,
        family: Family::V4,
        ports: vec![EndpointPort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 8080,
        }],
        endpoints: (0..endpoints).map(endpoint).collect(),
        last_change_trigger: None,
    }
}

/// The process's memory, now and at its peak, in megabytes.
fn memory() -> [f64; 2] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ["VmRSS:", "VmHWM:"].map(|field| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        number.unwrap_or_default() / 1024.0
    })
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|own| own.parse().ok());
    let services: u32 = numbers.next().unwrap_or(1000);
    let endpoints: u32 = numbers.next().unwrap_or(10);
    let mut state = State::new();
    for number in 0..services {
        state.apply(Change::Service(service(number)));
        state.apply(Change::Slice(slice(number, endpoints, 0)));
    }
    let [before, _] = memory();
    println!("{services} Services of {endpoints} endpoints: {before:.1} MB of objects");
    let pods = "10.128.0.0/9".parse().expect("a range");
    let mut backend = IptablesBackend::<Nowhere>::new(Config {
        local_detector: LocalDetector::Source(pods),
        ..Config::new(Family::V4, "node-1")
    });
    let mut sync = |what: &str, state: &mut State| {
        let mut kernel = Nowhere::default();
        let start = Instant::now();
        backend.mark(&state.take_dirty());
        let pending = backend.prepare(state.view(), &[], Default::default);
        let pending = pending.expect("something to do");
        let planned = start.elapsed();
        backend.apply(&mut kernel, &pending).expect("it takes all");
        let made = start.elapsed() - planned;
        let whole = pending.replaces_all();
        backend.commit(pending);
        let all = start.elapsed();
        let [now, peak] = memory();
        println!(
            "{what}: {:.2} planned, {:.2} made, {:.2} in all; {} steps{}; {:.1} MB more, {:.1} at the peak",
            planned.as_secs_f64() * 1e3,
            made.as_secs_f64() * 1e3,
            all.as_secs_f64() * 1e3,
            kernel.steps,
            if whole { ", whole" } else { "" },
            now - before,
            peak - before,
        );
    };
    sync("first sync", &mut state);
    for round in 1..4 {
        state.apply(Change::Slice(slice(0, endpoints, round)));
        sync("an endpoint", &mut state);
    }
    for number in services..services + 3 {
        state.apply(Change::Service(service(number)));
        sync("a Service", &mut state);
    }
    println!("{:?}", backend.summary().lines);
}
