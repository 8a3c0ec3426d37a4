//! The messages of one batch as they are written: numbered, between a begin and an end mark, the
//! last one to be acknowledged, so that silence is no success.

use nft_wire::{TooLong, Writer, nf_tables};

/// Messages between a begin and an end mark.
pub(super) struct Messages {
    out: Writer,
    /// The number of the first message after the begin mark.
    first: u32,
    next_sequence: u32,
    /// The begin mark names a generation.
    has_generation: bool,
    /// Where the last message starts.
    last_start: usize,
    /// The number of the first message that could not be written, and why.
    failed: Option<(u32, TooLong)>,
}

impl Messages {
    /// None yet. They are numbered from `begin` on, which is the begin mark's own; `room` is how many
    /// bytes they may take. The kernel takes them at the given generation of the ruleset only, if there
    /// is one.
    pub(super) fn new(begin: u32, generation: Option<u32>, room: usize) -> Self {
        let mut out = Writer::with_capacity(room);
        nf_tables::begin(&mut out, begin, generation);
        Self {
            out,
            first: begin + 1,
            next_sequence: begin + 1,
            has_generation: generation.is_some(),
            last_start: 0,
            failed: None,
        }
    }

    /// Adds what `encode` writes under a number: one message.
    pub(super) fn add(&mut self, encode: impl FnOnce(&mut Writer, u32)) {
        self.last_start = self.out.len();
        encode(&mut self.out, self.next_sequence);
        if let Some(error) = self.out.error() {
            self.failed.get_or_insert((self.next_sequence, error));
        }
        self.next_sequence += 1;
    }

    /// Adds the end mark: nothing may be added behind.
    pub(super) fn end(&mut self) {
        self.out.acknowledge(self.last_start);
        nf_tables::end(&mut self.out, self.next_sequence);
    }

    /// How many there are between the marks.
    pub(super) fn count(&self) -> usize {
        (self.next_sequence - self.first) as usize
    }

    /// Lets the kernel take them at another generation, if they were made for one; 0 for any.
    pub(super) fn set_generation(&mut self, generation: u32) {
        if self.has_generation {
            nf_tables::set_generation(&mut self.out, generation);
        }
    }

    /// All of them, if each could be written.
    pub(super) fn into_bytes(self) -> Result<Vec<u8>, TooLong> {
        self.out.finish()
    }

    /// Those that [could be written](Self::failed).
    pub(super) fn bytes(&self) -> &[u8] {
        self.out.bytes()
    }

    /// The number of the first message that could not be written, and why.
    pub(super) fn failed(&self) -> Option<(u32, TooLong)> {
        self.failed
    }

    /// The number of the next message, or once they are [ended](Self::end) of the end mark.
    pub(super) fn next_sequence(&self) -> u32 {
        self.next_sequence
    }

    /// The number of the last message before the end mark.
    pub(super) fn last_sequence(&self) -> u32 {
        self.next_sequence - 1
    }

    /// How many messages stand before the one with that number; `None` for one that is before all.
    pub(super) fn position(&self, sequence: u32) -> Option<usize> {
        Some(sequence.checked_sub(self.first)? as usize)
    }
}
