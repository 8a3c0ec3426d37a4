//! What is new from one look at the flows to the next.

use super::{Flow, Tally, Traffic};
use foldhash::HashMap;
use std::collections::hash_map::Entry;

/// No more flows are remembered than that, which take 35 MB; the kernel of a node of 128 GB
/// has room for 1,048,576 by itself.
const LIMIT: usize = 7 << 17;

/// Remembers of each flow that it was there, and what had passed: 32 bytes.
///
/// A connection that ends is still listed for a while (TCP for 10 s at least, UDP for 30 s), so
/// that looks every few seconds miss none, however short it is.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    flows: HashMap<u64, Last>,
    look: u32,
    /// Flows of this look that there was no room for.
    beyond: u64,
}

/// A flow at the last look at which it was listed.
#[derive(Clone, Copy, Debug)]
struct Last {
    traffic: Traffic,
    look: u32,
}

impl Seen {
    /// Before the first look, at which no flow is new.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a look.
    pub fn begin(&mut self) {
        self.look += 1;
        self.beyond = 0;
    }

    /// What a flow counts for in this look; `None` if it has been counted, as the kernel may list
    /// one twice.
    pub fn note(&mut self, flow: &Flow) -> Option<Tally> {
        let now = Last {
            traffic: flow.traffic.unwrap_or_default(),
            look: self.look,
        };
        let full = self.flows.len() >= LIMIT;
        let before = match self.flows.entry(flow.identity) {
            Entry::Occupied(entry) if entry.get().look == self.look => return None,
            Entry::Occupied(mut entry) => Some(entry.insert(now).traffic),
            Entry::Vacant(_) if full => {
                self.beyond += 1;
                return Some(Tally {
                    traffic: Traffic::default(),
                    ..Tally::of(flow)
                });
            }
            Entry::Vacant(entry) => {
                entry.insert(now);
                // What passed before the first look, nobody knows when.
                (self.look <= 1).then_some(now.traffic)
            }
        };
        let since = before.unwrap_or_default();
        Some(Tally {
            new: u64::from(before.is_none()),
            traffic: Traffic {
                packets: now.traffic.packets.saturating_sub(since.packets),
                bytes: now.traffic.bytes.saturating_sub(since.bytes),
            },
            ..Tally::of(flow)
        })
    }

    /// Ends a look: forgets flows that it did not show.
    pub fn end(&mut self) {
        let look = self.look;
        self.flows.retain(|_, last| last.look == look);
        if self.flows.capacity() > 4 * self.flows.len().max(1024) {
            self.flows.shrink_to(2 * self.flows.len());
        }
    }

    /// How many flows of the last look were beyond what is remembered: counted as open, never as
    /// new, and without what passed.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }
}
