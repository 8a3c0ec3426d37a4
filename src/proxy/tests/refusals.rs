//! What the kernel refuses is left out, and everything else is served.

use super::*;
use crate::events::{Message, Regarding};
use proptest::collection::btree_set;
use proptest::prelude::*;
use rules::Cause;
use rules::nft::ruleset::{Key, SetId};
use rules::nft::table::Poisoned;
use std::collections::BTreeSet;

/// A Service without endpoints, which is one element of `no-endpoints`.
fn numbered(n: u8) -> Change {
    Change::Service(Service {
        name: ObjectName::new("ns", format!("s{n}")),
        cluster_ips: vec![address(n)],
        ports: vec![ServicePort {
            name: "".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
        }],
        ..Service::default()
    })
}

fn address(n: u8) -> IpAddr {
    [10, 96, 0, n].into()
}

struct Rig {
    runtime: tokio::runtime::Runtime,
    telemetry: Telemetry,
    queue: tokio::sync::mpsc::Receiver<Message>,
    proxy: Proxy<NftBackend<Poisoned>>,
}

fn rig(kernel: Poisoned) -> Rig {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (events, queue) = Recorder::queue();
    let telemetry = telemetry(events);
    let proxy = proxy_with(
        &["--proxy-mode=nftables"],
        kernel,
        &[Family::V4],
        &Arc::default(),
        &telemetry,
        runtime.handle(),
    );
    Rig {
        runtime,
        telemetry,
        queue,
        proxy,
    }
}

impl Rig {
    fn served(&self) -> BTreeSet<IpAddr> {
        let Some(table) = self.proxy.syncer.kernel.tables.get(&Family::V4) else {
            return BTreeSet::new();
        };
        let elements = table.elements(SetId::NoEndpoints).iter();
        let addresses = elements.filter_map(|(key, _)| match key {
            Key::Frontend(frontend) => frontend.address,
            _ => None,
        });
        addresses.collect()
    }

    fn left_out(&self) -> Option<f64> {
        value(
            &self.telemetry.metrics,
            "kubeproxyrs_services_left_out{ip_family=\"IPv4\"}",
        )
    }

    /// Syncs without a pause until one succeeds.
    fn sync_on(&mut self) -> usize {
        for count in 1..100 {
            self.proxy.syncer.proxiers[0].trouble.rested();
            if self.proxy.sync() {
                return count;
            }
        }
        panic!("it never succeeds");
    }

