//! From single events to packets.

use super::super::ending::Ending;
use crate::netlink::nftrace::{Event, Headers, Kind};
use rules::nft::ruleset::TABLE;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// So many packets are kept; more are counted.
const PACKETS: usize = 2000;
/// So many events of a packet are kept.
const EVENTS: usize = 500;
/// So many packets may be on their way at once.
const OPEN: usize = 1000;

/// A packet, as far as it was told.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// What happened to it, in order, without the table that marked it.
    pub(super) events: Vec<Event>,
    /// As it came.
    pub(super) first: Option<Headers>,
    /// As it was seen last.
    pub(super) last: Option<Headers>,
    /// The interface that it came in by; `None` if the node itself sent it.
    pub(super) input: Option<String>,
    from_node: bool,
    came_again: bool,
    at: Instant,
}

impl Seen {
    /// How its way ended, as far as nftables tells. A reject is told as a drop; whose rule it was
    /// says which of the two.
    pub(super) fn end(&self) -> Ending {
        if self.events.last().is_some_and(Event::drops) {
            return Ending::Dropped;
        }
        match (&self.first, &self.last) {
            (Some(first), Some(last))
                if (first.destination, first.port) != (last.destination, last.port) =>
            {
                Ending::Delivered
            }
            _ if self.is_local() => Ending::Local,
            _ => Ending::Routed,
        }
    }

    /// It came to the hook input: our chain has that name, and those of iptables are called so.
    fn is_local(&self) -> bool {
        let is_input = |event: &Event| match event.table.as_str() {
            TABLE => event.chain == "filter-input",
            "filter" => event.chain == "INPUT",
            _ => false,
        };
        self.events.iter().any(is_input)
    }
}

/// Puts events together.
pub(super) struct Assembler {
    marker: String,
    open: HashMap<u32, Seen>,
    /// Those that are through.
    pub(super) seen: Vec<Seen>,
    /// How many there were.
    pub(super) count: usize,
    /// Events were lost.
    pub(super) lost: bool,
}

impl Assembler {
    /// For packets that a table marks.
    pub(super) fn new(marker: &str) -> Self {
        Self {
            marker: marker.to_owned(),
            open: HashMap::new(),
            seen: Vec::new(),
            count: 0,
            lost: false,
        }
    }

    /// Whether packets are on their way.
    pub(super) fn is_busy(&self) -> bool {
        !self.open.is_empty()
    }

    /// Takes an event; `None` stands for some that were lost.
    pub(super) fn take(&mut self, event: Option<Event>, now: Instant) {
        let Some(event) = event else {
            self.lost = true;
            return;
        };
        if event.table == self.marker {
            self.mark(event, now);
            return;
        }
        // Others' traces are theirs.
        let Some(seen) = self.open.get_mut(&event.id) else {
            return;
        };
        seen.at = now;
        if let Some(headers) = event.headers {
            seen.last = Some(headers);
        }
        if seen.events.len() < EVENTS {
            seen.events.push(event);
        }
    }

    /// A packet begins, or what the node sent to itself comes in.
    fn mark(&mut self, event: Event, now: Instant) {
        if !matches!(event.kind, Kind::Rule { .. }) {
            return;
        }
        let from_node = event.chain == "output";
        if let Some(seen) = self.open.get_mut(&event.id)
            && !from_node
            && seen.from_node
            && !std::mem::replace(&mut seen.came_again, true)
        {
            seen.at = now;
            return;
        }
        if let Some(before) = self.open.remove(&event.id) {
            self.keep(before);
        }
        if self.open.len() >= OPEN {
            self.lost = true;
            return;
        }
        let seen = Seen {
            events: Vec::new(),
            first: event.headers,
            last: event.headers,
            input: event.input.filter(|_| !from_node),
            from_node,
            came_again: false,
            at: now,
        };
        self.open.insert(event.id, seen);
    }

    fn keep(&mut self, seen: Seen) {
        self.count += 1;
        if self.seen.len() < PACKETS {
            self.seen.push(seen);
        }
    }

    /// Packets of which nothing was heard since a moment are through.
    pub(super) fn finish(&mut self, before: Option<Instant>) -> Vec<Seen> {
        let Some(before) = before else {
            return Vec::new();
        };
        let is_through = |seen: &Seen| seen.at <= before;
        let mut through: Vec<Seen> = Vec::new();
        self.open.retain(|_, seen| {
            let keep = !is_through(seen);
            if !keep {
                through.push(seen.clone());
            }
            keep
        });
        through.sort_by_key(|seen| seen.at);
        for seen in &through {
            self.keep(seen.clone());
        }
        through
    }

    /// The chains outside of our table that packets came by: family, table, name.
    pub(super) fn foreign_chains(&self) -> BTreeSet<(u8, String, String)> {
        let events = self.seen.iter().flat_map(|seen| &seen.events);
        let foreign = events.filter(|event| event.table != TABLE);
        foreign
            .map(|event| (event.family, event.table.clone(), event.chain.clone()))
            .collect()
    }
}
