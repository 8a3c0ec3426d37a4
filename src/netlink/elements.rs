//! Set elements, written straight into the batch: the hot path of a first sync.

use super::is_of;
use super::userdata::element_comment;
use rules::model::{Backend, Family, Frontend, Protocol};
use rules::ruleset::{Element, Key, SetId, TABLE, Value, Verdict};
use std::fmt::Write;
use std::net::IpAddr;

/// The list of elements is one attribute, whose length has 16 bits.
const LIST_MAX: usize = 60_000;

/// Attributes of linux/netfilter/nf_tables.h.
mod attribute {
    pub(super) const SET_ELEM_LIST_TABLE: i32 = 1;
    pub(super) const SET_ELEM_LIST_SET: i32 = 2;
    pub(super) const SET_ELEM_LIST_ELEMENTS: i32 = 3;
    pub(super) const LIST_ELEM: i32 = 1;
    pub(super) const SET_ELEM_KEY: i32 = 1;
    pub(super) const SET_ELEM_DATA: i32 = 2;
    pub(super) const SET_ELEM_KEY_END: i32 = 10;
    pub(super) const SET_ELEM_USERDATA: i32 = 6;
    pub(super) const DATA_VALUE: i32 = 1;
    pub(super) const DATA_VERDICT: i32 = 2;
    pub(super) const VERDICT_CODE: i32 = 1;
    pub(super) const VERDICT_CHAIN: i32 = 2;
}

/// What one message is about.
pub(super) struct Chunk {
    pub(super) family: Family,
    pub(super) set: SetId,
    pub(super) add: bool,
    pub(super) sequence: u32,
}

/// Appends one message with as many of `all` as fit; returns how many.
pub(super) fn encode(out: &mut Vec<u8>, chunk: &Chunk, all: &[Element]) -> usize {
    encode_until(out, chunk, all, LIST_MAX, &mut |_, _| {})
}

/// Which of a message's elements holds the byte at an offset of it.
pub(super) fn element_at(
    family: Family,
    set: SetId,
    elements: &[Element],
    add: bool,
    offset: usize,
) -> Option<usize> {
    let mut found = None;
    let chunk = Chunk {
        family,
        set,
        add,
        sequence: 0,
    };
    encode_until(
        &mut Vec::new(),
        &chunk,
        elements,
        LIST_MAX,
        &mut |at, start| {
            if start <= offset {
                found = Some(at);
            }
        },
    );
    found
}

fn encode_until(
    out: &mut Vec<u8>,
    chunk: &Chunk,
    all: &[Element],
    limit: usize,
    each: &mut dyn FnMut(usize, usize),
) -> usize {
    let message = out.len();
    header(out, chunk);
    string(out, attribute::SET_ELEM_LIST_TABLE, TABLE);
    string(out, attribute::SET_ELEM_LIST_SET, chunk.set.name());
    let list = open(out, attribute::SET_ELEM_LIST_ELEMENTS);
    let mut done = 0;
    for element in all {
        // Beyond one element's greatest size, so that none is cut.
        if out.len() - list > limit - 512 {
            break;
        }
        each(done, out.len() - message);
        encode_one(out, chunk, element);
        done += 1;
    }
    close(out, list);
    let length = u32::try_from(out.len() - message).unwrap_or(u32::MAX);
    out[message..message + 4].copy_from_slice(&length.to_ne_bytes());
    done
}

/// `struct nlmsghdr` and `struct nfgenmsg`; the length follows at the end.
fn header(out: &mut Vec<u8>, chunk: &Chunk) {
    let (message, create) = if chunk.add {
        // An element that is there already is an error: then the table is not
        // what we think it is.
        (
            libc::NFT_MSG_NEWSETELEM,
            libc::NLM_F_CREATE | libc::NLM_F_EXCL,
        )
    } else {
        (libc::NFT_MSG_DELSETELEM, 0)
    };
    let kind = (libc::NFNL_SUBSYS_NFTABLES << 8) | message;
    out.extend_from_slice(&0u32.to_ne_bytes());
    out.extend_from_slice(&narrow(kind).to_ne_bytes());
    out.extend_from_slice(&narrow(libc::NLM_F_REQUEST | create).to_ne_bytes());
    out.extend_from_slice(&chunk.sequence.to_ne_bytes());
    out.extend_from_slice(&0u32.to_ne_bytes());
    let family = match chunk.family {
        Family::V4 => libc::NFPROTO_IPV4,
        Family::V6 => libc::NFPROTO_IPV6,
    };
    out.extend_from_slice(&[narrow(family).to_ne_bytes()[0], 0, 0, 0]);
}

