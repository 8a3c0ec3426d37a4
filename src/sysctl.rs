//! The kernel's settings that kube-proxy is in charge of (docs/reference.md#sysctls): how many
//! connections it tracks and for how long, and this process's OOM score.

use crate::config::{GoDuration, KubeProxyConntrackConfiguration};
use rules::check::DifferingSetting;
use std::io;
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;

/// No more connections than this are asked for because of many CPUs.
const MAX_LIMIT: i64 = 1 << 20;

/// How many connections are tracked.
const MAX: &str = "proc/sys/net/netfilter/nf_conntrack_max";
/// How many buckets there are for them.
const HASH_SIZE: &str = "sys/module/nf_conntrack/parameters/hashsize";

/// Packets to loopback addresses are routed from and to interfaces of IPv4.
const ROUTE_LOCALNET: &str = "proc/sys/net/ipv4/conf/all/route_localnet";
/// TCP segments outside of the window are not invalid for it.
const TCP_BE_LIBERAL: &str = "proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal";

/// Where the kernel's files are; another root in tests.
#[derive(Clone, Debug)]
pub struct Sysctls {
    root: PathBuf,
}

/// A setting that could not be brought about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It has another value and cannot be written.
    #[error("{file} is {found}, should be {wanted}, and cannot be written: {error}{hint}")]
    Write {
        /// The file.
        file: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        wanted: i64,
        /// Why not.
        error: io::Error,
        /// What may help.
        hint: &'static str,
    },
    /// It cannot be read.
    #[error("reading {file}: {error}{hint}")]
    Read {
        /// The file.
        file: String,
        /// Why not.
        error: io::Error,
        /// What may help.
        hint: &'static str,
    },
}

