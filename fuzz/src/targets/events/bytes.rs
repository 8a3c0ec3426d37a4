//! Bytes as choices. A choice takes a fixed number of bytes, so that a changed byte changes one
//! thing, and cut or copied bytes are cut or copied steps.

use std::net::IpAddr;

/// What is left of an input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Bytes<'_> {
    /// Whether there is anything left to choose by.
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next byte, 0 at the end.
    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// One of `count`, from 0.
    pub(super) fn below(&mut self, count: u8) -> u8 {
        self.byte() % count.max(1)
    }

    /// One of a list, none of an empty one.
    pub(super) fn one_of<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        let at = usize::from(self.byte());
        all.get(at % all.len().max(1)).cloned()
    }
}

/// Those of a list that have their bit set.
pub(super) fn chosen<T: Copy>(bits: u8, all: &[T]) -> Vec<T> {
    let bit = |at: usize| {
        bits.checked_shr(u32::try_from(at).unwrap_or(8))
            .unwrap_or(0)
            & 1
            == 1
    };
    let all = all.iter().enumerate();
    all.filter(|(at, _)| bit(*at))
        .map(|(_, own)| *own)
        .collect()
}

/// An address written in this file's callers.
pub(super) fn ip(text: &str) -> IpAddr {
    text.parse()
        .unwrap_or_else(|_| panic!("{text} is no address"))
}
