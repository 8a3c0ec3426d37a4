//! Where objects come from: an API server or a directory of manifests. Both
//! send the same events.

pub mod convert;

mod client;
mod describe;
pub(crate) mod intern;
mod manifests;
pub mod objects;
mod told;
mod watch;

pub use client::{ClientOptions, client};
pub(crate) use describe::{describe, describe_status, one_message};
pub(crate) use manifests::UNUSED_KIND;
pub use manifests::{Manifests, Problem, Raw, raw_objects};
pub use watch::{list, watch};
#[cfg(feature = "fuzzing")]
pub(crate) use {client::fuzzing as kubeconfigs, manifests::read_text, watch::fuzzing as answers};
