//! One direction of a flow (`CTA_TUPLE_*`).

use super::kernel;
use nft_wire::{attributes, ip};
use rules::model::EndpointAddr;

/// Which end of a tuple is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

/// One end of a tuple, of either family, with the IANA number of the protocol; `None` if it has
/// no ports, or is of a zone of its own: the rules know only the default one, the others are other
/// programs' business.
pub(super) fn end(tuple: &[u8], end: End) -> Option<(u8, EndpointAddr)> {
    let (v4, v6, wanted_port) = match end {
        End::Source => (kernel::IP_V4_SRC, kernel::IP_V6_SRC, kernel::PROTO_SRC_PORT),
        End::Destination => (kernel::IP_V4_DST, kernel::IP_V6_DST, kernel::PROTO_DST_PORT),
    };
    let (mut address, mut protocol, mut port) = (None, None, None);
    for (kind, value) in attributes(tuple) {
        match kind {
            kernel::TUPLE_IP => {
                let wanted = |kind| kind == v4 || kind == v6;
                address = attributes(value).find_map(|(kind, value)| match wanted(kind) {
                    true => ip(value),
                    false => None,
                });
            }
            kernel::TUPLE_PROTO => {
                for (kind, value) in attributes(value) {
                    if kind == kernel::PROTO_NUM {
                        protocol = value.first().copied();
                    } else if kind == wanted_port {
                        port = Some(u16::from_be_bytes(value.try_into().ok()?));
                    }
                }
            }
            kernel::TUPLE_ZONE => return None,
            _ => {}
        }
    }
    let end = EndpointAddr {
        address: address?,
        port: port?,
    };
    Some((protocol?, end))
}
