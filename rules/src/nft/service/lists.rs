//! Where the endpoints of ports with many frontends are in the map
//! `port-endpoints`: each port's are in a row, so that a rule can choose among
//! them by a number.

use crate::model::EndpointAddr;
use crate::nft::ruleset::Pick;
use std::cell::Cell;

/// From so many frontends on a port's endpoints are listed once for all of them,
/// and not once for each. A cluster IP, a node port and two load-balancer
/// addresses are what Services commonly have, and need no chain of their own.
pub(super) const MANY_FRONTENDS: usize = 5;

/// The lists of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lists {
    pub(super) pick: Pick,
    pub(super) cluster: Row,
    pub(super) local: Row,
}

/// A part of the map's numbers that is kept for one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The first number.
    pub(super) first: u32,
    /// How many endpoints have room.
    room: u32,
}

/// Gives rows away. A number is used again only after the table was replaced.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    next: Cell<u32>,
}

impl Rows {
    /// From here on the table should be replaced, to begin again.
    const ENOUGH: u32 = 1 << 31;

    /// For a table without lists.
    pub(crate) fn new() -> Self {
        // 0 is what nft does not show.
        Self { next: Cell::new(1) }
    }

    /// Whether most numbers have been given away.
    pub(crate) fn is_used_up(&self) -> bool {
        self.next.get() >= Self::ENOUGH
    }

    #[cfg(test)]
    pub(crate) fn use_up(&self) {
        self.next.set(Self::ENOUGH);
    }

    /// The row that a list has, or another one if it has none or outgrew it.
    pub(super) fn row(&self, before: Option<Row>, list: &[EndpointAddr]) -> Row {
        const SMALLEST: u32 = 16;
        let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
        if let Some(row) = before.filter(|row| count <= row.room) {
            return row;
        }
        let room = count.saturating_mul(2).max(SMALLEST);
        let first = self.next.get();
        self.next.set(first.saturating_add(room));
        Row { first, room }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_row_until_it_outgrows_it() {
        let list = |count: u16| -> Vec<EndpointAddr> {
            let backend = |port| EndpointAddr {
                address: [10, 244, 0, 1].into(),
                port,
            };
            (1..=count).map(backend).collect()
        };
        let rows = Rows::new();
        let one = rows.row(None, &list(3));
        let other = rows.row(None, &list(100));
        assert_eq!((one.first, other.first), (1, 17));
        assert_eq!(rows.row(Some(one), &list(16)), one);
        assert_eq!(rows.row(Some(one), &[]), one);
        assert_eq!(rows.row(Some(one), &list(17)).first, 217);
        assert!(!rows.is_used_up());
    }
}
