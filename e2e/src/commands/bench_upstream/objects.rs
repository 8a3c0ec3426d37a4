//! The objects of a size: plain Services with made-up endpoints, and one that a pod serves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::address::{ECHO_PORT, pod};
use e2e::controlplane::Api;
use serde_json::{Value, json};

use crate::size::Size;

pub(crate) const SERVICES: &str = "/api/v1/namespaces/default/services";
pub(crate) const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

/// A Service that comes and goes.
const ANOTHER: &str = "another";

/// Creates all; the last Service has one endpoint, the first pod.
pub(crate) fn create(api: &Api, size: Size) -> Result<Duration> {
    let last = size.services - 1;
    create_with(api, size.services, |number| {
        if number == last {
            return vec![real(0)];
        }
        let all = 0..size.endpoints;
        all.map(|k| made_up(number * size.endpoints + k)).collect()
    })
}

/// Creates all; each Service has the first pod alone.
pub(crate) fn create_served(api: &Api, services: usize) -> Result<Duration> {
    create_with(api, services, |_| vec![real(0)])
}

fn create_with(
    api: &Api,
    services: usize,
    endpoints: impl Fn(usize) -> Vec<Value> + Sync,
) -> Result<Duration> {
    let start = Instant::now();
    let slices = (0..services).map(|number| {
        let slice = slice(&name(number), endpoints(number));
        (SLICES.to_owned(), slice)
    });
    api.post_all(slices)?;
    let services = (0..services).map(|number| (SERVICES.to_owned(), service(number)));
    api.post_all(services)?;
    Ok(start.elapsed())
}

/// Where the Service of [`post_another`] answers.
pub(crate) fn another() -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(10, 96, 0, 200).into(), 80)
}

/// Creates one more Service, which the first pod serves.
pub(crate) fn post_another(api: &Api) -> Result<()> {
    api.post(SLICES, &slice(ANOTHER, vec![real(0)]))?;
    let value = service_at(ANOTHER, another().ip());
    api.post(SERVICES, &value).map(drop)
}

/// Deletes it.
pub(crate) fn delete_another(api: &Api) -> Result<()> {
    api.delete(&format!("{SERVICES}/{ANOTHER}"))?;
    api.delete(&format!("{SLICES}/{ANOTHER}-x")).map(drop)
}

/// The n-th Service's name.
pub(crate) fn name(number: usize) -> String {
    format!("service-{number:05}")
}

/// Where the n-th Service answers.
pub(crate) fn frontend(number: usize) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::from(offset([10, 96, 1, 0], number)).into(), 80)
}

/// Patches the last Service so that this pod alone serves it.
pub(crate) fn change_last(size: Size, pod: u8) -> (String, Value) {
    let path = slice_path(size.services - 1);
    (path, json!({"endpoints": [real(pod)]}))
}

/// Patches that replace one endpoint in each of so many other Services.
pub(crate) fn changes(size: Size, count: usize, round: usize) -> Vec<(String, Value)> {
    let count = count.min(size.services - 1);
    let change = |number: usize| {
        let first = number * size.endpoints;
        let mut endpoints: Vec<_> = (0..size.endpoints).map(|k| made_up(first + k)).collect();
        endpoints[0] = made_up(900_000 - round * 20_000 - number);
        (slice_path(number), json!({"endpoints": endpoints}))
    };
    (0..count).map(change).collect()
}

fn slice_path(number: usize) -> String {
    format!("{SLICES}/{}-x", name(number))
}

fn service(number: usize) -> Value {
    service_at(&name(number), frontend(number).ip())
}

fn service_at(name: &str, address: IpAddr) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "clusterIP": address,
            "clusterIPs": [address],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "http", "port": 80, "targetPort": ECHO_PORT}],
        },
    })
}

/// A slice of the Service `service`.
pub(crate) fn slice(service: &str, endpoints: Vec<Value>) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{service}-x"),
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": ECHO_PORT, "protocol": "TCP"}],
        "endpoints": endpoints,
    })
}

/// The n-th pod of node-1, from 0.
pub(crate) fn real(number: u8) -> Value {
    endpoint(pod(1, 10 + number).v4, "node-1")
}

fn made_up(number: usize) -> Value {
    let address = Ipv4Addr::from(offset([172, 16, 0, 1], number));
    endpoint(address, &format!("elsewhere-{}", number % 1000))
}

fn endpoint(address: Ipv4Addr, node: &str) -> Value {
    json!({
        "addresses": [address],
        "conditions": {"ready": true, "serving": true, "terminating": false},
        "nodeName": node,
    })
}

fn offset(base: [u8; 4], number: usize) -> u32 {
    u32::from_be_bytes(base) + u32::try_from(number).unwrap_or_default()
}
