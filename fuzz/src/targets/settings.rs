//! What settings of any kind make of a small cluster.

use crate::table;
use kube_proxy::fuzzing::{Manifest, manifest};
use kube_proxy::settings::{self, Settings};
use rules::fake::FakeKernel;
use rules::model::Family;
use rules::{Planner, State};
use std::net::IpAddr;

/// One Service of each kind, a Node, a ServiceCIDR.
const CLUSTER: &str = include_str!("../../cluster.yaml");

/// Plans and programs the cluster for both families, with the Node and without.
///
/// # Panics
/// The kernel would refuse it, or a form of it is not what it has to be.
pub(super) fn check_rules(settings: &Settings) {
    let Manifest { events, problems } = manifest("yaml", CLUSTER);
    assert!(problems.is_empty(), "{problems:?}");
    let mut state = State::new();
    for event in events {
        state.apply(event);
    }
    let addresses = ["192.0.2.1", "2001:db8:2::1"];
    let addresses: Vec<IpAddr> = addresses
        .iter()
        .filter_map(|own| own.parse().ok())
        .collect();
    for node in [state.node(), None] {
        settings::check_ips(settings, node, &Family::ALL);
        settings::check_node_ports(settings, node);
        for family in Family::ALL {
            let name = &settings.node_name;
            let config = settings::config(&settings.rules, name, node, family);
            let mut kernel = FakeKernel::new();
            table::sync(&mut Planner::new(config), &state, &addresses, &mut kernel);
        }
    }
}
