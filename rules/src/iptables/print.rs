//! Rules as text: what `iptables-restore` takes, in the words in which upstream writes it, and what
//! `iptables-save` tells of them.

mod restore;
mod saved;

pub use restore::{change, restore, setup};
pub use saved::{saved, saved_rule};

use super::rule::{Is, State};

fn not(is: Is) -> &'static str {
    match is {
        Is::So => "",
        Is::Not => "! ",
    }
}

fn states(states: &[State]) -> String {
    let words = states.iter().map(|state| match state {
        State::Invalid => "INVALID",
        State::New => "NEW",
        State::Established => "ESTABLISHED",
        State::Related => "RELATED",
        State::Dnat => "DNAT",
    });
    words.collect::<Vec<_>>().join(",")
}
