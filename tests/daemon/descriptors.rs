//! Few file descriptors, and clients that take what they can get.

use super::rig::{Rig, service};
use anyhow::ensure;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

const HEALTH: &str = "127.0.0.1:10256";

/// Connections to a server that say nothing.
fn flood(rig: &Rig, count: usize) -> Vec<TcpStream> {
    // This process has as many clients as it likes.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("up to the hard one");
    let server: SocketAddr = HEALTH.parse().expect("an address");
    let connections = rig.namespace.run(|| {
        let mut connections = Vec::new();
        for _ in 0..count {
            connections.push(TcpStream::connect(server)?);
        }
        std::io::Result::Ok(connections)
    });
    connections.expect("the namespace").expect("connections")
}

/// Waits for an answer with this status, however many it takes.
fn answers(rig: &mut Rig, server: &str, path: &str, status: u16) {
    let server: SocketAddr = server.parse().expect("an address");
    rig.wait(path, |rig| {
        let answer = rig.namespace.get(server, path)?;
        ensure!(answer.status == status, "{} {}", answer.status, answer.body);
        Ok(())
    });
}

#[test]
fn the_limit_of_descriptors_is_raised_as_far_as_it_goes() {
    let mut rig = Rig::new("raised");
    rig.start_limited("64:4096", &[]);
    let metrics = "127.0.0.1:10249".parse().expect("an address");
    rig.wait("the limit", |rig| {
        let text = rig.namespace.get(metrics, "/metrics")?.body;
        let line = text
            .lines()
            .find(|line| line.starts_with("process_max_fds "));
        ensure!(line == Some("process_max_fds 4096"), "{line:?}");
        Ok(())
    });
}

#[test]
fn with_64_descriptors_it_serves_through_a_flood() {
    let mut rig = Rig::new("few");
    rig.write("web.yaml", &service("web", "10.96.0.10", 80, "10.244.1.10"));
    rig.start_limited("64", &[]);
    rig.served(&["10.96.0.10 . tcp . 80"]);
    answers(&mut rig, HEALTH, "/livez", 200);
    let flooding = Instant::now();
    let connections = flood(&rig, 300);
    answers(&mut rig, HEALTH, "/livez", 200);
    answers(&mut rig, "127.0.0.1:10249", "/metrics", 200);
    rig.write("db.yaml", &service("db", "10.96.0.11", 5432, "10.244.1.11"));
    rig.served(&["10.96.0.10 . tcp . 80", "10.96.0.11 . tcp . 5432"]);
    drop(connections);
    let said = rig.lines(&["WARN", "connections are taken, most of them by 127.0.0.1"]);
    let minutes = usize::try_from(flooding.elapsed().as_secs() / 60).expect("minutes");
    assert!((1..=1 + minutes).contains(&said.len()), "{}", rig.log());
    let failed = rig.lines(&["Too many open files"]);
    assert_eq!(failed, Vec::<String>::new());
}

/// Load balancers with a health check node port each, and a local endpoint.
fn balancers(numbers: std::ops::Range<usize>) -> String {
    let one = |number: usize| {
        let name = format!("s{number}");
        let address = format!("10.97.{}.{}", number / 250, number % 250 + 1);
        let health = 31_000 + number;
        service(&name, &address, 80, "10.244.1.10").replace(
            "spec: {clusterIP",
            &format!(
                "spec: {{type: LoadBalancer, externalTrafficPolicy: Local, \
                 healthCheckNodePort: {health}, clusterIP"
            ),
        )
    };
    numbers.map(one).collect::<Vec<_>>().join("---\n")
}

#[test]
fn more_health_check_ports_than_descriptors_are_told_and_tried_again() {
    let mut rig = Rig::new("balancers");
    rig.write("all.yaml", &balancers(0..120));
    let everywhere = ["--nodeport-addresses=0.0.0.0/0"];
    rig.start_limited("128", &everywhere);
    rig.served(&["10.97.0.1 . tcp . 80", "10.97.0.120 . tcp . 80"]);
    answers(&mut rig, HEALTH, "/livez", 200);
    answers(&mut rig, "127.0.0.1:31000", "/", 503);
    // As many lines as anybody reads, and a number.
    rig.wait("the number", |rig| {
        let more = rig.lines(&["WARN", " more servers cannot listen; trying again"]);
        ensure!(more.len() == 1, "{more:?}");
        Ok(())
    });
    let one = "has room for 48 of these servers; trying again";
    assert_eq!(
        rig.lines(&["WARN", "healthCheckNodePort", one]).len(),
        10,
        "{}",
        rig.log()
    );
    let connections = flood(&rig, 200);
    rig.write("web.yaml", &service("web", "10.96.0.10", 80, "10.244.1.10"));
    rig.served(&["10.96.0.10 . tcp . 80"]);
    answers(&mut rig, HEALTH, "/livez", 200);
    drop(connections);
    // There is room again for the last ones by name, and nothing else happens.
    rig.write("all.yaml", &balancers(90..100));
    for port in 31_090..31_100 {
        answers(&mut rig, &format!("127.0.0.1:{port}"), "/", 503);
        let said = format!("healthCheckNodePort: listening on 0.0.0.0:{port} now");
        assert_eq!(rig.lines(&["INFO", &said]).len(), 1, "{}", rig.log());
    }
    assert_eq!(rig.lines(&["Too many open files"]), Vec::<String>::new());
}