    fn told(&mut self) -> Vec<ObjectName> {
        let mut told = Vec::new();
        while let Ok(Message::Event(event)) = self.queue.try_recv() {
            if let Regarding::Service(name) = event.regarding {
                told.push(name);
            }
        }
        told
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_poisoned_services_leave_the_others_served(
        poisoned in btree_set(0u8..12, 0..12),
        before in btree_set(0u8..12, 0..12),
        names: bool,
        cause in prop::sample::select(vec![
            Cause::Invalid, Cause::Unsupported, Cause::TooLarge, Cause::NoMemory, Cause::TableDiffers,
        ]),
    ) {
        let mut rig = rig(Poisoned { cause, names, ..Poisoned::default() });
        // Some are there already when the kernel begins to refuse others.
        before.iter().for_each(|n| { rig.proxy.apply(numbered(*n)); });
        prop_assert!(rig.proxy.sync());
        rig.proxy.syncer.kernel.addresses = poisoned.iter().map(|n| address(*n)).collect();
        (0..12).for_each(|n| { rig.proxy.apply(numbered(n)); });
        rig.sync_on();
        // What was there before and does not change is asked about by a replacement only.
        let good: BTreeSet<IpAddr> =
            (0..12).filter(|n| !poisoned.contains(n)).map(address).collect();
        let known: BTreeSet<IpAddr> = before.iter().map(|n| address(*n)).collect();
        let served = rig.served();
        prop_assert!(served.is_superset(&good), "{served:?}");
        prop_assert!(served.iter().all(|address| good.contains(address) || known.contains(address)));
        prop_assert_eq!(rig.left_out(), Some((12 - served.len()) as f64));
        prop_assert_eq!(rig.told().len(), 12 - served.len(), "each once");
        // The kernel comes round: with the next change of each they are back.
        rig.proxy.syncer.kernel.addresses.clear();
        for n in 0..12 {
            let Change::Service(mut service) = numbered(n) else { unreachable!() };
            service.created = 7;
            rig.proxy.apply(Change::Service(service));
        }
        prop_assert!(rig.proxy.sync());
        prop_assert_eq!(rig.served().len(), 12);
        prop_assert_eq!(rig.left_out(), Some(0.0));
        drop(rig.runtime);
    }
}

#[test]
fn one_among_many_takes_some_dozen_transactions() {
    let mut rig = rig(Poisoned::default());
    (0..=255).for_each(|n| {
        rig.proxy.apply(numbered(n));
    });
    rig.proxy.syncer.kernel.addresses = [address(77)].into();
    assert!(rig.proxy.sync(), "in one sync");
    assert_eq!(rig.served().len(), 255);
    assert!(
        rig.proxy.syncer.kernel.sent <= 3 + 2 * 8,
        "{}",
        rig.proxy.syncer.kernel.sent
    );
    // Nothing changes, nothing is tried; an hour later it is.
    let sent = rig.proxy.syncer.kernel.sent;
    assert!(rig.proxy.sync());
    assert_eq!(rig.proxy.syncer.kernel.sent, sent);
    rig.proxy.syncer.kernel.addresses.clear();
    let hour = Instant::now() + Duration::from_secs(3600);
    rig.proxy.syncer.proxiers[0].look(hour);
    assert!(rig.proxy.sync());
    assert_eq!(rig.served().len(), 256);
}

#[test]
fn a_kernel_that_refuses_everything_is_asked_less_and_less_and_nobody_is_blamed() {
    let everything = Poisoned {
        everything: true,
        ..Poisoned::default()
    };
    let mut rig = rig(everything);
    rig.proxy.begin();
    (0..20).for_each(|n| {
        rig.proxy.apply(numbered(n));
    });
    assert!(!rig.proxy.sync());
    let sent = rig.proxy.syncer.kernel.sent;
    assert!(sent <= 2, "{sent}");
    for n in 20..40 {
        rig.proxy.apply(numbered(n));
        assert!(!rig.proxy.sync(), "it still waits");
    }
    assert_eq!(rig.proxy.syncer.kernel.sent, sent, "no hot loop");
    let next = rig.proxy.syncer.next_look().expect("another attempt");
    assert!(next > Instant::now());
    assert_eq!(rig.told(), [], "it is nobody's fault");
    rig.proxy.syncer.kernel.everything = false;
    rig.sync_on();
    assert_eq!(rig.served().len(), 40);
}

#[test]
fn a_first_sync_that_fails_makes_unhealthy_though_no_change_waits() {
    let everything = Poisoned {
        everything: true,
        cause: Cause::NotPermitted,
        ..Poisoned::default()
    };
    let mut rig = rig(everything);
    rig.proxy.begin();
    assert!(!rig.proxy.sync());
    let now = Moment::now();
    let later = Moment {
        monotonic: now.monotonic + Duration::from_secs(61),
        ..now
    };
    assert!(!rig.telemetry.health.is_healthy(later));
    rig.proxy.syncer.kernel.everything = false;
    rig.sync_on();
    assert!(rig.telemetry.health.is_healthy(later));
}

#[test]
fn what_is_too_large_for_the_socket_goes_in_parts() {
    let small = Poisoned {
        largest: 40,
        ..Poisoned::default()
    };
    let mut rig = rig(small);
    (0..200).for_each(|n| {
        rig.proxy.apply(numbered(n));
    });
    rig.sync_on();
    assert_eq!(rig.served().len(), 200);
    assert_eq!(rig.left_out(), Some(0.0));
}
