//! What shall go wrong.

/// Which calls are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Every one.
    Any,
    /// Sending a transaction.
    Batch,
    /// Receiving on the socket that sent the last transaction.
    Answer,
    /// Receiving a part of a list.
    List,
    /// Receiving on a socket that has joined a multicast group.
    Notification,
}

/// What then happens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The call fails; nothing is sent, and what there was to receive is lost.
    Fail(i32),
    /// The transaction gets this answer and never reaches the kernel.
    Refuse(i32),
    /// The list says that it was interrupted.
    Interrupt,
    /// The process dies before the call, or after it.
    DieBefore,
    DieAfter,
}

/// The line `ID CALL FIRST COUNT ACTION [ERRNO]`: the calls from the FIRST on, from 1, COUNT of them.
/// Another ID counts from the beginning.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) id: u64,
    pub(crate) call: Call,
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) action: Action,
}

impl Plan {
    /// Nothing of a line that makes no sense, the empty one for example.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [id, call, first, count, action, rest @ ..] = words.as_slice() else {
            return None;
        };
        let errno = || rest.first()?.parse().ok();
        Some(Self {
            id: id.parse().ok()?,
            call: match *call {
                "any" => Call::Any,
                "batch" => Call::Batch,
                "answer" => Call::Answer,
                "list" => Call::List,
                "notification" => Call::Notification,
                _ => return None,
            },
            first: first.parse().ok()?,
            count: count.parse().ok()?,
            action: match *action {
                "fail" => Action::Fail(errno()?),
                "refuse" => Action::Refuse(errno()?),
                "interrupt" => Action::Interrupt,
                "die-before" => Action::DieBefore,
                "die-after" => Action::DieAfter,
                _ => return None,
            },
        })
    }
}
