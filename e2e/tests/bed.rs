//! The bed by itself, with rules written by hand in place of a daemon: what it shows about the
//! daemon can only be trusted if addresses, routes and the load balancer do what they say.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Result, bail};
use e2e::address::{CLIENT, ECHO_PORT, virtual_ip};
use e2e::client::{Answer, Outcome};
use e2e::{Bed, Node, Vip, wait};

/// Sends the load balancer's address to `pod`, its source kept.
fn direct_return(family: &str, vip: &str, pod: &str) -> String {
    format!(
        "table {family} bed {{\n\
         chain nat-prerouting {{ type nat hook prerouting priority dstnat; policy accept;\n\
         {family} daddr {vip} tcp dport 80 dnat to {pod}\n\
         {family} daddr {vip} udp dport 80 dnat to {pod}\n\
         }}\n}}\n"
    )
}

/// Answers `checks` health checks on `node` with 200, then stops listening.
fn healthy_for(node: &Node, checks: usize) -> Result<()> {
    let listener = node
        .namespace()
        .run(|| TcpListener::bind((node.addresses().v4, 10256)))??;
    std::thread::spawn(move || {
        for stream in listener.incoming().take(checks).flatten() {
            let mut stream = stream;
            let _request = stream.read(&mut [0; 1024]);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok();
        }
    });
    Ok(())
}

#[test]
fn the_load_balancer_keeps_addresses_and_follows_health() -> Result<()> {
    let bed = Bed::build(2)?;
    let vip = virtual_ip(10);
    let mut pods = Vec::new();
    for node in bed.nodes() {
        let pod = node.pod(&format!("echo-{}", node.number()))?;
        let endpoint = pod
            .addresses()
            .both()
            .map(|ip| SocketAddr::new(ip, ECHO_PORT).to_string());
        let namespace = node.namespace();
        namespace.nft(&direct_return("ip", &vip.v4.to_string(), &endpoint[0]))?;
        namespace.nft(&direct_return("ip6", &vip.v6.to_string(), &endpoint[1]))?;
        pods.push(pod);
    }
    // Pods reach one another across nodes, in both families, and see each other's addresses.
    for (index, from) in pods[0].addresses().both().iter().enumerate() {
        let target = SocketAddr::new(pods[1].addresses().both()[index], ECHO_PORT);
        let expected = Outcome::Answered(Answer {
            pod: "echo-2".into(),
            client: *from,
        });
        assert_eq!(pods[0].namespace().dial(target)?, expected);
        assert_eq!(pods[0].namespace().dial_udp(target)?, expected);
    }
    for (node, checks) in bed.nodes().iter().zip([6, usize::MAX]) {
        healthy_for(node, checks)?;
    }
    bed.balancer().serve(&[Vip {
        address: vip,
        health_port: 10256,
    }]);
    let limit = Duration::from_secs(10);
    let in_service = |expected: &[usize]| {
        wait::until("health checks", limit, || {
            match bed.balancer().in_service(vip) {
                nodes if nodes == expected => Ok(()),
                nodes => bail!("in service: {nodes:?}"),
            }
        })
    };
    in_service(&[1, 2])?;
    for (address, client) in vip.both().into_iter().zip(CLIENT.both()) {
        let tally = bed.client().measure(SocketAddr::new(address, 80), 100)?;
        assert_eq!(tally.failures.len(), 0, "{tally:?}");
        assert_eq!(tally.pods["echo-1"], 50, "{tally:?}");
        assert_eq!(tally.seen_by("echo-2"), [client], "{tally:?}");
    }
    in_service(&[2])?;
    let tally = bed
        .client()
        .measure(SocketAddr::new(vip.v4.into(), 80), 20)?;
    assert_eq!(tally.share("echo-2"), 1.0, "{tally:?}");
    Ok(())
}

#[test]
fn nothing_is_left_behind() -> Result<()> {
    let name = {
        let namespace = e2e::Namespace::create("short")?;
        namespace.name().to_owned()
    };
    assert!(!std::path::Path::new("/run/netns").join(name).exists());
    Ok(())
}
