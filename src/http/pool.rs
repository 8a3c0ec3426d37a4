//! How many connections a server has at once, and whose give way when there are too many.

use crate::logging::Throttle;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Newcomers that wait for a slot, of all listeners that share a pool; others are turned away.
const NEWCOMERS: usize = 3;
/// Between two lines about one pool.
const QUIET: Duration = Duration::from_secs(60);

/// Whom a connection is counted for: an IPv4 address, or the /64 that whoever has one IPv6 address
/// may well have all of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Peer(IpAddr);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(own) => {
                let [a, b, c, d, ..] = own.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            own => own,
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(own) => own.fmt(f),
            IpAddr::V6(own) => write!(f, "{own}/64"),
        }
    }
}

/// The slots of a server, or of several that share them. When all are taken, a newcomer gets the
/// slot of the oldest connection of the peer that has the most: a flood from one place is at its
/// own expense, and a probe, which takes milliseconds, is never the oldest for long.
#[derive(Clone, Debug)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Of which server, for the log.
    name: &'static str,
    capacity: usize,
    slots: Arc<Semaphore>,
    newcomers: Semaphore,
    open: Mutex<Open>,
    full: Throttle,
    failing: Throttle,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// By number, which is by age. One that was told to end is not here.
    connections: BTreeMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    peer: Peer,
    cut: oneshot::Sender<()>,
}

