//! A second model of Kubernetes' Services, written apart from the rules: what becomes of a packet, by
//! Services, EndpointSlices, the Node and settings alone. It knows nothing of plans, sets or chains, and
//! is as plain as it can be where the rules are quick.

mod endpoints;
mod frontends;
mod iptables;
mod judge;
mod world;

pub use judge::{Answer, Mode, Pin, Sticky, judge};
pub use world::World;
