//! Changes around Services: others that want the same address, the node's zone, new ranges of
//! cluster IPs, another timeout, other processes.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use e2e::probe::{Protocol, Reply, probe};
use serde_json::json;

use super::{A1, A2, B1, GROUP, SLOT, at_step};
use crate::conformance::case::{BRIEF, Breadth, Case, Source, What};
use crate::conformance::rig::{DETECTION, Rig, Side};
use crate::conformance::run::{Observation, Row, run};
use crate::conformance::spec::{Endpoint, Family, Frontend, Service, State, ZONES};

const SERVICE_CIDRS: &str = "/apis/networking.k8s.io/v1/servicecidrs";
const PATIENCE: Duration = Duration::from_millis(1300);
const EXTERNAL: Breadth<'_> = Breadth {
    frontends: &[Frontend::ExternalIp],
    ..BRIEF
};

fn ready(pods: &[usize]) -> Vec<Endpoint> {
    let one = |pod: &usize| Endpoint::new(*pod, State::Ready);
    pods.iter().map(one).collect()
}

/// Two Services with one external IP and port. Upstream lets either have it, so they have the
/// same endpoints while both are there; which of them it is shows ours alone.
pub(super) fn contested(rig: &mut Rig) -> Result<Vec<Row>> {
    let mut first = Service::new("edge-contested", SLOT);
    first.endpoints = ready(&[A1]);
    let mut second = Service::new("edge-contested-second", SLOT + 1);
    second.external_ips = first.external_ips;
    second.endpoints = ready(&[A1]);
    let words = "two Services with one external IP and port";
    let cases = |step: &str| at_step(&first, step, words, EXTERNAL);
    rig.put(&first, GROUP)?;
    rig.settle()?;
    // Ages are counted in whole seconds.
    std::thread::sleep(Duration::from_secs(1));
    rig.put(&second, GROUP)?;
    rig.settle()?;
    let mut rows = run(rig, "edge-contested/1-both", cases("1-both"))?;
    second.endpoints = ready(&[B1]);
    rig.put(&second, GROUP)?;
    rig.settle()?;
    rows.push(owner(rig, &first, "2-the-older-has-it", "a1")?);
    rig.delete(&first.name, true)?;
    rig.settle()?;
    rows.extend(run(
        rig,
        "edge-contested/3-one-deleted",
        cases("3-one-deleted"),
    )?);
    std::thread::sleep(Duration::from_secs(1));
    rig.put(&first, GROUP)?;
    rig.settle()?;
    rows.push(owner(rig, &first, "4-a-newcomer-has-not", "b1")?);
    rig.clear(GROUP)?;
    Ok(rows)
}

/// A row for who answers at the contested address on our bed, `expected` in upstream's place.
fn owner(rig: &Rig, service: &Service, step: &str, expected: &str) -> Result<Row> {
    let mut seen = BTreeSet::new();
    for family in Family::BOTH {
        if let Some(target) = service.target(Frontend::ExternalIp, family, &service.ports[0]) {
            for _ in 0..4 {
                seen.insert(answers(&rig.sides[1], Source::Outside, target)?);
            }
        }
    }
    Ok(Row::observed(
        format!("edge-contested/{step}"),
        "the older of two Services has the address; in upstream's place stands what is expected",
        [expected.to_owned().into(), Observation(seen)],
    ))
}

/// The name of the pod that answers, or what becomes of the connection.
fn answers(side: &Side, source: Source, target: SocketAddr) -> Result<String> {
    let namespace = side.namespace(source);
    let reply = namespace.run(|| probe(Protocol::Tcp, target, PATIENCE))?;
    Ok(match reply {
        Reply::Answer(answer) => answer.pod,
        other => other.to_string(),
    })
}

/// The node's zone changes, and hints are followed at once.
pub(super) fn zone(rig: &mut Rig) -> Result<Vec<Row>> {
    let mut service = Service::new("edge-zone", SLOT + 2);
    service.endpoints = ready(&[A1, B1]);
    for (endpoint, zone) in service.endpoints.iter_mut().zip(ZONES) {
        endpoint.zones = vec![zone];
    }
    rig.put(&service, GROUP)?;
    let mut rows = Vec::new();
    for (step, zone) in [
        ("1-first", Some(ZONES[0])),
        ("2-other", Some(ZONES[1])),
        ("3-unknown", Some("zone-x")),
        ("4-none", None),
        ("5-first-again", Some(ZONES[0])),
    ] {
        rig.set_zone(zone)?;
        rig.settle()?;
        rows.extend(run(
            rig,
            &format!("edge-zone/{step}"),
            at_step(&service, step, "the node's zone changes", BRIEF),
        )?);
    }
    rig.clear(GROUP)?;
    Ok(rows)
}