/// A connection's slot, free again when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    number: u64,
    pool: Arc<Shared>,
    cut: oneshot::Receiver<()>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// That many connections at once.
    pub(super) fn new(name: &'static str, capacity: usize) -> Self {
        Self(Arc::new(Shared {
            name,
            capacity,
            slots: Arc::new(Semaphore::new(capacity)),
            newcomers: Semaphore::new(NEWCOMERS),
            open: Mutex::default(),
            full: Throttle::new(QUIET),
            failing: Throttle::new(QUIET),
        }))
    }

    /// A slot for a connection from this address, if need be another one's; `None` if there are
    /// too many newcomers already.
    pub(super) async fn admit(&self, address: IpAddr) -> Option<Slot> {
        let permit = match self.0.slots.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = self.0.newcomers.try_acquire().ok()?;
                self.0.cut_one();
                self.0.slots.clone().acquire_owned().await.ok()?
            }
        };
        let (sender, receiver) = oneshot::channel();
        let mut open = self.0.lock();
        let number = open.next;
        open.next += 1;
        let connection = Connection {
            peer: address.into(),
            cut: sender,
        };
        open.connections.insert(number, connection);
        Some(Slot {
            number,
            pool: self.0.clone(),
            cut: receiver,
            _permit: permit,
        })
    }

    /// Whether more than half of the slots are taken. Connections are for one request each then:
    /// many that ask on and on would keep the process too busy to accept any other.
    pub(super) fn is_crowded(&self) -> bool {
        self.0.slots.available_permits() < self.0.capacity / 2
    }

    /// Accepting failed for want of descriptors or memory: makes room, and says so now and then.
    pub(super) fn failed(&self, error: &std::io::Error) {
        self.0.cut_one();
        if let Some(left_out) = self.0.failing.passes(Instant::now()) {
            tracing::warn!(
                "{}: accepting a connection: {error}{}",
                self.0.name,
                again(left_out)
            );
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing panics between two steps that belong together.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a connection to end; its slot is free when it has.
    fn cut_one(&self) {
        let cut = {
            let mut open = self.lock();
            let peers = open
                .connections
                .iter()
                .map(|(number, own)| (*number, own.peer));
            victim(peers).and_then(|number| open.connections.remove(&number))
        };
        let Some(Connection { peer, cut }) = cut else {
            return;
        };
        // It may have ended just now.
        let _ = cut.send(());
        if let Some(left_out) = self.full.passes(Instant::now()) {
            tracing::warn!(
                "{}: all {} connections are taken, most of them by {peer}, whose oldest one is \
                 closed for a new one{}",
                self.name,
                self.capacity,
                again(left_out)
            );
        }
    }
}

fn again(left_out: u64) -> String {
    match left_out {
        0 => String::new(),
        times => format!(" (and {times} times since this was last said)"),
    }
}

/// The oldest connection of the peer that has the most of them; of several such peers, of the one
/// whose oldest is the oldest. Connections come by age.
fn victim(connections: impl Iterator<Item = (u64, Peer)>) -> Option<u64> {
    let mut by_peer: HashMap<Peer, (usize, u64)> = HashMap::new();
    for (number, peer) in connections {
        by_peer.entry(peer).or_insert((0, number)).0 += 1;
    }
    let most = by_peer
        .into_values()
        .max_by_key(|(count, oldest)| (*count, std::cmp::Reverse(*oldest)));
    most.map(|(_, oldest)| oldest)
}

impl Slot {
    /// Waits until the connection has to end for another one.
    pub(super) async fn cut(&mut self) {
        if (&mut self.cut).await.is_err() {
            // Nobody is left who could say so.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.lock().connections.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        text.parse::<IpAddr>().expect("an address").into()
    }

    fn of(peers: &[&str]) -> Option<u64> {
        victim((10..).zip(peers.iter().map(|text| peer(text))))
    }

    #[test]
    fn the_oldest_of_the_greediest_gives_way() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["10.0.0.1"]), Some(10));
        assert_eq!(of(&["10.0.0.1", "10.0.0.2"]), Some(10), "the oldest of all");
        assert_eq!(of(&["10.0.0.1", "10.0.0.2", "10.0.0.2"]), Some(11));
        assert_eq!(
            of(&["10.0.0.2", "10.0.0.1", "10.0.0.1", "10.0.0.2"]),
            Some(10)
        );
        let six = ["2001:db8::1", "2001:db8:1::1", "10.0.0.1", "2001:db8:1::2"];
        assert_eq!(of(&six), Some(11), "a /64 counts as one");
        assert_eq!(peer("::ffff:10.0.0.1"), peer("10.0.0.1"));
    }

    #[tokio::test]
    async fn a_newcomer_gets_a_slot_when_the_other_has_gone() {
        let flood: IpAddr = "10.0.0.1".parse().expect("an address");
        let probe: IpAddr = "10.0.0.2".parse().expect("an address");
        let pool = Pool::new("test", 2);
        let mut first = pool.admit(flood).await.expect("a slot");
        let mut second = pool.admit(flood).await.expect("a slot");
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.admit(probe).await }
        });
        first.cut().await;
        assert!(!waiting.is_finished(), "the slot is not free yet");
        drop(first);
        let mut third = waiting.await.expect("no panic").expect("a slot");
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.admit(flood).await }
        });
        second.cut().await;
        drop(second);
        let fourth = waiting.await.expect("no panic").expect("a slot");
        let cut = tokio::time::timeout(Duration::ZERO, third.cut()).await;
        assert!(
            cut.is_err(),
            "of two with one each, the older one is next, and not before"
        );
        assert!(pool.is_crowded());
        drop((third, fourth));
        assert!(!pool.is_crowded());
        assert_eq!(pool.0.slots.available_permits(), 2);
        assert!(pool.0.lock().connections.is_empty());
    }

    #[tokio::test]
    async fn few_wait() {
        let flood: IpAddr = "10.0.0.1".parse().expect("an address");
        let pool = Pool::new("test", 1);
        let _slot = pool.admit(flood).await.expect("a slot");
        let mut waiting = Vec::new();
        for _ in 0..NEWCOMERS {
            let mut one = Box::pin(pool.admit(flood));
            let polled = tokio::time::timeout(Duration::ZERO, &mut one).await;
            assert!(polled.is_err(), "it waits");
            waiting.push(one);
        }
        assert!(pool.admit(flood).await.is_none());
    }
}
