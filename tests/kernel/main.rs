//! The product's netlink module against the kernel: what it makes is what the
//! printer shows, and what the kernel refuses the table in memory refuses too.
//!
//! Each test has a network namespace of its own, and fails where it cannot.

#[path = "../../rules/tests/build/mod.rs"]
#[expect(
    dead_code,
    reason = "only the objects are of use here, not the golden cluster"
)]
mod build;
mod chains;
mod corpus;
mod cost;
mod dump;
mod histories;
mod jumps;
mod listing;
mod read;
mod refusals;
mod small;
mod sources;
mod states;
mod table;
mod text;
mod written;
