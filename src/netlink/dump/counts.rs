//! What the table counted.

use super::{Reader, element};
use nft_wire::Writer;
use nft_wire::nf_tables::{Counted, OBJECT_COUNTER, Object, Table, nfta};
use rules::nft::ruleset::{Counter, Key, SetId, TABLE};
use rules::nft::totals::Reading;
use std::io;

impl Reader {
    /// What a family's table counted so far; `None` if there is none. A few requests, and as much
    /// of an answer as frontends were connected to.
    ///
    /// # Errors
    /// The kernel does not permit it, or the table changed each time that it was read.
    pub fn counts(&mut self) -> io::Result<Option<Reading>> {
        let Some(table) = self.table_handle()? else {
            return Ok(None);
        };
        let objects = self.objects()?;
        let counters = objects.iter().filter_map(counter);
        let counters = counters.map(|(counter, counted)| (counter, counted.packets));
        let counters = counters.collect();
        let connections = self.connections()?.into_iter();
        let connections = connections.filter_map(|(key, counted)| match key {
            Key::Frontend(frontend) => Some((frontend, counted.packets)),
            _ => None,
        });
        let reading = Reading {
            table,
            counters,
            connections: connections.collect(),
        };
        // If it was replaced meanwhile, these may be counts of either.
        Ok((self.table_handle()? == Some(table)).then_some(reading))
    }

    /// Whether there is no table.
    ///
    /// # Errors
    /// The kernel does not permit it.
    pub fn is_missing(&mut self) -> io::Result<bool> {
        Ok(self.table_handle()?.is_none())
    }

    /// The same without the connections to single frontends: three requests, and a short answer
    /// whatever the table holds.
    ///
    /// # Errors
    /// The kernel does not permit it.
    pub fn counters(&mut self) -> io::Result<Option<Reading>> {
        let Some(table) = self.table_handle()? else {
            return Ok(None);
        };
        let objects = self.objects()?;
        let counters = objects.iter().filter_map(counter);
        let reading = Reading {
            table,
            counters: (counters.map(|(counter, counted)| (counter, counted.packets))).collect(),
            connections: Vec::new(),
        };
        Ok((self.table_handle()? == Some(table)).then_some(reading))
    }

    /// The number of the table, which the next one of its name has not.
    fn table_handle(&mut self) -> io::Result<Option<u64>> {
        let name = |out: &mut Writer| out.text(nfta::TABLE_NAME, TABLE);
        let answer = self.get(libc::NFT_MSG_GETTABLE, name)?;
        Ok(answer.and_then(|body| Table::read(&body)?.handle))
    }

    /// The table's stateful objects.
    pub(super) fn objects(&mut self) -> io::Result<Vec<Object>> {
        let in_table = |out: &mut Writer| out.text(nfta::OBJECT_TABLE, TABLE);
        let mut objects = self.list(libc::NFT_MSG_GETOBJ, in_table, Object::read)?;
        objects.retain(|object| object.table == TABLE);
        Ok(objects)
    }

    /// The frontends that rules counted.
    pub(super) fn connections(&mut self) -> io::Result<Vec<(Key, Counted)>> {
        let set = SetId::ServiceConnections;
        let family = self.names.family;
        self.each_element(set.name(), |found, all| {
            let key = element::key(family, set, found.key);
            all.extend(key.zip(found.counter));
        })
    }
}

/// A counter of ours, and what it counted.
pub(super) fn counter(object: &Object) -> Option<(Counter, Counted)> {
    let counter = Counter::named(&object.name).filter(|_| object.kind == OBJECT_COUNTER)?;
    Some((counter, object.counted?))
}
