//! Set elements, written straight into the batch: the hot path of a first sync.

use super::attributes::{
    ATTRIBUTE_HEADER, attribute, end_attribute, end_message, nested, number_message, text,
    write_attribute,
};
use super::is_of;
use super::subsystem::table_message;
use super::userdata::element_comment;
use rules::model::{Family, Frontend, Protocol};
use rules::nft::ruleset::{Element, Key, SetId, TABLE, Value, Verdict};
use std::fmt::Write;
use std::net::IpAddr;
use std::ops::Range;

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
    pub(super) const DATA_VALUE: u16 = 1;
    pub(super) const DATA_VERDICT: u16 = 2;
    pub(super) const VERDICT_CODE: u16 = 1;
    pub(super) const VERDICT_CHAIN: u16 = 2;
}

/// What messages with elements are about.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub(super) family: Family,
    pub(super) set: SetId,
    pub(super) add: bool,
}

/// A message that takes elements of one set until it is full.
pub(super) struct List {
    about: About,
    message: Vec<u8>,
    /// Where in the message the list is.
    list: usize,
    /// Which of a step's elements of the set are in it.
    elements: Range<usize>,
}

impl List {
    pub(super) fn new(about: About) -> Self {
        let mut message = Vec::new();
        empty_message(&mut message, about);
        Self {
            about,
            list: message.len() - ATTRIBUTE_HEADER,
            message,
            elements: 0..0,
        }
    }

    /// Whether another element might be one too many.
    pub(super) fn is_full(&self) -> bool {
        self.message.len() - self.list > LIST_MAX - ELEMENT_MAX
    }

    pub(super) fn add(&mut self, element: &Element) {
        nested(&mut self.message, kernel::LIST_ELEMENT, |out| {
            encode_one(out, self.about, element);
        });
        self.elements.end += 1;
    }

    pub(super) fn elements(&self) -> Range<usize> {
        self.elements.clone()
    }

    /// Appends the message to a batch, and begins another with the elements
    /// that come next.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>, sequence: u32) {
        end_attribute(&mut self.message, self.list);
        end_message(&mut self.message, 0);
        number_message(&mut self.message, sequence);
        out.extend_from_slice(&self.message);
        self.message.truncate(self.list + ATTRIBUTE_HEADER);
        self.elements.start = self.elements.end;
    }
}

/// Which of a message's elements holds the byte at an offset of it.
pub(super) fn element_at(about: About, elements: &[Element], offset: usize) -> Option<usize> {
    let mut list = List::new(about);
    elements.iter().position(|element| {
        list.add(element);
        offset < list.message.len()
    })
}

/// A message whose last attribute is a list without elements.
fn empty_message(out: &mut Vec<u8>, about: About) {
    let (kind, flags) = if about.add {
        // An element that is there already is an error: then the table is not
        // what we think it is.
        (
            libc::NFT_MSG_NEWSETELEM,
            libc::NLM_F_CREATE | libc::NLM_F_EXCL,
        )
    } else {
        (libc::NFT_MSG_DELSETELEM, 0)
    };
    table_message(out, about.family, kind, flags, 0, |out| {
        text(out, kernel::LIST_TABLE, TABLE);
        text(out, kernel::LIST_SET, about.set.name());
        nested(out, kernel::LIST_ELEMENTS, |_| {});
    });
}

fn encode_one(out: &mut Vec<u8>, about: About, element: &Element) {
    debug_assert!(
        is_of(about.family, &element.key),
        "{element:?} in {:?}",
        about.family
    );
    data(out, kernel::ELEMENT_KEY, |out| key(out, &element.key));
    // A deletion goes by the key alone.
    if about.add {
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
        // Numbers that rules compute are in host byte order.
        Key::Listed(index) => out.extend_from_slice(&index.to_ne_bytes()),
        Key::Indexed(own, index) => {
            frontend(out, own);
            out.extend_from_slice(&index.to_ne_bytes());
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
