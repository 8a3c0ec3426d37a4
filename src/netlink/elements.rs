//! Set elements, written straight into the batch: the hot path of a first sync.

use super::attributes::{
    ATTRIBUTE_HEADER, attribute, end_attribute, end_message, nested, text, write_attribute,
};
use super::is_of;
use super::subsystem::table_message;
use super::userdata::element_comment;
use rules::model::{Family, Frontend, Protocol};
use rules::ruleset::{Element, Key, SetId, TABLE, Value, Verdict};
use std::borrow::Cow;
use std::fmt::Write;
use std::net::IpAddr;

/// The list of elements is one attribute, whose length has 16 bits.
const LIST_MAX: usize = 60_000;

/// More than an element with the longest comment takes.
const ELEMENT_MAX: usize = 512;

/// Attributes of `linux/netfilter/nf_tables.h`.
mod kernel {
    pub(super) const LIST_TABLE: u16 = 1;
    pub(super) const LIST_SET: u16 = 2;
    pub(super) const LIST_ELEMENTS: u16 = 3;
    pub(super) const LIST_ELEMENT: u16 = 1;
    pub(super) const ELEMENT_KEY: u16 = 1;
    pub(super) const ELEMENT_DATA: u16 = 2;
    pub(super) const ELEMENT_USERDATA: u16 = 6;
    pub(super) const ELEMENT_KEY_END: u16 = 10;
    pub(super) const DATA_VALUE: u16 = 1;
    pub(super) const DATA_VERDICT: u16 = 2;
    pub(super) const VERDICT_CODE: u16 = 1;
    pub(super) const VERDICT_CHAIN: u16 = 2;
}

/// What one message is about.
pub(super) struct Chunk {
    pub(super) family: Family,
    pub(super) set: SetId,
    pub(super) add: bool,
    pub(super) sequence: u32,
}

/// A message that takes elements until it is full.
pub(super) struct List {
    chunk: Chunk,
    message: usize,
    list: usize,
}

impl List {
    /// Begins a message at the end of `out`.
    pub(super) fn begin(out: &mut Vec<u8>, chunk: Chunk) -> Self {
        let message = out.len();
        empty_message(out, &chunk);
        Self {
            chunk,
            message,
            list: out.len() - ATTRIBUTE_HEADER,
        }
    }

    /// Whether another element might be one too many.
    pub(super) fn is_full(&self, out: &[u8]) -> bool {
        out.len() - self.list > LIST_MAX - ELEMENT_MAX
    }

    pub(super) fn add(&self, out: &mut Vec<u8>, element: &Element) {
        nested(out, kernel::LIST_ELEMENT, |out| {
            encode_one(out, &self.chunk, element);
        });
    }

    /// Ends the message at the end of `out`.
    pub(super) fn end(self, out: &mut [u8]) {
        end_attribute(out, self.list);
        end_message(out, self.message);
    }
}

/// Which of a message's elements holds the byte at an offset of it.
pub(super) fn element_at(
    chunk: Chunk,
    elements: &[Cow<'_, Element>],
    offset: usize,
) -> Option<usize> {
    let mut out = Vec::new();
    let list = List::begin(&mut out, chunk);
    elements.iter().position(|element| {
        list.add(&mut out, element);
        offset < out.len()
    })
}

/// A message whose last attribute is a list without elements.
fn empty_message(out: &mut Vec<u8>, chunk: &Chunk) {
    let (kind, flags) = if chunk.add {
        // An element that is there already is an error: then the table is not
        // what we think it is.
        (
            libc::NFT_MSG_NEWSETELEM,
            libc::NLM_F_CREATE | libc::NLM_F_EXCL,
        )
    } else {
        (libc::NFT_MSG_DELSETELEM, 0)
    };
    table_message(out, chunk.family, kind, flags, chunk.sequence, |out| {
        text(out, kernel::LIST_TABLE, TABLE);
        text(out, kernel::LIST_SET, chunk.set.name());
        nested(out, kernel::LIST_ELEMENTS, |_| {});
    });
}

fn encode_one(out: &mut Vec<u8>, chunk: &Chunk, element: &Element) {
    debug_assert!(
        is_of(chunk.family, &element.key),
        "{element:?} in {:?}",
        chunk.family
    );
    data(out, kernel::ELEMENT_KEY, |out| key(out, &element.key));
    if let Key::Source(own, range) = &element.key {
        data(out, kernel::ELEMENT_KEY_END, |out| {
            frontend(out, own);
            address(out, range.broadcast());
        });
    }
    // A deletion goes by the key alone.
    if chunk.add {
        if let Some(value) = &element.value {
            encode_value(out, value);
        }
        if let Some(comment) = &element.comment {
            write_attribute(out, kernel::ELEMENT_USERDATA, |out| {
                element_comment(out, comment);
            });
        }
    }
}

/// An attribute with a value of some fields.
fn data(out: &mut Vec<u8>, kind: u16, fields: impl FnOnce(&mut Vec<u8>)) {
    nested(out, kind, |out| {
        write_attribute(out, kernel::DATA_VALUE, fields);
    });
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
        Value::Backend(backend) => data(out, kernel::ELEMENT_DATA, |out| {
            address(out, backend.address);
            port(out, backend.port);
        }),
        Value::Verdict(verdict) => nested(out, kernel::ELEMENT_DATA, |out| {
            nested(out, kernel::DATA_VERDICT, |out| {
                encode_verdict(out, verdict);
            });
        }),
    }
}

fn encode_verdict(out: &mut Vec<u8>, verdict: &Verdict) {
    let (code, chain) = match verdict {
        Verdict::Drop => (libc::NF_DROP, None),
        Verdict::Goto(chain) => (libc::NFT_GOTO, Some(chain)),
        Verdict::Jump(chain) => (libc::NFT_JUMP, Some(chain)),
    };
    attribute(out, kernel::VERDICT_CODE, &code.to_be_bytes());
    if let Some(chain) = chain {
        write_attribute(out, kernel::VERDICT_CHAIN, |out| {
            // Written in place, as there is one for each frontend.
            let _ = write!(Bytes(out), "{chain}\0");
        });
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
