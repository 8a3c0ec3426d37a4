//! For fuzz targets: a datagram of the kernel through everything that reads one.

use super::attributes::{attributes, messages};
use super::batch::Batch;
use super::notifications::Decoder;
use super::refusal::refusal;
use super::{clients, conntrack, interfaces, leftovers, socket};
use rules::model::Family;
use rules::nft::ruleset::Transaction;

/// What is found in a datagram that is read as each kind of answer, shown. If it acknowledges
/// anything, it is this transaction, whose messages are numbered from 1.
pub fn datagram(bytes: &[u8], family: Family, sent: &Transaction) -> Vec<String> {
    /// `struct nfgenmsg`.
    const HEADER: usize = 4;
    let mut found = Vec::new();
    let mut replies = Vec::new();
    socket::parse(bytes, &mut replies);
    let errors: Vec<_> = replies.iter().filter(|reply| reply.errno != 0).collect();
    if !errors.is_empty() {
        let batch = Batch::new(sent, 0, None);
        found.push(refusal(sent, &batch, &errors).to_string());
    }
    let mut decoder = Decoder::new(0);
    decoder.read(bytes);
    let notices = decoder.take_notices();
    found.extend(notices.iter().map(|notice| format!("{notice:?}")));
    for message in messages(bytes) {
        let body = message.payload.get(HEADER..).unwrap_or_default();
        found.extend(conntrack::deletion(message, family).map(|own| format!("{own:?}")));
        found.extend(interfaces::address(message.payload).map(|own| own.to_string()));
        found.extend(leftovers::chain(body).map(|own| format!("{own:?}")));
        found.extend(leftovers::rule(body).map(|own| format!("{own:?}")));
        let lists = attributes(body).flat_map(|(_, list)| attributes(list));
        let clients = lists.filter_map(|(_, element)| clients::client(element));
        found.extend(clients.map(|own| format!("{own:?}")));
    }
    found
}