/// The timeout of session affinity changes: clients stay as before, and the rules go on to follow
/// changes.
pub(super) fn timeout(rig: &mut Rig) -> Result<Vec<Row>> {
    let mut service = Service::new("edge-timeout", SLOT + 3);
    service.endpoints = ready(&[A1, A2, B1]);
    let mut rows = Vec::new();
    for (step, timeout) in [
        ("1-three-hours", Some(10_800)),
        ("2-a-minute", Some(60)),
        ("3-none", None),
        ("4-a-day", Some(86_400)),
    ] {
        service.affinity = timeout;
        rig.put(&service, GROUP)?;
        rig.settle()?;
        let words = "the timeout of session affinity changes";
        rows.extend(run(
            rig,
            &format!("edge-timeout/{step}"),
            at_step(&service, step, words, BRIEF),
        )?);
    }
    rig.clear(GROUP)?;
    Ok(rows)
}

/// A range of cluster IPs is added, then both proxies are restarted: clients with affinity stay
/// with their pods.
pub(super) fn restart(rig: &mut Rig) -> Result<Vec<Row>> {
    let mut service = Service::new("edge-restart", SLOT + 4);
    service.affinity = Some(10_800);
    service.endpoints = ready(&[A1, A2, B1]);
    rig.put(&service, GROUP)?;
    rig.api.post(
        SERVICE_CIDRS,
        &json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {"name": "edge"},
            "spec": {"cidrs": ["10.97.0.0/24", "fd00:10:97::/112"]},
        }),
    )?;
    rig.settle()?;
    let mut rows = run(rig, "edge-service-cidr/1-added", unallocated("1-added"))?;
    let before = [
        clients(&rig.sides[0], &service)?,
        clients(&rig.sides[1], &service)?,
    ];
    rig.restart(&DETECTION)?;
    let after = [
        clients(&rig.sides[0], &service)?,
        clients(&rig.sides[1], &service)?,
    ];
    rows.extend(run(
        rig,
        "edge-service-cidr/2-restarted",
        unallocated("2-restarted"),
    )?);
    for number in 0..before[0].len() {
        let seen = [0, 1].map(|side| {
            let ((name, first), (_, then)) = (&before[side][number], &after[side][number]);
            let stays = first == then && first.len() == 1;
            Observation::from(match stays {
                true => "the same pod".to_owned(),
                false => format!("{name}: first {first:?}, then {then:?}"),
            })
        });
        rows.push(Row::observed(
            format!("edge-restart/affinity/{}", before[0][number].0),
            "a client with affinity while its proxy restarts",
            seen,
        ));
    }
    rig.api.delete(&format!("{SERVICE_CIDRS}/edge"))?;
    Ok(rows)
}

/// Packets to addresses of the new range that no Service has.
fn unallocated(step: &str) -> Vec<Case> {
    let mut all = Vec::new();
    for family in Family::BOTH {
        let address = match family {
            Family::V4 => IpAddr::from(Ipv4Addr::new(10, 97, 0, 77)),
            Family::V6 => Ipv6Addr::new(0xfd00, 0x10, 0x97, 0, 0, 0, 0, 0x77).into(),
        };
        for source in [Source::Pod, Source::Node] {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let words = [source.name(), family.name(), protocol.name()].join("/");
                all.push(Case {
                    id: format!("edge-service-cidr/{step}/{}", words.to_lowercase()),
                    description: "an address in a range of cluster IPs that is new".to_owned(),
                    family,
                    source,
                    what: What::Probes {
                        protocol,
                        targets: vec![SocketAddr::new(address, 80)],
                        tries: 2,
                        sticky: false,
                    },
                    turn: None,
                });
            }
        }
    }
    all
}

/// Clients with affinity and the pods that answer each of them.
fn clients(side: &Side, service: &Service) -> Result<Vec<(String, BTreeSet<String>)>> {
    let mut all = Vec::new();
    for family in Family::BOTH {
        for source in Source::ALL {
            for frontend in Frontend::ALL {
                let Some(target) = service.target(frontend, family, &service.ports[0]) else {
                    continue;
                };
                let pods = (0..4).map(|_| answers(side, source, target));
                let place = format!("{}/{}", frontend.name(), source.name());
                let name = format!("{place}/{}", family.name().to_lowercase());
                all.push((name, pods.collect::<Result<_>>()?));
            }
        }
    }
    Ok(all)
}
