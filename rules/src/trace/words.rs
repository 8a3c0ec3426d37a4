//! What a step is told by, whatever kind of rule it is of.

use super::Packet;

/// What was asked of a packet and was so, and what followed. `missed` is there if what it led to had
/// no rule that matched: what was not so there.
pub(crate) fn sentence(
    conditions: &[String],
    actions: &[String],
    missed: Option<&[String]>,
) -> String {
    let mut text = conditions.join(", ");
    if !actions.is_empty() {
        text = format!("{text} → {}", actions.join(", "));
    }
    if let Some(missed) = missed {
        let why = missed.join(", ");
        let why = if why.is_empty() {
            why
        } else {
            format!(" {why},")
        };
        text = format!("{text}, where{why} no rule matches");
    }
    text.trim_start().to_owned()
}

/// Whether the source is in a range.
pub(crate) fn inside(packet: &Packet, range: &str, is_inside: bool) -> String {
    let not = if is_inside { "" } else { "not " };
    format!("source {} is {not}in {range}", packet.source)
}

/// Whether it came in by an interface that is called so, or begins so.
pub(crate) fn interface(name: &str, wildcard: bool, is_it: bool) -> String {
    let not = if is_it { "" } else { "not " };
    let star = if wildcard { "*" } else { "" };
    format!("it came {not}in by {name}{star}")
}
