//! What the process takes, from `/proc/self`: the same metrics that Go's
//! Prometheus library has.

use nix::sys::resource::{Resource, getrlimit};
use procfs::process::Stat;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};
use std::sync::OnceLock;

/// Reads when it is scraped. What cannot be read is left out.
#[derive(Clone, Debug)]
pub(super) struct Process {
    cpu: Counter,
    open_files: Gauge,
    max_files: Gauge,
    resident: Gauge,
    virtual_memory: Gauge,
    max_virtual_memory: Gauge,
    started: Gauge,
    received: Counter,
    sent: Counter,
}

impl Process {
    pub(super) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            cpu: Counter::new(
                "process_cpu_seconds_total",
                "Processor time of the process, user and system",
            )?,
            open_files: Gauge::new("process_open_fds", "Open file descriptors")?,
            max_files: Gauge::new("process_max_fds", "How many file descriptors may be open")?,
            resident: Gauge::new("process_resident_memory_bytes", "Resident memory")?,
            virtual_memory: Gauge::new("process_virtual_memory_bytes", "Virtual memory")?,
            max_virtual_memory: Gauge::new(
                "process_virtual_memory_max_bytes",
                "How much virtual memory there may be",
            )?,
            started: Gauge::new(
                "process_start_time_seconds",
                "When the process was started, Unix time",
            )?,
            received: Counter::new(
                "process_network_receive_bytes_total",
                "Bytes received in the process's network namespace",
            )?,
            sent: Counter::new(
                "process_network_transmit_bytes_total",
                "Bytes sent in the process's network namespace",
            )?,
        })
    }

    fn update(&self) {
        if let Some(stat) = stat() {
            advance(&self.cpu, seconds(stat.utime + stat.stime));
            self.virtual_memory.set(stat.vsize as f64);
            self.resident.set((stat.rss * procfs::page_size()) as f64);
        }
        if let Some(start) = start_time() {
            self.started.set(start);
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            // One of them is the listing itself.
            self.open_files.set(files.count().saturating_sub(1) as f64);
        }
        if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            self.max_files.set(soft as f64);
        }
        if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_AS) {
            self.max_virtual_memory.set(soft as f64);
        }
        if let Some((received, sent)) = network() {
            advance(&self.received, received);
            advance(&self.sent, sent);
        }
    }

    fn all(&self) -> [&dyn Collector; 9] {
        [
            &self.cpu,
            &self.open_files,
            &self.max_files,
            &self.resident,
            &self.virtual_memory,
            &self.max_virtual_memory,
            &self.started,
            &self.received,
            &self.sent,
        ]
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.update();
        let all = self.all();
        all.into_iter().flat_map(Collector::collect).collect()
    }
}

/// Brings a counter to a value that was counted elsewhere.
fn advance(counter: &Counter, to: f64) {
    counter.inc_by((to - counter.get()).max(0.0));
}

fn stat() -> Option<Stat> {
    procfs::process::Process::myself().ok()?.stat().ok()
}

/// Ticks of the kernel's clock, in seconds.
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

/// When the process started, Unix time in seconds.
pub(crate) fn start_time() -> Option<f64> {
    /// Read once: it does not change, and the clock may be set.
    static START: OnceLock<Option<f64>> = OnceLock::new();
    *START.get_or_init(|| {
        let boot = procfs::boot_time_secs().ok()?;
        Some(boot as f64 + seconds(stat()?.starttime))
    })
}

/// Bytes received and sent: `IpExt` of `/proc/self/net/netstat`.
fn network() -> Option<(f64, f64)> {
    octets(&std::fs::read_to_string("/proc/self/net/netstat").ok()?)
}

fn octets(text: &str) -> Option<(f64, f64)> {
    // Names in one line, values in the next.
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("IpExt:"))
        .map(str::split_whitespace);
    let (names, values) = (lines.next()?, lines.next()?);
    let pairs: Vec<_> = names.zip(values).collect();
    let value = |wanted| {
        let (_, value) = pairs.iter().find(|(name, _)| *name == wanted)?;
        value.parse().ok()
    };
    Some((value("InOctets")?, value("OutOctets")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_found_by_name() {
        let text = "TcpExt: A B\nTcpExt: 1 2\nIpExt: X InOctets OutOctets\nIpExt: 0 5 6\n";
        assert_eq!(octets(text), Some((5.0, 6.0)));
        assert_eq!(octets("IpExt: InOctets\n"), None);
    }

    #[test]
    fn this_process_has_all_of_them() {
        let process = Process::new().expect("metrics");
        process.update();
        for (value, what) in [
            (process.open_files.get(), "open files"),
            (process.max_files.get(), "limit of files"),
            (process.resident.get(), "memory"),
            (process.max_virtual_memory.get(), "limit of memory"),
        ] {
            assert!(value > 0.0, "{what}");
        }
        let age = crate::metrics::unix_now() - start_time().expect("a start time");
        assert!((-1.0..3600.0).contains(&age), "{age}");
    }
}
