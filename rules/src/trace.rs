//! What becomes of a packet, told alike whatever kind of rules it meets: packets, the hooks that they
//! pass, and the ways that a trace comes to. Who holds rules walks them: `nft::trace` a table of nftables,
//! `iptables::trace` chains of iptables.

mod choices;
mod flight;
mod packet;
mod serialize;
mod show;
mod ways;
mod words;

pub(crate) use choices::Choices;
pub(crate) use flight::{Flight, Hooks, fly};
pub use packet::{End, Ends, Follow, HookPoint, Origin, Packet};
pub(crate) use show::write_paths;
pub use ways::{Decision, Fate, Share, Way};
pub(crate) use ways::{Walked, undecided, ways};
pub(crate) use words::{inside, interface, sentence};
