//! One proxy takes a node over from the other while clients go on: `docs/takeover.md`, tried out.
//!
//! All of it happens on the bed that was upstream's. In these rows stands what is expected in the
//! place of what upstream does.

mod clients;
mod iptables;
mod objects;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;

use crate::conformance::args::Args;
use crate::conformance::rig::{DETECTION, Rig};
use crate::conformance::run::Row;
use crate::conformance::spec::{CHAT_PORT, Endpoint, Service, State};
use crate::mode::Mode;
use clients::{Affinity, Clients};
use objects::{hooks, left, names, none, told};

const GROUP: &str = "takeover";
/// The first of three slots.
const SLOT: u8 = 180;
const UPSTREAM: usize = 0;
const OURS: usize = 1;

/// Ours that hold something of Services and that upstream doesn't have.
const MAPS: [&str; 8] = [
    "services",
    "nodeports",
    "endpoints",
    "nodeport-endpoints",
    "local-endpoints",
    "nodeport-local-endpoints",
    "no-endpoints",
    "nodeport-no-endpoints",
];
/// Upstream's flags that make it use iptables: the last of a kind counts.
const IPTABLES: [&str; 4] = [DETECTION[0], DETECTION[1], "--proxy-mode", "iptables"];

/// Services for short connections, for those that stay, and for clients with affinity.
struct Services {
    short: Service,
    long: Service,
    sticky: Service,
}

impl Services {
    fn new() -> Self {
        let service = |name: &str, slot| {
            let mut service = Service::new(&format!("takeover-{name}"), slot);
            service.endpoints = (0..4).map(|pod| Endpoint::new(pod, State::Ready)).collect();
            service
        };
        let mut long = service("long", SLOT + 1);
        long.ports.truncate(1);
        long.ports[0].target = CHAT_PORT;
        let mut sticky = service("sticky", SLOT + 2);
        sticky.affinity = Some(10_800);
        Self {
            short: service("short", SLOT),
            long,
            sticky,
        }
    }

    fn put(&self, rig: &Rig) -> Result<()> {
        [&self.short, &self.long, &self.sticky]
            .into_iter()
            .try_for_each(|service| rig.put(service, GROUP))
    }
}

/// Takes the node over and back, if any case is wanted.
pub(crate) fn compare(rig: &mut Rig, args: &Args) -> Result<Vec<Row>> {
    if !args.wants_part("takeover") {
        return Ok(Vec::new());
    }
    let services = Services::new();
    services.put(rig)?;
    rig.settle()?;
    let fresh = [names(&rig.sides[UPSTREAM])?, names(&rig.sides[OURS])?];
    let mut rows = match rig.mode {
        Mode::Nftables => course(rig, &services, &fresh)?,
        Mode::Iptables => iptables::course(rig, &services, &fresh)?,
    };
    // For whoever looks at the rules afterwards.
    rig.sides[UPSTREAM].stop_proxy();
    let node = rig.sides[UPSTREAM].node().namespace();
    node.exec(&["nft", "flush", "ruleset"])?;
    rig.clear(GROUP)?;
    rig.restart(&DETECTION)?;
    rows.retain(|row| args.wants(&row.case.id));
    Ok(rows)
}

/// Mode nftables of both, and from upstream's mode iptables. `fresh` are the objects of a start from
/// nothing.
fn course(rig: &mut Rig, services: &Services, fresh: &[BTreeSet<String>; 2]) -> Result<Vec<Row>> {
    let stays = Affinity::Stays;
    let mut rows = swap(rig, services, "from-nftables", (OURS, &DETECTION), stays)?;
    let after = left(&rig.sides[UPSTREAM], &fresh[OURS])?;
    rows.push(none("from-nftables", "left", &after));
    let again = Affinity::OneAgain;
    let (name, upstream) = ("back-to-nftables", (UPSTREAM, &DETECTION[..]));
    rows.extend(swap(rig, services, name, upstream, again)?);
    let after = left(&rig.sides[UPSTREAM], &fresh[UPSTREAM])?;
    rows.push(told("back-to-nftables", &after));
    rows.push(none("back-to-nftables", "hooks-left", &hooks(&after)));
    rows.extend(clean(rig, &fresh[UPSTREAM])?);
    // It removes the tables of its other mode itself.
    let program = rig.programs[UPSTREAM].clone();
    rig.sides[UPSTREAM].start_proxy(&program, &IPTABLES)?;
    rig.settle()?;
    rows.extend(swap(
        rig,
        services,
        "from-iptables",
        (OURS, &DETECTION),
        again,
    )?);
    let after = left(&rig.sides[UPSTREAM], &fresh[OURS])?;
    rows.push(told("from-iptables", &after));
    Ok(rows)
}

/// Stops what runs on upstream's bed and starts the other program amid clients; says what they saw.
fn swap(
    rig: &mut Rig,
    services: &Services,
    name: &str,
    (to, flags): (usize, &[&str]),
    affinity: Affinity,
) -> Result<Vec<Row>> {
    let clients = Clients::start(&rig.sides[UPSTREAM], services)?;
    let program = rig.programs[to].clone();
    rig.sides[UPSTREAM].start_proxy(&program, flags)?;
    let follows = match rig.settle() {
        Ok(()) => "follows changes".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    let mut rows = clients.finish(&rig.sides[UPSTREAM], name, affinity)?;
    rows.push(row(name, "proxy", "follows changes", follows));
    Ok(rows)
}

/// Empties the maps that ours left to upstream, as docs/takeover.md has it: then upstream deletes the
/// chains of Services that they led to.
fn clean(rig: &mut Rig, fresh: &BTreeSet<String>) -> Result<Vec<Row>> {
    let lines = ["ip", "ip6"]
        .into_iter()
        .flat_map(|family| MAPS.map(|map| format!("flush map {family} kube-proxy {map}\n")));
    let script: String = lines.collect();
    // Not by themselves, which upstream tries after a second.
    std::thread::sleep(Duration::from_millis(1100));
    rig.settle()?;
    let before = objects::services(&left(&rig.sides[UPSTREAM], fresh)?);
    println!(
        "       takeover: {} of them upstream wants to delete and can't",
        before.len()
    );
    rig.sides[UPSTREAM].node().namespace().nft(&script)?;
    // It does so with a sync that comes a second later or more.
    let mut after = Vec::new();
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(1100));
        rig.settle()?;
        after = objects::services(&left(&rig.sides[UPSTREAM], fresh)?);
        if after.is_empty() {
            break;
        }
    }
    Ok(vec![none("back-to-nftables", "left-when-cleaned", &after)])
}

/// A row with what is expected and what was seen.
fn row(name: &str, what: &str, expected: &str, seen: String) -> Row {
    Row::observed(
        format!("takeover/{name}/{what}"),
        "one proxy takes over from the other; in upstream's place stands what is expected",
        [expected.to_owned().into(), seen.into()],
    )
}
