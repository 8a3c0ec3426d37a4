//! `kube-proxy top`: what each Service does on this node right now, from conntrack and the rules'
//! counters (docs/top.md).

mod answer;
mod observer;
mod options;
mod order;
mod refused;
mod run;
mod sample;
mod screen;
mod terminal;
mod units;
mod wanted;

#[cfg(test)]
pub use answer::Top;
pub use options::{Form, Options};
pub use order::Order;
pub use run::run;
pub use wanted::asked;

#[cfg(test)]
mod tests;