/// A file and the value it shall have.
type Setting = (&'static str, i64);

/// How many connections to track; `None` leaves the limit alone.
///
/// The cap comes before the floor, as upstream has it: a `min` above the cap is lost once the
/// CPUs alone are above it.
fn conntrack_max(config: &KubeProxyConntrackConfiguration, cpus: i64) -> Option<i64> {
    let per_core = i64::from(config.max_per_core?);
    if per_core <= 0 {
        return None;
    }
    let scaled = per_core.saturating_mul(cpus);
    if scaled > MAX_LIMIT {
        return Some(MAX_LIMIT);
    }
    let least = i64::from(config.min.unwrap_or(0));
    // Nothing to set if both are nothing.
    Some(scaled.max(least)).filter(|max| *max > 0)
}

/// The settings other than the limit.
fn conntrack_settings(config: &KubeProxyConntrackConfiguration) -> Vec<Setting> {
    let timeout = |file, value: Option<GoDuration>| {
        let value = value.filter(|value| *value > GoDuration::default())?;
        Some((file, value.seconds()))
    };
    let settings = [
        timeout(
            "nf_conntrack_tcp_timeout_established",
            config.tcp_established_timeout,
        ),
        timeout(
            "nf_conntrack_tcp_timeout_close_wait",
            config.tcp_close_wait_timeout,
        ),
        // It is never switched off again.
        config
            .tcp_be_liberal
            .then_some(("nf_conntrack_tcp_be_liberal", 1)),
        timeout("nf_conntrack_udp_timeout", Some(config.udp_timeout)),
        timeout(
            "nf_conntrack_udp_timeout_stream",
            Some(config.udp_stream_timeout),
        ),
    ];
    settings.into_iter().flatten().collect()
}

impl Default for Sysctls {
    fn default() -> Self {
        Self { root: "/".into() }
    }
}

impl Sysctls {
    /// One whose files are below another directory.
    #[cfg(test)]
    fn at(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// Brings connection tracking to what the configuration says. Values that are right already
    /// are not written, so that a read-only `/proc/sys` is enough then.
    ///
    /// # Errors
    /// Names the first file that is not to be had right.
    pub fn set_conntrack(&self, config: &KubeProxyConntrackConfiguration) -> Result<(), Error> {
        if let Some(max) = conntrack_max(config, self.cpus()) {
            self.raise(MAX, max)?;
            let found = self.read(HASH_SIZE).map_err(|error| Error::Read {
                file: format!("/{HASH_SIZE}"),
                hint: hint(HASH_SIZE, &error),
                error,
            })?;
            if found < max / 4 {
                self.write(HASH_SIZE, Some(found), max / 4)?;
            }
        }
        for (name, value) in conntrack_settings(config) {
            let file = format!("proc/sys/net/netfilter/{name}");
            let found = self.read(&file).ok();
            if found != Some(value) {
                self.write(&file, found, value)?;
            }
        }
        Ok(())
    }

    /// Lets node ports be reached on loopback addresses, as rules of mode iptables translate them. It
    /// is never switched off again.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn route_localnet(&self) -> Result<(), Error> {
        let found = self.read(ROUTE_LOCALNET).ok();
        if found == Some(1) {
            return Ok(());
        }
        self.write(ROUTE_LOCALNET, found, 1)
    }

    /// Whether conntrack lets TCP segments be that are outside of the window; where nothing tells, it
    /// does not.
    pub fn tcp_is_liberal(&self) -> bool {
        self.read(TCP_BE_LIBERAL).is_ok_and(|value| value != 0)
    }

    /// What [`set_conntrack`](Self::set_conntrack) would write, in order, and then
    /// [`route_localnet`](Self::route_localnet) where node ports are for loopback addresses. Nothing
    /// is written.
    pub fn differing(
        &self,
        config: &KubeProxyConntrackConfiguration,
        localhost_nodeports: bool,
    ) -> Vec<DifferingSetting> {
        let mut differing = Vec::new();
        let mut differs = |file: String, found: Option<i64>, wanted: i64| {
            differing.push(DifferingSetting {
                file: format!("/{file}"),
                found,
                wanted,
            });
        };
        if let Some(max) = conntrack_max(config, self.cpus()) {
            let found = self.read(MAX).ok();
            if found.is_none_or(|found| found < max) {
                differs(MAX.to_owned(), found, max);
                let found = self.read(HASH_SIZE).ok();
                if found.is_none_or(|found| found < max / 4) {
                    differs(HASH_SIZE.to_owned(), found, max / 4);
                }
            }
        }
        for (name, value) in conntrack_settings(config) {
            let file = format!("proc/sys/net/netfilter/{name}");
            let found = self.read(&file).ok();
            if found != Some(value) {
                differs(file, found, value);
            }
        }
        if localhost_nodeports {
            let found = self.read(ROUTE_LOCALNET).ok();
            if found != Some(1) {
                differs(ROUTE_LOCALNET.to_owned(), found, 1);
            }
        }
        differing
    }

    /// Tells the kernel how eagerly to end this process.
    ///
    /// # Errors
    /// It may not be lowered without the capability SYS_RESOURCE.
    pub fn set_oom_score(&self, score: i32) -> Result<(), Error> {
        let file = "proc/self/oom_score_adj";
        let found = self.read(file).ok();
        if found == Some(score.into()) {
            return Ok(());
        }
        self.write(file, found, score.into())
    }

    /// Writes a larger value, never a smaller one.
    fn raise(&self, file: &str, value: i64) -> Result<(), Error> {
        let found = self.read(file).ok();
        if found.is_some_and(|found| found >= value) {
            return Ok(());
        }
        self.write(file, found, value)
    }

    fn read(&self, file: &str) -> io::Result<i64> {
        let text = std::fs::read_to_string(self.root.join(file))?;
        text.trim().parse().map_err(io::Error::other)
    }

    fn write(&self, file: &str, found: Option<i64>, wanted: i64) -> Result<(), Error> {
        tracing::info!("setting /{file} to {wanted}");
        std::fs::write(self.root.join(file), wanted.to_string()).map_err(|error| Error::Write {
            file: format!("/{file}"),
            found: found.map_or_else(|| "unreadable".to_owned(), |found| found.to_string()),
            wanted,
            hint: hint(file, &error),
            error,
        })
    }

    /// The machine's CPUs, whichever of them this process may use: the limit is the machine's.
    fn cpus(&self) -> i64 {
        let online = std::fs::read_to_string(self.root.join("sys/devices/system/cpu/online"));
        online
            .ok()
            .and_then(|list| count_cpus(list.trim()))
            .or_else(|| i64::try_from(std::thread::available_parallelism().ok()?.get()).ok())
            .unwrap_or(1)
    }
}

/// What helps against a file that cannot be written.
fn hint(file: &str, error: &io::Error) -> &'static str {
    let global = file.ends_with("nf_conntrack_max") || file.ends_with("hashsize");
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied if global => {
            "; set it on the host, run --init-only with more rights first, or leave the limit \
             alone by conntrack.maxPerCore: 0"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
            if file == ROUTE_LOCALNET =>
        {
            "; set it on the host, run --init-only with more rights first, or do without node ports on \
             127.0.0.1 by iptables.localhostNodePorts: false"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
            if file.starts_with("proc/sys") =>
        {
            "; set it on the host, run --init-only with more rights first, or leave it alone by \
             a value of 0 in conntrack"
        }
        _ => "",
    }
}

/// How many a list such as `0-3,8` holds.
fn count_cpus(list: &str) -> Option<i64> {
    let mut count = 0;
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (i64, i64) = (first.parse().ok()?, last.parse().ok()?);
        count += last - first + 1;
    }
    (count > 0).then_some(count)
}

#[cfg(test)]
mod tests;
