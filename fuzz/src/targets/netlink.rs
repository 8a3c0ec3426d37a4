//! What the kernel answers: acknowledgements, lists, notifications. Whatever it is, it is read to
//! its end, and what is said of it is no longer than it.

use crate::table::first_plan;
use kube_proxy::fuzzing::datagram;
use rules::model::Family;
use rules::nft::ruleset::Transaction;
use std::sync::OnceLock;

/// More than the names in a sentence around what was received.
const SENTENCE: usize = 1024;

/// The first byte chooses the family.
pub(crate) fn run(data: &[u8]) {
    static SENT: OnceLock<[Transaction; 2]> = OnceLock::new();
    let [how, bytes @ ..] = data else {
        return;
    };
    let at = usize::from(how & 1);
    let sent = SENT.get_or_init(|| Family::ALL.map(first_plan));
    let found = datagram(bytes, Family::ALL[at], &sent[at]);
    // Nothing that is found takes less than the header of an attribute.
    assert!(found.len() <= bytes.len() / 4 + 1, "{found:?}");
    for text in found {
        assert!(text.len() <= 8 * bytes.len() + SENTENCE, "{text}");
    }
}
