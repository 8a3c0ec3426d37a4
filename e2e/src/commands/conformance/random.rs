//! Cluster states made up from a seed.

use e2e::address::ECHO_PORT;
use e2e::probe::Protocol;

use crate::conformance::spec::{
    Endpoint, Family, Ingress, Kind, PODS, Place, Policy, Port, SECOND_PORT, Service, State, ZONES,
};

/// The first slot of a randomised state's Services.
const FIRST_SLOT: u8 = 200;
const RANGES: [&str; 10] = [
    "203.0.113.0/24",
    "2001:db8:113::/64",
    "192.168.60.0/24",
    "fd00:60::/64",
    "10.244.0.0/16",
    "fd00:10:244::/48",
    "192.168.60.11/32",
    "172.16.0.0/12",
    "0.0.0.0/0",
    "::/0",
];

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        usize::try_from(self.next() % limit).unwrap_or_default()
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of these; name it more than once to make it likelier.
    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// Each of these with this chance.
    fn some<T: Clone>(&mut self, from: &[T], chance: usize) -> Vec<T> {
        let mut chosen = from.to_vec();
        chosen.retain(|_| self.percent(chance));
        chosen
    }
}

/// The cluster state of this seed: one to six Services.
pub(crate) fn state(seed: u64) -> Vec<Service> {
    let mut random = Random(seed);
    let count = 1 + random.below(6);
    let slots = (FIRST_SLOT..).take(count);
    slots
        .map(|slot| {
            service(
                &mut random,
                &format!("random-{seed}-{}", slot - FIRST_SLOT),
                slot,
            )
        })
        .collect()
}

fn service(random: &mut Random, name: &str, slot: u8) -> Service {
    use Kind::{ClusterIp, ExternalName, Headless, LoadBalancer, NodePort};
    let kinds = [
        LoadBalancer,
        LoadBalancer,
        LoadBalancer,
        LoadBalancer,
        LoadBalancer,
        LoadBalancer,
        ClusterIp,
        ClusterIp,
        ClusterIp,
        NodePort,
        NodePort,
        Headless,
        ExternalName,
    ];
    let both = vec![Family::V4, Family::V6];
    let policies = [Policy::Cluster, Policy::Local];
    let mut service = Service {
        kind: random.pick(&kinds),
        families: random.pick(&[
            both.clone(),
            both.clone(),
            both,
            vec![Family::V6, Family::V4],
            vec![Family::V4],
            vec![Family::V6],
        ]),
        internal: random.pick(&policies),
        external: random.pick(&policies),
        external_ips: random.percent(40).then_some(slot),
        ingress: random.pick(&[
            Ingress::Vip,
            Ingress::Vip,
            Ingress::Vip,
            Ingress::Proxy,
            Ingress::None,
        ]),
        affinity: random.percent(20).then_some(10_800),
        other_proxy: random.percent(4),
        ..Service::new(name, slot)
    };
    if random.percent(25) {
        service.ranges = random.some(&RANGES, 25);
    }
    service.ports = ports(random);
    service.endpoints = endpoints(random);
    service
}

fn ports(random: &mut Random) -> Vec<Port> {
    let port = |name, protocol, port, target| Port {
        name,
        protocol,
        port,
        target,
    };
    let all = [
        port("tcp", Protocol::Tcp, 80, ECHO_PORT),
        port("udp", Protocol::Udp, 80, ECHO_PORT),
        port("sctp", Protocol::Sctp, 80, ECHO_PORT),
        port("second", Protocol::Tcp, 81, SECOND_PORT),
    ];
    let mut ports = random.some(&all, 40);
    if ports.is_empty() {
        ports.push(all[0].clone());
    }
    ports
}

fn endpoints(random: &mut Random) -> Vec<Endpoint> {
    let states = [
        State::Ready,
        State::Ready,
        State::Ready,
        State::Ready,
        State::Unready,
        State::Serving,
        State::Serving,
        State::Gone,
    ];
    // A whole Service drains now and then.
    let states = if random.percent(15) {
        &states[4..]
    } else {
        &states[..]
    };
    let places = [
        Place::Real,
        Place::Real,
        Place::Real,
        Place::Real,
        Place::Unknown,
        Place::Unsaid,
    ];
    let hinted = random.percent(35);
    let (by_zone, by_node) = (hinted && random.percent(70), hinted && random.percent(50));
    let mut endpoints = Vec::new();
    for pod in 0..PODS.len() {
        if random.percent(40) {
            continue;
        }
        let mut endpoint = Endpoint::new(pod, random.pick(states));
        endpoint.place = random.pick(&places);
        endpoint.slice = u8::from(random.percent(20));
        if by_zone && random.percent(90) {
            endpoint.zones = vec![random.pick(&[ZONES[0], ZONES[0], ZONES[1], "zone-x"])];
        }
        if by_node && random.percent(90) {
            endpoint.nodes = vec![random.pick(&["node-1", "node-2"])];
        }
        endpoints.push(endpoint);
    }
    endpoints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_means_the_same() {
        assert_eq!(state(7), state(7));
        assert_ne!(state(7), state(8));
    }

    #[test]
    fn everything_comes_up() {
        let services: Vec<_> = (0..300).flat_map(state).collect();
        let endpoints = || services.iter().flat_map(|service| &service.endpoints);
        assert!(services.iter().any(|service| service.endpoints.is_empty()));
        assert!(
            services
                .iter()
                .any(|service| service.kind == Kind::Headless)
        );
        assert!(services.iter().any(|service| service.ranges.len() > 1));
        assert!(services.iter().any(|service| service.affinity.is_some()));
        assert!(endpoints().any(|endpoint| endpoint.state == State::Gone));
        assert!(endpoints().any(|endpoint| !endpoint.nodes.is_empty()));
        assert!(services.iter().all(|service| !service.ports.is_empty()));
    }
}
