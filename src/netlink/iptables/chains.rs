//! The chains that are there, by name.

use crate::netlink::subsystem::protocol_family;
use nft_wire::nf_tables::{self, nfta};
use nft_wire::{Listing, Socket, text_of};
use rules::iptables::Object;
use rules::iptables::names::ChainName;
use rules::iptables::rule::Table;
use rules::model::Family;
use std::collections::BTreeSet;
use std::io;

/// How often they are listed, if others change the ruleset meanwhile. What is missed then is found
/// the next time.
const ATTEMPTS: usize = 3;

/// The chains of Services that the family's tables have.
pub(super) fn of_services(socket: &mut Socket, family: Family) -> io::Result<BTreeSet<Object>> {
    let mut found = BTreeSet::new();
    for _ in 0..ATTEMPTS {
        let kind = nf_tables::message_kind(libc::NFT_MSG_GETCHAIN);
        let header = |out: &mut nft_wire::Writer| {
            nf_tables::header(out, protocol_family(family));
        };
        found.clear();
        let listing = socket.list(kind, header, |message| {
            let object = read(message.body(nf_tables::HEADER));
            found.extend(object.filter(|own| own.chain.is_of_service()));
        })?;
        if listing == Listing::Whole {
            break;
        }
    }
    Ok(found)
}

fn read(body: &[u8]) -> Option<Object> {
    let table = text_of(body, nfta::CHAIN_TABLE)?;
    let table = [Table::Filter, Table::Nat]
        .into_iter()
        .find(|own| own.name() == table)?;
    let chain = ChainName::read(&text_of(body, nfta::CHAIN_NAME)?)?;
    Some(Object { table, chain })
}
