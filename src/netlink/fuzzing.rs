//! For fuzz targets: a datagram of the kernel through everything that reads one.

use super::batch::Batch;
use super::notifications::{Decoder, Ours};
use super::refusal::refusal;
use super::{clients, conntrack, dump, interfaces, iptables, leftovers, others};
use nft_wire::nf_tables::{Element, HEADER};
use nft_wire::{messages, parse_replies};
use rules::model::Family;
use rules::nft::ruleset::Transaction;

/// What is found in a datagram that is read as each kind of answer, shown. If it acknowledges
/// anything, it is this transaction, whose messages are numbered from 1.
pub fn datagram(bytes: &[u8], family: Family, sent: &Transaction) -> Vec<String> {
    let mut found = Vec::new();
    let mut replies = Vec::new();
    parse_replies(bytes, &mut replies);
    let errors: Vec<_> = replies.iter().filter(|reply| reply.errno != 0).collect();
    if !errors.is_empty() {
        let batch = Batch::new(sent, 0, None);
        found.push(refusal(sent, &batch, &errors).to_string());
    }
    for ours in [Ours::Table, Ours::Chains] {
        let mut decoder = Decoder::new(ours, 0);
        decoder.read(bytes);
        let doubts = decoder.take_doubts().map(|doubt| format!("{doubt:?}"));
        found.extend(doubts);
        let notices = decoder.take_notices();
        found.extend(notices.iter().map(|notice| format!("{notice:?}")));
    }
    for message in messages(bytes) {
        let body = message.body(HEADER);
        found.extend(conntrack::deletion(message, family).map(|found| format!("{found:?}")));
        found.extend(conntrack::shown(message));
        found.extend(interfaces::address(message.payload).map(|address| address.to_string()));
        found.extend(leftovers::chain(body).map(|found| format!("{found:?}")));
        found.extend(leftovers::rule(body).map(|found| format!("{found:?}")));
        found.extend(dump::shown(body, family));
        found.extend(others::shown(body));
        found.extend(iptables::shown(body, family));
        let clients = Element::list(body).filter_map(|element| clients::client(&element));
        found.extend(clients.map(|found| format!("{found:?}")));
    }
    found
}
