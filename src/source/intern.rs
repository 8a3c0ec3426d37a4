//! One copy of each name that thousands of endpoints repeat.

use std::collections::HashSet;
use std::sync::Arc;

/// Shared strings. Forgets those that nobody holds any more when it grows.
#[derive(Debug, Default)]
pub struct Interner {
    known: HashSet<Arc<str>>,
    sweep_at: usize,
}

impl Interner {
    /// The shared copy of a name.
    pub fn get(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|name| Arc::strong_count(name) > 1);
            self.sweep_at = 2 * self.known.len().max(512);
        }
        let name: Arc<str> = name.into();
        self.known.insert(name.clone());
        name
    }
}
