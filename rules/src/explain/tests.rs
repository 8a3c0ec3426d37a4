//! Findings that need answers from elsewhere: other nodes', the kernel's.

use super::*;
use crate::finding::{Code, Severity};
use crate::model::{Family, ObjectName};
use crate::{Change, Config, State as Cluster};

fn found(told: &Explanation) -> Vec<(Code, Severity, Option<String>)> {
    let mut cluster = Cluster::new();
    let name = ObjectName::new("shop", "web");
    let service = Service {
        name: name.clone(),
        cluster_ips: vec!["10.96.0.10".parse().expect("an address")],
        ..Service::default()
    };
    cluster.apply(Change::Service(service));
    let config = Config::new(Family::V4, "n1");
    let place = Place {
        view: cluster.view(),
        config: &config,
        nodes: &[],
    };
    let found = findings(&[place], &name, told, &Known::default());
    let found = found.into_iter();
    found
        .map(|own| (own.code, own.severity, own.node))
        .collect()
}

#[test]
fn health_ports_that_answer_otherwise_are_found() {
    let node = |name: &str, expected, answered, error: Option<&str>| NodeHealth {
        node: name.to_owned(),
        addresses: Vec::new(),
        local_endpoints: usize::from(expected == 200),
        expected,
        answered,
        error: error.map(str::to_owned),
    };
    let told = Explanation {
        health: Some(Health {
            port: 31022,
            nodes: vec![
                node("right", 200, Some(200), None),
                node("rightly-empty", 503, Some(503), None),
                node("not-asked", 200, None, None),
                node("behind", 200, Some(503), None),
                node("too-eager", 503, Some(200), None),
                node("silent", 503, None, Some("connection refused")),
            ],
        }),
        ..Explanation::default()
    };
    let of = |node: &str| {
        (
            Code::HealthPortDisagrees,
            Severity::Error,
            Some(node.to_owned()),
        )
    };
    assert_eq!(found(&told), [of("behind"), of("too-eager"), of("silent")]);
}

#[test]
fn a_kernel_that_differs_is_found() {
    let kernel = |as_it_should, differences: &[&str]| Explanation {
        kernel: vec![KernelState {
            family: "IPv4".to_owned(),
            as_it_should,
            differences: differences.iter().map(|own| (*own).to_owned()).collect(),
        }],
        ..Explanation::default()
    };
    let differs = (Code::KernelDiffers, Severity::Error, Some("n1".to_owned()));
    assert_eq!(
        found(&kernel(Some(false), &["services: x is missing"])),
        [differs]
    );
    assert_eq!(found(&kernel(Some(true), &[])), []);
    assert_eq!(found(&kernel(None, &["no rights"])), []);
}
