//! `kube-proxy advise`: what the two external traffic policies cost a Service, now and after.
//!
//! What follows from the objects is decided in [`rules::advise`]; here they are looked up, and what
//! was decided is put into words, YAML and a picture.

pub(crate) mod advice;
pub(crate) mod all;
mod connections;
mod look;
mod manifests;
mod nodes;
mod page;
mod patch;
mod picture;
mod remedies;
mod words;
mod workload;

pub use look::{Question, all, one};
pub use patch::patch;

#[cfg(test)]
mod tests;
