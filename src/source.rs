//! Where objects come from: an API server or a directory of manifests. Both
//! send the same events.

pub mod convert;

mod client;
mod intern;
mod manifests;
pub mod objects;
mod watch;

pub use client::{ClientOptions, client};
pub use manifests::{Manifests, Problem};
pub use watch::watch;
