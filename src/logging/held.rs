//! Standard error, whose lines are held back while something draws on the terminal.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// No more than that is held, the last of it.
const LIMIT: usize = 64 << 10;

static HELD: Mutex<Option<Vec<u8>>> = Mutex::new(None);

/// What the log is written to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_mut() {
            None => io::stderr().write_all(line)?,
            Some(held) => {
                held.extend_from_slice(line);
                let much = held.len().saturating_sub(LIMIT);
                held.drain(..much);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// While it is there, the log is held back; what was held is written when it goes.
#[derive(Debug)]
pub struct Hold(());

/// Holds the log back from now on.
pub fn hold() -> Hold {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.get_or_insert_default();
    Hold(())
}

impl Hold {
    /// The last line that is held, without colours.
    pub fn last_line(&self) -> Option<String> {
        let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(held.as_deref()?);
        let line = text.lines().last()?;
        Some(anstream::adapter::strip_str(line).to_string())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.take() {
            // Nobody is left to be told of a failure.
            let _ = io::stderr().write_all(&held);
        }
    }
}
