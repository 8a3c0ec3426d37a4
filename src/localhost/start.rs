//! Whether there is a proxy, as the settings have it.

use super::{LocalhostProxy, Room};
use crate::descriptors::Shares;
use crate::settings::Settings;
use crate::telemetry::Telemetry;
use crate::world::World;
use rules::Localhost;
use rules::localhost::address;
use rules::model::Family;
use std::io;

/// Starts the proxy if node ports on loopback addresses may be served by one: mode iptables asks for
/// it where nftables serves, and mode nftables with its feature gate. In the calling thread's
/// network namespace.
///
/// # Errors
/// There is no thread, or no runtime, to be had.
pub fn start(
    settings: &Settings,
    world: &World,
    families: &[Family],
    telemetry: &Telemetry,
) -> io::Result<Option<LocalhostProxy>> {
    let wanted = settings.rules.localhost_gate || settings.rules.localhost_nodeports;
    // Rules of iptables do it themselves, and have none of these metrics.
    let Some(metrics) = telemetry.metrics.localhost() else {
        return Ok(None);
    };
    if !wanted {
        return Ok(None);
    }
    let is_served = |family: &Family| {
        let localhost = world.here().config(*family).localhost;
        matches!(localhost, Localhost::Proxied { .. })
    };
    let served: Vec<Family> = families.iter().copied().filter(is_served).collect();
    let addresses: Vec<String> = served
        .iter()
        .map(|family| address(*family).to_string())
        .collect();
    if addresses.is_empty() {
        return Ok(None);
    }
    tracing::info!(
        "node ports are served on {} by a TCP proxy in this process; UDP and SCTP are refused there",
        addresses.join(" and ")
    );
    let room = Room::of(Shares::current().localhost);
    let events = telemetry.events.clone();
    LocalhostProxy::start(metrics.clone(), events, room, &served).map(Some)
}
