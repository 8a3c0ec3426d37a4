//! What tables counted, added up.

use crate::metrics::CountMetrics;
use crate::netlink::dump::Reader;
use rules::model::{Family, Frontend};
use rules::nft::totals::Totals;
use std::collections::HashMap;
use std::io;

/// Every family's table, and what it has counted since the last look.
pub(crate) struct Tables {
    families: Vec<(Family, Reader, Totals)>,
    metrics: CountMetrics,
    /// Connections that no Service was told of so far.
    new: HashMap<Frontend, u64>,
}

impl Tables {
    /// In the calling thread's network namespace.
    ///
    /// # Errors
    /// There is no netlink socket to be had.
    pub(crate) fn open(families: &[Family], metrics: CountMetrics) -> io::Result<Self> {
        let open = |family: &Family| Ok((*family, Reader::open(*family)?, Totals::default()));
        let families: io::Result<Vec<_>> = families.iter().map(open).collect();
        Ok(Self {
            families: families?,
            metrics,
            new: HashMap::new(),
        })
    }

    /// Looks at all tables.
    pub(super) fn look(&mut self) -> io::Result<()> {
        let families: Vec<Family> = self.families.iter().map(|(family, ..)| *family).collect();
        families
            .into_iter()
            .try_for_each(|family| self.look_at(family))
    }

    /// Looks at one family's table.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub(crate) fn look_at(&mut self, family: Family) -> io::Result<()> {
        let mut families = self.families.iter_mut();
        let Some((_, reader, totals)) = families.find(|(own, ..)| *own == family) else {
            return Ok(());
        };
        let Some(reading) = reader.counts()? else {
            if reader.is_missing()? {
                totals.nothing();
            }
            return Ok(());
        };
        let increments = totals.take(&reading);
        for (counter, packets) in increments.counters {
            self.metrics.counted(family, counter, packets);
        }
        for (frontend, connections) in increments.connections {
            *self.new.entry(frontend).or_default() += connections;
        }
        Ok(())
    }

    /// The connections to each frontend since the last call.
    pub(super) fn take_new(&mut self) -> HashMap<Frontend, u64> {
        std::mem::take(&mut self.new)
    }
}
