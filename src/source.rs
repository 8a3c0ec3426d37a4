//! Where objects come from: an API server or a directory of manifests. Both
//! send the same events.

pub mod convert;

mod client;
mod describe;
mod intern;
mod manifests;
pub mod objects;
mod watch;

pub use client::{ClientOptions, client};
pub(crate) use describe::{describe, describe_status};
#[cfg(feature = "fuzzing")]
pub(crate) use manifests::read_text;
pub use manifests::{Manifests, Problem};
pub use watch::watch;
