//! One new connection, or one datagram from a new port, after the other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use e2e::client::{Outcome, dial, dial_udp};

use super::{Protocol, Run, Seen};

/// Between two.
const PAUSE: Duration = Duration::from_millis(200);
/// Until there is no answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// A SYN without an answer is sent again after a second: whatever takes as long was lost once.
const REPEATED: Duration = Duration::from_millis(980);

pub(super) fn run(protocol: Protocol, target: SocketAddr, run: &Run) -> Seen {
    let mut seen = Seen::default();
    while run.goes_on() {
        let (begun, clock) = (run.now(), Instant::now());
        let outcome = match protocol {
            Protocol::Tcp => dial(target, PATIENCE),
            Protocol::Udp => dial_udp(target, PATIENCE),
        };
        seen.asked += 1;
        let took = clock.elapsed();
        match outcome {
            Outcome::Answered(_) if protocol == Protocol::Tcp && took >= REPEATED => {
                seen.failed
                    .push((begun, format!("answered after {took:.2?}")));
            }
            Outcome::Answered(_) => run.is_ready(),
            other => seen.failed.push((begun, other.to_string())),
        }
        run.pause(PAUSE);
    }
    seen
}
