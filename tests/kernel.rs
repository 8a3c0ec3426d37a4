//! The product's netlink module against the kernel: what it makes is what the
//! printer shows, and what the kernel refuses the table in memory refuses too.
//!
//! Each test has a network namespace of its own, and fails where it cannot.

#[path = "../rules/tests/build/mod.rs"]
#[expect(
    dead_code,
    reason = "only the objects are of use here, not the golden cluster"
)]
mod build;
#[path = "kernel/corpus.rs"]
mod corpus;
#[path = "kernel/cost.rs"]
mod cost;
#[path = "kernel/histories.rs"]
mod histories;
#[path = "kernel/listing.rs"]
mod listing;
#[path = "kernel/refusals.rs"]
mod refusals;
#[path = "kernel/small.rs"]
mod small;
#[path = "kernel/sources.rs"]
mod sources;
#[path = "kernel/table.rs"]
mod table;
#[path = "kernel/text.rs"]
mod text;
