//! Mode nftables.

use super::{Opened, follow};
use crate::counts;
use crate::metrics::Metrics;
use crate::mode::Mode;
use crate::netlink::Nftables;
use crate::settings::Settings;
use anyhow::Context;
use rules::model::Family;
use rules::nft::NftBackend;
use tokio::sync::mpsc;

impl Opened<NftBackend<Nftables>> {
    /// Inside a runtime; `metrics` are those of the mode.
    ///
    /// # Errors
    /// There is no socket, or no thread, for whoever counts.
    pub(in crate::proxy) fn nftables(
        mut kernel: Nftables,
        settings: &Settings,
        families: &[Family],
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        // One waits for the answer to each.
        let (asking, questions) = mpsc::channel(1);
        let tables = counts::start(settings.service_metrics, families, metrics, asking)
            .context("reading what the rules count")?;
        kernel.tell_before_replacement(move |family| {
            // Whoever holds it is reading just now, and a sync waits for nobody.
            if let Ok(mut tables) = tables.try_lock()
                && let Err(error) = tables.look_at(family)
            {
                tracing::debug!("{family}: counts of a table that is replaced: {error}");
            }
        });
        Ok(Self {
            mode: Mode::Nftables,
            questions,
            drift: follow(kernel.follow()),
            kernel,
        })
    }
}