fn encode_one(out: &mut Vec<u8>, chunk: &Chunk, element: &Element) {
    debug_assert!(
        is_of(chunk.family, &element.key),
        "{element:?} in {:?}",
        chunk.family
    );
    let item = open(out, attribute::LIST_ELEM);
    let data = open(out, attribute::SET_ELEM_KEY);
    let value = begin(out, attribute::DATA_VALUE);
    key(out, &element.key);
    end(out, value);
    close(out, data);
    if let Key::Source(own, range) = &element.key {
        let data = open(out, attribute::SET_ELEM_KEY_END);
        let value = begin(out, attribute::DATA_VALUE);
        frontend(out, own);
        address(out, range.broadcast());
        end(out, value);
        close(out, data);
    }
    // A deletion goes by the key alone.
    if chunk.add {
        if let Some(value) = &element.value {
            let data = open(out, attribute::SET_ELEM_DATA);
            encode_value(out, value);
            close(out, data);
        }
        if let Some(comment) = &element.comment {
            let userdata = begin(out, attribute::SET_ELEM_USERDATA);
            element_comment(out, comment);
            end(out, userdata);
        }
    }
    close(out, item);
}

/// The fields of a key, each filled up to 32 bits.
fn key(out: &mut Vec<u8>, key: &Key) {
    match key {
        Key::Address(ip) => address(out, *ip),
        Key::Frontend(own) => frontend(out, own),
        Key::Indexed(own, index) => {
            frontend(out, own);
            // Numbers that rules compute are in host byte order.
            out.extend_from_slice(&index.to_ne_bytes());
        }
        Key::Source(own, range) => {
            frontend(out, own);
            address(out, range.network());
        }
        Key::Hairpin(backend, own) => {
            address(out, backend.address);
            address(out, backend.address);
            protocol(out, *own);
            port(out, backend.port);
        }
    }
}

fn frontend(out: &mut Vec<u8>, own: &Frontend) {
    if let Some(ip) = own.address {
        address(out, ip);
    }
    protocol(out, own.protocol);
    port(out, own.port);
}

fn address(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
}

fn protocol(out: &mut Vec<u8>, protocol: Protocol) {
    out.extend_from_slice(&[protocol.number(), 0, 0, 0]);
}

fn port(out: &mut Vec<u8>, port: u16) {
    let [high, low] = port.to_be_bytes();
    out.extend_from_slice(&[high, low, 0, 0]);
}

fn encode_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Backend(Backend {
            address: ip,
            port: number,
        }) => {
            let value = begin(out, attribute::DATA_VALUE);
            address(out, *ip);
            port(out, *number);
            end(out, value);
        }
        Value::Verdict(verdict) => {
            let (code, chain) = match verdict {
                Verdict::Drop => (libc::NF_DROP, None),
                Verdict::Goto(chain) => (libc::NFT_GOTO, Some(chain)),
                Verdict::Jump(chain) => (libc::NFT_JUMP, Some(chain)),
            };
            let data = open(out, attribute::DATA_VERDICT);
            let number = begin(out, attribute::VERDICT_CODE);
            out.extend_from_slice(&code.to_be_bytes());
            end(out, number);
            if let Some(chain) = chain {
                let name = begin(out, attribute::VERDICT_CHAIN);
                // Written in place, as there is one for each frontend.
                let _ = write!(Bytes(out), "{chain}\0");
                end(out, name);
            }
            close(out, data);
        }
    }
}

/// A byte vector as a sink for formatted text.
struct Bytes<'a>(&'a mut Vec<u8>);

impl Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn string(out: &mut Vec<u8>, kind: libc::c_int, text: &str) {
    let start = begin(out, kind);
    out.extend_from_slice(text.as_bytes());
    out.push(0);
    end(out, start);
}

/// Begins an attribute; returns where.
fn begin(out: &mut Vec<u8>, kind: libc::c_int) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&narrow(kind).to_ne_bytes());
    start
}

/// Begins an attribute that holds attributes.
fn open(out: &mut Vec<u8>, kind: libc::c_int) -> usize {
    begin(out, kind | libc::NLA_F_NESTED)
}

/// Writes the attribute's length and fills up to 32 bits.
fn end(out: &mut Vec<u8>, start: usize) {
    close(out, start);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The same for one whose contents are filled up already.
fn close(out: &mut [u8], start: usize) {
    let length = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    out[start..start + 2].copy_from_slice(&length.to_ne_bytes());
}

/// The kernel's constants are ints in libc, and 16 bits wide in messages.
fn narrow(value: libc::c_int) -> u16 {
    debug_assert!(
        (0..=0xffff).contains(&value),
        "{value} is no 16-bit constant"
    );
    (value & 0xffff) as u16
}
