//! All rules are written anew once an hour, but in mode iptables not those of large clusters: upstream's
//! large-cluster mode.

use super::*;
use rules::iptables::{IptablesBackend, Memory};
use rules::model::{Endpoint, EndpointPort, Hints};

/// So many endpoints of the TCP Service.
fn endpoints(count: u32) -> Change {
    let endpoint = |number: u32| Endpoint {
        address: std::net::Ipv4Addr::from_bits(0x0af4_0000 + number).into(),
        node: None,
        ready: true,
        serving: true,
        terminating: false,
        hints: Hints::default(),
    };
    Change::Slice(EndpointSlice {
        name: ObjectName::new("ns", "tcp-1"),
        service: ObjectName::new("ns", "tcp"),
        family: Family::V4,
        ports: vec![EndpointPort {
            name: "".into(),
            protocol: Protocol::Tcp,
            port: 8080,
        }],
        endpoints: (0..count).map(endpoint).collect(),
        last_change_trigger: None,
    })
}

#[test]
fn a_large_cluster_is_not_written_anew_without_a_reason() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let telemetry = telemetry(Recorder::nowhere());
    for (count, anew) in [(1000, true), (1001, false)] {
        let flags = ["--proxy-mode=iptables", "--hostname-override=n1"];
        let world = World::new(&Settings::from_flags(&flags).expect("flags"));
        let machine = Machine {
            kernel: Memory::new(),
            flow_table: Box::new(Flows(Arc::default())),
            addresses: Box::new(|| Ok(Vec::new())),
        };
        let mut proxy: Proxy<IptablesBackend<Memory>> =
            proxy_of(world, &[Family::V4], machine, &telemetry, runtime.handle());
        proxy.apply(service(Protocol::Tcp, 80));
        proxy.apply(endpoints(count));
        assert!(proxy.sync());
        let mut sent = proxy.syncer.kernel.sent;
        for round in 0..2 {
            let due = proxy.syncer.next_look().expect("an hour later");
            proxy.syncer.proxiers[0].look(due);
            assert!(proxy.sync());
            let now = proxy.syncer.kernel.sent;
            assert_eq!(now > sent, anew, "{count} endpoints, hour {round}");
            sent = now;
        }
        // What may have happened unseen is a reason, and soon.
        proxy.syncer.proxiers[0].seen(true, Instant::now());
        let soon = proxy.syncer.next_look().expect("a look");
        assert!(soon < Instant::now() + Duration::from_secs(10));
        proxy.syncer.proxiers[0].look(soon);
        assert!(proxy.sync());
        let looked = proxy.syncer.kernel.sent;
        assert!(looked > sent, "{count} endpoints, unseen");
        sent = looked;
        proxy.syncer.proxiers[0].backend.distrust();
        assert!(proxy.sync());
        assert!(proxy.syncer.kernel.sent > sent, "{count}");
    }
}
