//! Waiting for something to come true.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Tries `check` until it is `Ok(())`, every 50 ms.
///
/// # Errors
/// After `limit`, with what was awaited and the last attempt's reason.
pub fn until(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> Result<()>,
) -> Result<Duration> {
    let start = Instant::now();
    loop {
        match check() {
            Ok(()) => return Ok(start.elapsed()),
            Err(reason) if start.elapsed() >= limit => {
                bail!("{what}: not within {:.0?}: {reason:#}", limit)
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
