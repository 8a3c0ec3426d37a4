//! What else is on a node that has to do with its packets: chains of others on the hooks that
//! Services' packets pass, whose they are, and what is wrong with that.

mod chain;
mod drops;
mod fate;
mod hook;
mod owner;

pub use chain::ForeignChain;
pub use drops::foreign_drops;
pub use fate::{DropKind, DroppingRule, Fate, RuleDigest, Rules, Step, fate};
pub use hook::{ChainFamily, Hook, Sees};
pub use owner::{Kind, Owner, OwnerCensus, is_of_a_service, is_proxy_chain, is_proxy_entry};
