//! Session affinity's sets in the present table: listing who is in them, and
//! putting clients into new ones (`linux/netfilter/nf_tables.h`).

use super::attributes::{attribute, attributes, messages, nested, read_text, text, u32_at};
use super::socket::Socket;
use super::subsystem::table_message;
use rules::model::Family;
use rules::nft::RememberedClients;
use rules::nft::ruleset::{AffinitySet, Client, TABLE};
use std::io;
use std::net::IpAddr;

/// Larger than the datagrams of a list, which are 32 KiB at most.
const BUFFER: usize = 64 << 10;
/// Some 60 bytes each, so that a message's list stays under 64 KiB.
pub(super) const CLIENTS_PER_MESSAGE: usize = 1000;
/// Listing is tried again so often if the ruleset changed meanwhile.
const ATTEMPTS: u32 = 5;

mod kernel {
    pub(super) const SET_TABLE: u16 = 1;
    pub(super) const SET_NAME: u16 = 2;
    pub(super) const ELEMENTS_TABLE: u16 = 1;
    pub(super) const ELEMENTS_SET: u16 = 2;
    pub(super) const ELEMENTS: u16 = 3;
    pub(super) const LIST_ELEMENT: u16 = 1;
    pub(super) const ELEMENT_KEY: u16 = 1;
    pub(super) const ELEMENT_TIMEOUT: u16 = 4;
    pub(super) const ELEMENT_EXPIRATION: u16 = 5;
    pub(super) const DATA_VALUE: u16 = 1;
}

/// The clients in sets whose names begin with `affinity-`, those that are
/// remembered the longest; none without a table. One set's clients are held at a
/// time, of which there are 65,535 at the most ([`AffinitySet::SIZE`]).
pub(super) fn list(socket: &mut Socket, family: Family) -> io::Result<RememberedClients> {
    let names = dump(
        socket,
        family,
        libc::NFT_MSG_GETSET,
        None,
        |payload, names| {
            let name = attributes(payload).find(|(kind, _)| *kind == kernel::SET_NAME);
            let name = name.and_then(|(_, name)| read_text(name));
            names.extend(name.filter(|name| name.starts_with("affinity-")));
        },
    )?;
    let mut clients = RememberedClients::default();
    for set in names {
        let get = libc::NFT_MSG_GETSETELEM;
        let own = dump(socket, family, get, Some(&set), |payload, found| {
            let list = attributes(payload).filter(|(kind, _)| *kind == kernel::ELEMENTS);
            let elements = list.flat_map(|(_, list)| attributes(list));
            found.extend(elements.filter_map(|(_, element)| client(element)));
        })?;
        clients.add_set(&set, own);
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
    for sequence in 1..=ATTEMPTS {
        // Whatever an attempt that failed has left over.
        socket.replies()?;
        let mut request = Vec::new();
        let flags = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;
        table_message(&mut request, family, kind, flags, sequence, |out| {
            text(out, kernel::SET_TABLE, TABLE);
            if let Some(set) = set {
                text(out, kernel::SET_NAME, set);
            }
        });
        socket.send(&request)?;
        let mut found = Vec::new();
        if read_list(socket, sequence, &mut |payload| read(payload, &mut found))? {
            return Ok(found);
        }
    }
    Err(io::Error::from_raw_os_error(libc::EINTR))
}

/// Reads a list to its end; false if it changed meanwhile.
pub(super) fn read_list(
    socket: &Socket,
    sequence: u32,
    read: &mut dyn FnMut(&[u8]),
) -> io::Result<bool> {
    /// `struct nfgenmsg`.
    const HEADER: usize = 4;
    let mut buffer = vec![0; BUFFER];
    let mut whole = true;
    loop {
        let length = socket.receive(&mut buffer)?;
        for message in messages(&buffer[..length]) {
            if message.sequence != sequence {
                continue;
            }
            whole &= i32::from(message.flags) & libc::NLM_F_DUMP_INTR == 0;
            match i32::from(message.kind) {
                libc::NLMSG_DONE | libc::NLMSG_ERROR => {
                    let code = u32_at(message.payload, 0).unwrap_or(0);
                    return match code.cast_signed().wrapping_neg() {
                        0 | libc::ENOENT => Ok(whole),
                        libc::EINTR => Ok(false),
                        errno => Err(io::Error::from_raw_os_error(errno)),
                    };
                }
                _ => read(message.payload.get(HEADER..).unwrap_or_default()),
            }
        }
    }
}

/// An element's address, and for how long it will be there, in milliseconds.
pub(super) fn client(element: &[u8]) -> Option<(IpAddr, u64)> {
    let (mut address, mut remaining) = (None, None);
    for (kind, value) in attributes(element) {
        match kind {
            kernel::ELEMENT_KEY => {
                let (_, bytes) = attributes(value).next()?;
                let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
                address = v4
                    .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
                    .ok();
            }
            kernel::ELEMENT_EXPIRATION => {
                remaining = value.try_into().map(u64::from_be_bytes).ok();
            }
            _ => {}
        }
    }
    Some((address?, remaining?))
}

/// Appends a message that adds clients, [`CLIENTS_PER_MESSAGE`] at the most.
pub(super) fn add(
    out: &mut Vec<u8>,
    sequence: u32,
    family: Family,
    set: &AffinitySet,
    clients: &[Client],
) {
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_CREATE;
    let kind = libc::NFT_MSG_NEWSETELEM;
    table_message(out, family, kind, flags, sequence, |out| {
        text(out, kernel::ELEMENTS_TABLE, TABLE);
        text(out, kernel::ELEMENTS_SET, &set.to_string());
        nested(out, kernel::ELEMENTS, |out| {
            for client in clients {
                nested(out, kernel::LIST_ELEMENT, |out| element(out, client));
            }
        });
    });
}

fn element(out: &mut Vec<u8>, client: &Client) {
    nested(out, kernel::ELEMENT_KEY, |out| match client.address {
        IpAddr::V4(ip) => attribute(out, kernel::DATA_VALUE, &ip.octets()),
        IpAddr::V6(ip) => attribute(out, kernel::DATA_VALUE, &ip.octets()),
    });
    let number = |value: u64| value.to_be_bytes();
    attribute(out, kernel::ELEMENT_TIMEOUT, &number(client.timeout));
    attribute(out, kernel::ELEMENT_EXPIRATION, &number(client.remaining));
}
