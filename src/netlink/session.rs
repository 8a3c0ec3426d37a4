//! The socket that a backend's transactions go through, and where they stand among those of others.

use super::OpenError;
use super::messages::Messages;
use nft_wire::{Membership, Reply, Socket, nf_tables};
use rules::Commit;
use std::io;

/// A transaction of more bytes is too much to be told while others' changes are followed: some
/// six hundred elements, a page of the kernel's memory each.
const LARGE: usize = 64 << 10;

/// A socket for transactions, and the place of whoever follows what others do.
pub(super) struct Session {
    socket: Socket,
    sent_bytes: usize,
    /// What tells others' changes, if anybody wants to know.
    membership: Option<Membership>,
    /// They cannot be told, which the log knows.
    deaf: bool,
    /// Where in the ruleset's history the last transaction stands.
    commit: Commit,
}

/// Why the kernel did not take messages.
pub(super) enum Failure {
    /// They were not sent.
    Unsent(io::Error),
    /// Whether it took them is not known.
    Unanswered(io::Error),
    /// It refused them: its errors in the order of the messages, none if it said nothing.
    Refused(Vec<Reply>),
}

/// The ruleset is not at the generation any more that the batch was made for; missing in libc.
pub(super) const ERESTART: i32 = 85;

impl Failure {
    /// Others changed the ruleset before the kernel came to it.
    pub(super) fn generation_passed(&self) -> bool {
        matches!(self, Self::Refused(errors)
            if errors.first().is_some_and(|error| error.errno == ERESTART))
    }
}

/// What is known of others' changes while nobody follows them.
pub(super) struct Unfollowed {
    /// The ruleset's generation if nobody else changes it; `None` if that is not known.
    expected: Option<u32>,
    /// Nobody else changed it so far, as far as it was looked.
    alone: bool,
}

impl Unfollowed {
    /// A transaction of ours was taken.
    pub(super) fn taken(&mut self) {
        self.expected = self.expected.map(|before| before.wrapping_add(1));
    }

    /// The ruleset is at this generation before a transaction of ours.
    pub(super) fn found(&mut self, generation: u32) {
        if self.expected != Some(generation) {
            self.moved(Some(generation));
        }
    }

    /// Others were there, and the ruleset is at another generation, if it is known at which.
    pub(super) fn moved(&mut self, to: Option<u32>) {
        self.alone = false;
        self.expected = to;
    }
}

impl Session {
    /// Opens a socket in the calling thread's network namespace and asks the kernel whether it would
    /// take transactions.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub(super) fn open() -> Result<Self, OpenError> {
        let mut socket = nf_tables::open().map_err(OpenError::Socket)?;
        // Changes nothing, and needs the same rights.
        nf_tables::generation(&mut socket).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => OpenError::NotPermitted,
            _ => OpenError::NotSupported(error),
        })?;
        Ok(Self {
            socket,
            sent_bytes: 0,
            membership: None,
            deaf: false,
            commit: Commit::default(),
        })
    }

    /// The socket, for questions.
    pub(super) fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// How many bytes were sent since the last [`begin`](Self::begin).
    pub(super) fn sent_bytes(&self) -> usize {
        self.sent_bytes
    }

    /// Where the last transaction stands.
    pub(super) fn commit(&self) -> Commit {
        self.commit
    }

    /// Others' changes are told to somebody from the next [unfollowed](Self::unfollowed) transaction
    /// on.
    pub(super) fn followed_by(&mut self, membership: Membership) {
        self.membership = Some(membership);
    }

    /// Whether somebody follows others' changes.
    pub(super) fn is_followed(&self) -> bool {
        self.membership.is_some()
    }

    /// Whether messages are too much to be told to whoever follows.
    pub(super) fn is_large(&self, bytes: usize) -> bool {
        self.is_followed() && bytes >= LARGE
    }

    /// A new transaction, which is followed unless it is said otherwise.
    pub(super) fn begin(&mut self) {
        self.commit = Commit::default();
        self.sent_bytes = 0;
    }

    /// The number of the ruleset's present generation, if the kernel tells.
    pub(super) fn generation(&mut self) -> Option<u32> {
        nf_tables::generation(&mut self.socket).ok()
    }

    /// The number for the begin mark of the next batch.
    pub(super) fn sequence(&self) -> u32 {
        self.socket.sequence()
    }

    /// Sends messages that are ended. The kernel takes all or nothing.
    pub(super) fn send(&mut self, messages: &Messages) -> Result<(), Failure> {
        self.socket.number_on(messages.next_sequence() + 1);
        self.sent_bytes += messages.bytes().len();
        self.socket
            .send(messages.bytes())
            .map_err(Failure::Unsent)?;
        let replies = self.socket.replies().map_err(Failure::Unanswered)?.all;
        let taken = |reply: &Reply| reply.errno == 0 && reply.sequence == messages.last_sequence();
        if replies.iter().all(|reply| reply.errno == 0) && replies.iter().any(taken) {
            return Ok(());
        }
        let errors = replies.into_iter().filter(|reply| reply.errno != 0);
        Err(Failure::Refused(errors.collect()))
    }

    /// From here on nobody follows what happens, which is too much to tell, and the generation tells
    /// whether others did anything in the meantime. `generation` is the present one, if it is known
    /// already: what others do up to there is told.
    pub(super) fn unfollowed(&mut self, generation: Option<u32>) -> Unfollowed {
        let expected = match (generation, self.is_followed()) {
            (None, true) => self.generation(),
            (generation, _) => generation,
        };
        if let Some(membership) = &mut self.membership
            && let Err(error) = membership.leave()
        {
            tracing::debug!("leaving the group of nf_tables' notifications: {error}");
        }
        Unfollowed {
            expected,
            alone: true,
        }
    }

    /// From here on others' changes are told again. `taken` says that the transaction is in the
    /// kernel.
    pub(super) fn followed(&mut self, unfollowed: Unfollowed, taken: bool) {
        if !self.is_followed() {
            return;
        }
        self.join();
        let after = self.generation();
        let Unfollowed { expected, alone } = unfollowed;
        let alone = alone && expected.is_some() && expected == after;
        self.commit = Commit {
            generation: expected.filter(|_| taken),
            unseen: Some(!alone),
        };
    }

    fn join(&mut self) {
        let Some(membership) = &mut self.membership else {
            return;
        };
        if let Err(error) = membership.join()
            && !std::mem::replace(&mut self.deaf, true)
        {
            tracing::warn!(
                "joining the group of nf_tables' notifications: {error}; what others do to the \
                 table is mended by the hourly replacement only"
            );
        }
    }
}
