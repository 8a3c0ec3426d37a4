//! How much memory the kernel itself uses.

use anyhow::{Context, Result};

/// What the kernel holds for itself and cannot give back at will: objects and
/// hash tables of nf_tables among it, which no memory controller is charged for
/// as a whole.
#[derive(Clone, Copy, Debug)]
pub struct KernelMemory(i64);

impl KernelMemory {
    /// What it is now, of the whole machine: `SUnreclaim`, `VmallocUsed` and
    /// `Percpu` of `/proc/meminfo`.
    ///
    /// # Errors
    /// If `/proc/meminfo` cannot be read or lacks one of them.
    pub fn now() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
            let number = number.with_context(|| format!("no {name} in /proc/meminfo"))?;
            number
                .trim()
                .parse::<i64>()
                .with_context(|| format!("{name}: {number:?}"))
        };
        let all = kib("SUnreclaim:")? + kib("VmallocUsed:")? + kib("Percpu:")?;
        Ok(Self(all * 1024))
    }

    /// In bytes.
    pub fn bytes(self) -> i64 {
        self.0
    }
}
