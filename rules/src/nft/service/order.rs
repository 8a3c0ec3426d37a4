//! Positions in endpoint lists: an index into a map is an element, so each that stays is one
//! less to send.

use crate::model::EndpointAddr;
use foldhash::HashSet;
use std::collections::BTreeSet;

/// Lists `wanted` so that as few positions as possible differ from `before`:
/// who stays keeps the index, newcomers fill the gaps, and the last ones move
/// into what gaps are left.
pub(super) fn keep_order(
    before: &[EndpointAddr],
    wanted: Vec<EndpointAddr>,
) -> Box<[EndpointAddr]> {
    if before.is_empty() || before == wanted {
        return wanted.into();
    }
    let target: BTreeSet<EndpointAddr> = wanted.iter().copied().collect();
    let known: HashSet<EndpointAddr> = before.iter().copied().collect();
    let mut fresh = target
        .iter()
        .copied()
        .filter(|backend| !known.contains(backend));
    let mut slots: Vec<Option<EndpointAddr>> = before
        .iter()
        .map(|backend| {
            target
                .contains(backend)
                .then_some(*backend)
                .or_else(|| fresh.next())
        })
        .collect();
    slots.extend(fresh.map(Some));
    let mut at = 0;
    while at < slots.len() {
        if slots[at].is_none() {
            slots.swap_remove(at);
        } else {
            at += 1;
        }
    }
    slots.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
