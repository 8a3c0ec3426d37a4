//! `kube-proxy top`: what each Service does on this node right now, from conntrack and the rules'
//! counters (docs/top.md).

mod answer;
mod observer;
mod order;
mod refused;
mod run;
mod sample;
mod screen;
mod terminal;
mod units;

pub use order::{Order, asked};
pub use run::{Form, Options, run};

#[cfg(test)]
mod tests;
