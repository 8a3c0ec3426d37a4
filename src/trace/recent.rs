//! Clients that iptables' match `recent` remembers: a file for each list, which tells its times in the
//! kernel's ticks.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;

/// No list has more clients than its module was told, 100 by default.
const LIST_MAX: u64 = 8 << 20;
/// The clock is told in the first lines.
const CLOCK_MAX: u64 = 1 << 20;

/// The kernel's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    ticks: u64,
    per_second: u64,
}

impl Clock {
    /// By `/proc/timer_list`; `None` if that cannot be read.
    pub(super) fn read() -> Option<Self> {
        let file = File::open("/proc/timer_list").ok()?;
        let lines = BufReader::new(file.take(CLOCK_MAX)).lines();
        Self::of(lines.map_while(Result::ok))
    }

    fn of(lines: impl Iterator<Item = String>) -> Option<Self> {
        let (mut nanoseconds, mut ticks): (Option<u64>, Option<u64>) = (None, None);
        for line in lines {
            if let Some(rest) = line.strip_prefix("now at ") {
                nanoseconds = rest.split(' ').next()?.parse().ok();
            } else if let Some(rest) = line.trim().strip_prefix("jiffies: ") {
                ticks = rest.parse().ok();
                break;
            }
        }
        let (seconds, ticks) = (nanoseconds? / 1_000_000_000, ticks?);
        let per_second = RATES
            .into_iter()
            .min_by_key(|rate| at(*rate, seconds).abs_diff(ticks))?;
        Some(Self { ticks, per_second })
    }

    /// How many seconds ago a tick was.
    fn age(self, tick: u64) -> u64 {
        self.ticks.saturating_sub(tick) / self.per_second
    }
}

/// How many ticks a second kernels are built with (`CONFIG_HZ`).
const RATES: [u64; 4] = [100, 250, 300, 1000];

/// The tick at so many seconds after the start: kernels begin to count five minutes before 2³²
/// (`INITIAL_JIFFIES`).
fn at(per_second: u64, seconds: u64) -> u64 {
    (1 << 32) + per_second * seconds - per_second * 300
}

/// Whether a list has a client that was seen so many seconds ago or less. Without a clock every client
/// of the list counts.
pub(super) fn remembers(list: &str, client: IpAddr, seconds: u32, clock: Option<Clock>) -> bool {
    // Lists have chains' names, which are anybody's.
    if list.contains('/') {
        return false;
    }
    let Ok(file) = File::open(format!("/proc/thread-self/net/xt_recent/{list}")) else {
        return false;
    };
    let lines = BufReader::new(file.take(LIST_MAX)).lines();
    let mut seen = lines.map_while(Result::ok).filter_map(|line| seen(&line));
    seen.any(|(own, tick)| {
        let is_young = clock.is_none_or(|clock| clock.age(tick) <= u64::from(seconds));
        own == client && is_young
    })
}

/// The client of a line, and when it was seen last.
fn seen(line: &str) -> Option<(IpAddr, u64)> {
    let rest = line.strip_prefix("src=")?;
    let (client, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once("last_seen: ")?;
    let tick = rest.split(' ').next()?;
    Some((client.parse().ok()?, tick.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        let v4 = "src=10.244.0.7 ttl: 63 last_seen: 4332716508 oldest_pkt: 1 4332716508";
        let expected = Some(([10, 244, 0, 7].into(), 4_332_716_508));
        assert_eq!(seen(v4), expected);
        let v6 = "src=fd00:0010:0244:0000:0000:0000:0000:0007 ttl: 63 last_seen: 5 oldest_pkt: 1 5";
        let expected = Some(("fd00:10:244::7".parse().expect("an address"), 5));
        assert_eq!(seen(v6), expected);
        assert_eq!(seen("nothing"), None);
    }

    #[test]
    fn the_clock_is_known_by_what_it_shows() {
        for per_second in RATES {
            for seconds in [10, 900, 40_000, 30_000_000] {
                let ticks = at(per_second, seconds);
                let text = format!(
                    "Timer List Version: v0.10\nnow at {seconds}000000000 nsecs\n\ncpu: 0\n  \
                     .nr_events : 5\njiffies: {ticks}\n"
                );
                let clock = Clock::of(text.lines().map(str::to_owned));
                assert_eq!(clock, Some(Clock { ticks, per_second }));
                let clock = clock.expect("a clock");
                assert_eq!(clock.age(ticks - 60 * per_second), 60);
                assert_eq!(clock.age(ticks + 5), 0, "it was seen meanwhile");
            }
        }
        assert_eq!(Clock::of(std::iter::empty()), None);
    }

    #[test]
    fn this_kernels_clock() {
        let clock = Clock::read();
        assert!(clock.is_none_or(|clock| clock.ticks > 1 << 32), "{clock:?}");
    }
}
