//! Session affinity's sets in the present table: listing who is in them, and
//! putting clients into new ones.

use super::subsystem::{protocol_family, table_message};
use nft_wire::nf_tables::{self, Element, nfta};
use nft_wire::{Socket, Writer, ip, text_of};
use rules::RememberedClients;
use rules::model::Family;
use rules::nft::ruleset::{AffinitySet, Client, TABLE};
use std::io;
use std::net::IpAddr;

/// Some 60 bytes each, so that a message's list stays under 64 KiB.
pub(super) const CLIENTS_PER_MESSAGE: usize = 1000;

/// The clients in sets whose names begin with `affinity-`, those that are
/// remembered the longest; none without a table. One set's clients are held at a
/// time, of which there are 65,535 at the most ([`AffinitySet::SIZE`]).
pub(super) fn list(socket: &mut Socket, family: Family) -> io::Result<RememberedClients> {
    let names = dump(socket, family, libc::NFT_MSG_GETSET, None, |body, names| {
        let name = text_of(body, nfta::SET_NAME);
        names.extend(name.filter(|name| name.starts_with("affinity-")));
    })?;
    let mut clients = RememberedClients::default();
    for set in names {
        let get = libc::NFT_MSG_GETSETELEM;
        let found = dump(socket, family, get, Some(&set), |body, found| {
            found.extend(Element::list(body).filter_map(|element| client(&element)));
        })?;
        clients.add_set(&set, found);
    }
    Ok(clients)
}

/// Lists what a request asks for; of an object that is not there, nothing.
fn dump<T>(
    socket: &mut Socket,
    family: Family,
    kind: libc::c_int,
    set: Option<&str>,
    mut read: impl FnMut(&[u8], &mut Vec<T>),
) -> io::Result<Vec<T>> {
    let found = socket.list_whole(
        nf_tables::message_kind(kind),
        |out| {
            nf_tables::header(out, protocol_family(family));
            out.text(nfta::SET_TABLE, TABLE);
            if let Some(set) = set {
                out.text(nfta::SET_NAME, set);
            }
        },
        |message, found| read(message.body(nf_tables::HEADER), found),
    );
    match found {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Vec::new()),
        found => found,
    }
}

/// An element's address, and for how long it will be there, in milliseconds.
pub(super) fn client(element: &Element<'_>) -> Option<(IpAddr, u64)> {
    Some((ip(element.key)?, element.expiration?))
}

/// Appends a message that adds clients, [`CLIENTS_PER_MESSAGE`] at the most.
pub(super) fn add(
    out: &mut Writer,
    sequence: u32,
    family: Family,
    set: &AffinitySet,
    clients: &[Client],
) {
    let flags = libc::NLM_F_CREATE;
    let kind = libc::NFT_MSG_NEWSETELEM;
    table_message(out, family, kind, flags, sequence, |out| {
        Element::write_names(out, TABLE, &set.to_string());
        out.nested(nfta::SET_ELEM_LIST_ELEMENTS, |out| {
            for client in clients {
                out.nested(nfta::LIST_ELEM, |out| element(out, client));
            }
        });
    });
}

fn element(out: &mut Writer, client: &Client) {
    out.nested(nfta::SET_ELEM_KEY, |out| match client.address {
        IpAddr::V4(ip) => out.attribute(nfta::DATA_VALUE, &ip.octets()),
        IpAddr::V6(ip) => out.attribute(nfta::DATA_VALUE, &ip.octets()),
    });
    out.long(nfta::SET_ELEM_TIMEOUT, client.timeout);
    out.long(nfta::SET_ELEM_EXPIRATION, client.remaining);
}
