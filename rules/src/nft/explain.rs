//! What a table holds of one Service, what it does with connections to it, and how two tables
//! differ in that: the planned one and the one that the kernel holds.
//!
//! [`excerpt`] reads what a connection to some frontends can meet and nothing else, from a table in memory
//! or, by [`Look`], from a kernel whose table may be large.

mod differences;
mod excerpt;
mod words;

pub use differences::differences;
pub use excerpt::{Asked, Excerpt, Look, excerpt, owner};
pub use words::{meaning, serving};

#[cfg(test)]
mod tests;
