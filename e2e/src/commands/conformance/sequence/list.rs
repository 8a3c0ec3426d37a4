//! The sequences, step by step.

use super::{Change, Look, Sequence};
use crate::conformance::case::{BRIEF, Breadth, FULL};
use crate::conformance::spec::{Endpoint, Ingress, Kind, Policy, State};

const A1: usize = 0;
const A2: usize = 1;
const B1: usize = 2;
const B2: usize = 3;

fn ready(pods: &[usize]) -> Vec<Endpoint> {
    pods.iter()
        .map(|pod| Endpoint::new(*pod, State::Ready))
        .collect()
}

/// Every sequence; slots from 150 on.
pub(super) fn all() -> Vec<Sequence> {
    let probes = || Look::Probes(BRIEF);
    let full = || {
        Look::Probes(Breadth {
            datagrams: &[],
            ..FULL
        })
    };
    vec![
        Sequence::new(
            150,
            "endpoints",
            "endpoints come, go and come back",
            probes(),
        )
        .then("none", |_| {})
        .then("first", |service| service.endpoints = ready(&[A1]))
        .then("second", |service| service.endpoints = ready(&[A1, B1]))
        .then("without-first", |service| service.endpoints = ready(&[B1]))
        .then("first-again", |service| {
            service.endpoints = ready(&[B1, A1, A2]);
        })
        .then("none-again", |service| service.endpoints.clear()),
        Sequence::new(151, "policy", "policies change", full())
            .then("cluster", |service| service.endpoints = ready(&[B1, B2]))
            .then("external-local", |service| service.external = Policy::Local)
            .then("internal-local-too", |service| {
                service.internal = Policy::Local;
            })
            .then("endpoint-here", |service| {
                service.endpoints = ready(&[A1, B1]);
            })
            .then("cluster-again", |service| {
                service.internal = Policy::Cluster;
                service.external = Policy::Cluster;
            }),
        Sequence::new(152, "deleted", "the Service is deleted", full())
            .then("there", |service| service.endpoints = ready(&[A1, B1]))
            .with("deleted", Change::Delete(true))
            .then("there-again", |_| {}),
        Sequence::new(
            153,
            "slices-stay",
            "the Service is deleted, its slices are not",
            full(),
        )
        .then("there", |service| service.endpoints = ready(&[A1]))
        .with("deleted", Change::Delete(false))
        .then("there-again", |service| service.external = Policy::Local),
        Sequence::new(154, "affinity", "a client's endpoint goes", probes())
            .then("two", |service| {
                service.affinity = Some(10_800);
                service.endpoints = ready(&[A1, B1]);
            })
            .then("only-one", |service| service.endpoints = ready(&[B1]))
            .then("only-the-other", |service| service.endpoints = ready(&[A1]))
            .then("four", |service| {
                service.endpoints = ready(&[A1, A2, B1, B2]);
            })
            .then("no-affinity", |service| service.affinity = None)
            .then("affinity-again", |service| service.affinity = Some(60)),
        Sequence::new(
            155,
            "affinity-drain",
            "a client's endpoint terminates",
            probes(),
        )
        .then("two", |service| {
            service.affinity = Some(10_800);
            service.external = Policy::Local;
            service.endpoints = ready(&[A1, A2]);
        })
        .then("one-serving", |service| {
            service.endpoints[0].state = State::Serving;
        })
        .then("both-serving", |service| {
            service.endpoints[1].state = State::Serving;
        })
        .then("replaced", |service| service.endpoints = ready(&[B1])),
        Sequence::new(156, "rollout", "endpoints drain while others come", full())
            .then("old", |service| {
                service.external = Policy::Local;
                service.endpoints = ready(&[A1, B1]);
            })
            .then("draining", |service| {
                service.endpoints[0].state = State::Serving;
            })
            .then("drained", |service| {
                service.endpoints[0].state = State::Gone;
            })
            .then("new", |service| service.endpoints = ready(&[A2, B1])),
        Sequence::new(157, "ranges", "source ranges change", full())
            .then("anyone", |service| service.endpoints = ready(&[A1, B1]))
            .then("denied", |service| {
                service.ranges = vec!["172.16.0.0/12", "fd99::/16"];
            })
            .then("allowed", |service| {
                service.ranges = vec!["203.0.113.10/32", "2001:db8:113::a/128"];
            })
            .then("no-ingress-mode", |service| {
                service.ingress = Ingress::Proxy;
            })
            .then("anyone-again", |service| {
                service.ingress = Ingress::Vip;
                service.ranges.clear();
            }),
        Sequence::new(158, "addresses", "external IPs come and go", probes())
            .then("there", |service| service.endpoints = ready(&[A1]))
            .then("without", |service| service.external_ips = None)
            .then("back", |service| service.external_ips = Some(158)),
        Sequence::new(164, "type", "the Service's type changes", probes())
            .then("balancer", |service| service.endpoints = ready(&[A1, B1]))
            .then("cluster-ip", |service| service.kind = Kind::ClusterIp)
            .then("node-port", |service| service.kind = Kind::NodePort)
            .then("balancer-again", |service| {
                service.kind = Kind::LoadBalancer;
                service.external = Policy::Local;
            })
            .then("node-port-local", |service| service.kind = Kind::NodePort)
            .then("cluster-ip-local", |service| {
                service.kind = Kind::ClusterIp;
            }),
        Sequence::new(
            159,
            "flow-replaced",
            "a UDP client's endpoint is replaced",
            Look::Flows,
        )
        .then("first", |service| service.endpoints = ready(&[A1]))
        .then("replaced", |service| service.endpoints = ready(&[B1]))
        .then("replaced-again", |service| service.endpoints = ready(&[A2]))
        .with("the-same", Change::Nothing),
        Sequence::new(
            160,
            "flow-early",
            "a UDP client is there before the first endpoint",
            Look::Flows,
        )
        .then("none", |_| {})
        .then("first", |service| service.endpoints = ready(&[A1]))
        .then("none-again", |service| service.endpoints.clear())
        .then("other", |service| service.endpoints = ready(&[B1])),
        Sequence::new(
            161,
            "flow-drains",
            "a UDP client's endpoint terminates",
            Look::Flows,
        )
        .then("ready", |service| service.endpoints = ready(&[A1]))
        .then("serving", |service| {
            service.endpoints[0].state = State::Serving;
            service.endpoints.extend(ready(&[B1]));
        })
        .then("gone", |service| service.endpoints[0].state = State::Gone)
        .then("unready", |service| {
            service.endpoints[1].state = State::Unready;
        }),
        Sequence::new(
            162,
            "flow-late",
            "a UDP client is there before the Service",
            Look::Flows,
        )
        .with("nothing", Change::Nothing)
        .then("there", |service| service.endpoints = ready(&[A1]))
        .with("deleted", Change::Delete(true))
        .then("there-again", |service| service.endpoints = ready(&[B1])),
        Sequence::new(
            163,
            "flow-local",
            "a UDP client of a policy that changes",
            Look::Flows,
        )
        .then("cluster", |service| service.endpoints = ready(&[B1]))
        .then("local", |service| service.external = Policy::Local)
        .then("here", |service| service.endpoints = ready(&[A1, B1]))
        .then("only-here", |service| service.endpoints = ready(&[A1])),
    ]
}
