//! Elements of sets and maps back into keys and values.

use super::known::Names;
use super::statement::{protocol, verdict};
use crate::netlink::userdata;
use nft_wire::ip;
use nft_wire::nf_tables::{self, Data};
use rules::model::{EndpointAddr, Family, Frontend, Protocol};
use rules::nft::ruleset::{Element, Key, KeyField, SetId, Value};
use std::net::IpAddr;

/// The element of a set; `None` if it is none of ours.
pub(super) fn element(
    names: &Names,
    set: SetId,
    found: &nf_tables::Element<'_>,
) -> Option<Element> {
    let plain = found.flags == 0 && found.timeout.is_none();
    let key = key(names.family, set, found.key).filter(|_| plain)?;
    let value = match (set.data(), &found.data) {
        (None, None) => None,
        (Some(_), Some(data)) => Some(value(names, data)?),
        _ => return None,
    };
    let comment = userdata::comment_of(found.user_data);
    Some(Element {
        key,
        value,
        comment: comment.map(Into::into),
    })
}

/// What a key has, field by field.
#[derive(Default)]
struct Fields {
    addresses: Vec<IpAddr>,
    protocol: Option<Protocol>,
    port: Option<u16>,
    index: Option<u32>,
}

/// The key of a set's element.
pub(super) fn key(family: Family, set: SetId, bytes: &[u8]) -> Option<Key> {
    let mut rest = bytes;
    let mut fields = Fields::default();
    for field in set.key() {
        match field {
            KeyField::Address => fields.addresses.push(address(family, &mut rest)?),
            KeyField::Protocol => match word(&mut rest)? {
                [number, 0, 0, 0] => fields.protocol = Some(protocol(number)?),
                _ => return None,
            },
            KeyField::Port => fields.port = Some(port(&mut rest)?),
            // Numbers that rules compute are in host byte order.
            KeyField::Index => fields.index = Some(u32::from_ne_bytes(word(&mut rest)?)),
        }
    }
    if !rest.is_empty() {
        return None;
    }
    let Fields {
        addresses,
        protocol,
        port,
        index,
    } = fields;
    let frontend = |address| {
        Some(Frontend {
            address,
            protocol: protocol?,
            port: port?,
        })
    };
    match (&*addresses, index) {
        ([], Some(index)) if protocol.is_none() => Some(Key::Listed(index)),
        ([address], None) if protocol.is_none() => Some(Key::Address(*address)),
        ([one, other], None) => {
            let (address, port) = (*one, port?);
            (one == other).then_some(Key::Hairpin(EndpointAddr { address, port }, protocol?))
        }
        (addresses, index) => {
            let frontend = frontend(addresses.first().copied())?;
            Some(match index {
                Some(index) => Key::Indexed(frontend, index),
                None => Key::Frontend(frontend),
            })
        }
    }
}

/// The value of a map's element, of either kind.
pub(super) fn value(names: &Names, data: &Data) -> Option<Value> {
    let Data::Value(bytes) = data else {
        return verdict(names, data).map(Value::Verdict);
    };
    let mut rest = &bytes[..];
    let backend = EndpointAddr {
        address: address(names.family, &mut rest)?,
        port: port(&mut rest)?,
    };
    rest.is_empty().then_some(Value::Endpoint(backend))
}

fn word(rest: &mut &[u8]) -> Option<[u8; 4]> {
    let (word, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*word)
}

fn port(rest: &mut &[u8]) -> Option<u16> {
    match word(rest)? {
        [high, low, 0, 0] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

fn address(family: Family, rest: &mut &[u8]) -> Option<IpAddr> {
    let (address, behind) = rest.split_at_checked(family.address_len())?;
    *rest = behind;
    ip(address)
}
