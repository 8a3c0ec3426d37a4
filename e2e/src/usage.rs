//! What memory and CPU time a process and the kernel use.

use anyhow::{Context, Result};
use procfs::process::{Process, Stat, Status};
use procfs::{Current, Meminfo};

/// What the kernel holds for itself and cannot give back at will: objects and
/// hash tables of nf_tables among it, which no memory controller is charged for
/// as a whole.
#[derive(Clone, Copy, Debug)]
pub struct KernelMemory(u64);

impl KernelMemory {
    /// What it is now, of the whole machine: `SUnreclaim`, `VmallocUsed` and
    /// `Percpu` of `/proc/meminfo`.
    ///
    /// # Errors
    /// If `/proc/meminfo` cannot be read or lacks one of them.
    pub fn now() -> Result<Self> {
        let info = Meminfo::current().context("/proc/meminfo")?;
        let slab = info.s_unreclaim.context("no SUnreclaim in /proc/meminfo")?;
        let per_cpu = info.per_cpu.context("no Percpu in /proc/meminfo")?;
        Ok(Self(slab + per_cpu + info.vmalloc_used))
    }

    /// In bytes.
    pub fn bytes(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// How much more it is than at `earlier`, in MB of 1,000,000 bytes.
    pub fn mb_since(self, earlier: Self) -> f64 {
        (self.bytes() - earlier.bytes()) as f64 / 1e6
    }
}

/// The most memory that a process has had resident (`VmHWM`), in MB of 1,000,000 bytes.
///
/// # Errors
/// If it has ended.
pub fn peak_mb(pid: i32) -> Result<f64> {
    mb(status(pid)?.vmhwm)
}

/// What a process has resident now (`VmRSS`), in MB of 1,000,000 bytes.
///
/// # Errors
/// If it has ended.
pub fn resident_mb(pid: i32) -> Result<f64> {
    mb(status(pid)?.vmrss)
}

/// CPU seconds of a process and of those children that it has waited for, with the time that the
/// kernel worked for them.
///
/// # Errors
/// If it has ended.
pub fn cpu_seconds(pid: i32) -> Result<f64> {
    let stat: Stat = Process::new(pid)?.stat()?;
    let children = u64::try_from(stat.cutime + stat.cstime)?;
    Ok((stat.utime + stat.stime + children) as f64 / procfs::ticks_per_second() as f64)
}

fn status(pid: i32) -> Result<Status> {
    let process = Process::new(pid)?;
    process
        .status()
        .with_context(|| format!("status of process {pid}"))
}

fn mb(kib: Option<u64>) -> Result<f64> {
    let kib = kib.context("it has no memory of its own")?;
    Ok(kib as f64 * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_time() {
        let pid = i32::try_from(std::process::id()).expect("a process id");
        let (now, peak) = (resident_mb(pid).expect("now"), peak_mb(pid).expect("peak"));
        // The kernel counts per thread and adds up now and then.
        assert!(now > 0.1 && peak > 0.9 * now, "{now} {peak}");
        assert!(cpu_seconds(pid).expect("time") >= 0.0);
        assert!(KernelMemory::now().expect("kernel").bytes() > 0);
    }
}
