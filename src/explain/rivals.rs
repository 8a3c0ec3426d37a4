//! Services that want what others want.

use super::here::Here;
use super::planned::Planned;
use crate::inspect::{Cluster, Facts, Unseen, name_of};
use crate::world::World;
use k8s_openapi::api::core::v1::Service;
use rules::explain::wanted;
use rules::model::{Frontend, ObjectName};
use std::collections::BTreeSet;

/// Finds Services that want an address of these: those that the kernel's rules name, where it
/// can be read, and else by a look at all Services. Only worth it where there are addresses that
/// the API server does not keep unique.
pub(super) async fn find(
    cluster: &Cluster,
    facts: &mut Facts,
    planned: &[Planned],
    here: &mut Here,
    world: &World,
) -> Option<Unseen> {
    let services: Vec<ObjectName> = facts.services.iter().map(name_of).collect();
    let state = world.state();
    let known = services.iter().filter_map(|name| state.service(name));
    let external = known
        .clone()
        .any(|service| !service.external_ips.is_empty() || !service.load_balancer_ips.is_empty());
    if cluster.is_files() {
        return facts.find_rivals(cluster).await.err();
    }
    if !external {
        return None;
    }
    let mut others = BTreeSet::new();
    for planned in planned {
        let frontends = known
            .clone()
            .flat_map(|service| wanted(service, planned.family));
        let frontends: Vec<Frontend> = frontends.map(|own| own.frontend).collect();
        if frontends.is_empty() {
            continue;
        }
        match planned.owners(frontends, here) {
            Some(owners) => others.extend(owners),
            None => return facts.find_rivals(cluster).await.err(),
        }
    }
    for name in others.iter().filter(|name| !services.contains(name)) {
        match cluster.one::<Service>(&name.namespace, &name.name).await {
            Ok(rival) => facts.rivals.extend(rival),
            Err(unseen) => return Some(unseen),
        }
    }
    None
}
