//! One more Service, which comes and goes.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::bench_upstream::args::Args;
use crate::bench_upstream::measure::{Figures, LIMIT, PARTIAL, answered, percentile};
use crate::bench_upstream::objects;
use crate::bench_upstream::proxy::Proxy;
use crate::bench_upstream::rig::{Rig, Side};

/// A Service comes and goes, some times: what its syncs take together, of which the first may know
/// its slice alone.
pub(super) fn measure(
    args: &Args,
    rig: &Rig,
    side: Side,
    proxy: &Proxy<'_>,
    figures: &mut Figures,
) -> Result<()> {
    /// For so many changes of an endpoint.
    const RARER: usize = 5;
    let place = rig.place(side);
    let (count, sum) = (format!("{PARTIAL}_count"), format!("{PARTIAL}_sum"));
    let mut syncs = Vec::new();
    for round in 1..=args.updates.div_ceil(RARER) {
        let pause = 1200 + (round as u64 * 617) % 1400;
        std::thread::sleep(Duration::from_millis(pause));
        let (counted, summed) = (proxy.metric(&count)?, proxy.metric(&sum)?);
        objects::post_another(&rig.api)?;
        let answered = answered(place.node(), objects::another(), place.pod(0), LIMIT)?;
        answered.with_context(|| format!("Service {round} did not answer"))?;
        let now = proxy.await_above(&count, counted, LIMIT)?;
        syncs.push((proxy.metric(&sum)? - summed) * 1e3);
        objects::delete_another(&rig.api)?;
        proxy.await_above(&count, now, LIMIT)?;
    }
    for (name, percent) in [("p50", 50), ("p99", 99)] {
        let value = percentile(&mut syncs, percent);
        figures.insert(format!("service_sync_ms_{name}"), value);
    }
    Ok(())
}
