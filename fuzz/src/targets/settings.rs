//! What settings of any kind make of a small cluster.

use crate::table::{self, cluster};
use kube_proxy::settings::{self, Settings};
use kube_proxy::world;
use rules::model::Family;
use rules::nft::Planner;
use rules::nft::Table;

/// Plans and programs the cluster for both families, with the Node and without.
///
/// # Panics
/// The kernel would refuse it, or a form of it is not what it has to be.
pub(super) fn check_rules(settings: &Settings) {
    let (state, addresses) = cluster();
    for node in [state.node(), None] {
        settings::check_ips(settings, node, &Family::ALL);
        settings::check_node_ports(settings, node);
        for family in Family::ALL {
            let name = &settings.node_name;
            let config = world::config(&settings.rules, name, node, family);
            let mut kernel = Table::new();
            table::sync(&mut Planner::new(config), &state, &addresses, &mut kernel);
        }
    }
}
