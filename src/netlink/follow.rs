//! Following what others do to the ruleset, on a socket of its own.
//!
//! While anybody listens, the kernel makes a message of each change of every transaction, one
//! page of memory each, until the transaction ends: for our own large ones that would be
//! hundreds of megabytes and half of their time. So the socket leaves the group for those, and
//! the generation tells whether others changed anything meanwhile.

use super::notifications::{Decoder, Ours};
use nft_wire::{Heard, Listener, Membership, Protocol, Socket, nf_tables};
use rules::drift::{Edit, Notice};
use rules::model::Family;
use std::io;
use std::time::{Duration, Instant};

/// Room for what others' transactions tell, some hundred thousand elements. Memory that is not
/// used is not there.
const RECEIVE_BUFFER: usize = 16 << 20;
/// After what does not concern us: others' changes are read in bunches, which costs little
/// however many there are.
const PAUSE: Duration = Duration::from_millis(20);
/// Looking for jumps takes no more than this part of the time: a tool that deletes its own rules in
/// long chains all the time is not answered by as much work.
const LOOKING: u32 = 10;
/// The longest pause after a look.
const LONGEST_PAUSE: Duration = Duration::from_millis(300);
/// So many datagrams are read in a row.
const BUNCH: usize = 1000;

/// The socket as the reader sees it.
#[derive(Debug)]
pub struct Follower {
    listener: Listener,
    decoder: Decoder,
    /// Looks whether jumps to our chains are there, where there are any.
    looks: Option<Looks>,
}

/// Asks the kernel for what was lost, when somebody deleted rules from built-in chains.
#[derive(Debug)]
pub(super) struct Looks {
    socket: Socket,
    lost: fn(&mut Socket, Family) -> io::Result<Vec<Edit>>,
}

impl Looks {
    /// By a socket of its own in the calling thread's network namespace.
    pub(super) fn open(lost: fn(&mut Socket, Family) -> io::Result<Vec<Edit>>) -> io::Result<Self> {
        let socket = nf_tables::open()?;
        Ok(Self { socket, lost })
    }
}

/// Opens both ends; nothing is told before [`Membership::join`]. `own_port` is the address of
/// the socket whose transactions are not told: all messages of a datagram are of one
/// transaction.
pub(super) fn open(
    ours: Ours,
    own_port: u32,
    looks: Option<Looks>,
) -> io::Result<(Membership, Follower)> {
    let listener = Listener::open(Protocol::Netfilter)?;
    listener.make_room(RECEIVE_BUFFER)?;
    listener.refuse_from(own_port)?;
    let membership = listener.membership(nf_tables::GROUP);
    let follower = Follower {
        listener,
        decoder: Decoder::new(ours, own_port),
        looks,
    };
    Ok((membership, follower))
}

impl Follower {
    /// Waits for what others do to our rules. What they do to theirs wakes nobody more often
    /// than 50 times a second.
    pub async fn next(&mut self) -> Vec<Notice> {
        loop {
            let Self {
                listener, decoder, ..
            } = self;
            let heard = listener.hear(BUNCH, |heard| match heard {
                Heard::Datagram(datagram) => decoder.read(datagram),
                Heard::Lost => decoder.lost(),
            });
            let all = heard.await.unwrap_or_else(|error| {
                tracing::warn!("following changes of the ruleset: {error}");
                self.decoder.lost();
                true
            });
            let mut notices = self.decoder.take_notices();
            let began = Instant::now();
            self.resolve_doubts(&mut notices);
            let pause = (began.elapsed() * LOOKING).clamp(PAUSE, LONGEST_PAUSE);
            if !notices.is_empty() {
                return notices;
            }
            if all {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Adds what deleted jumps of ours indeed, and not only rules of others beside them.
    fn resolve_doubts(&mut self, notices: &mut Vec<Notice>) {
        let Some(Looks { socket, lost }) = &mut self.looks else {
            return;
        };
        for (family, mut change) in self.decoder.take_doubts() {
            match lost(socket, family) {
                Ok(lost) => change.edits = lost,
                // Who mends looks again.
                Err(error) => {
                    tracing::debug!("{family}: looking for the jumps to our chains: {error}");
                }
            }
            if !change.edits.is_empty() {
                notices.push(Notice::Changed(change));
            }
        }
    }
}
