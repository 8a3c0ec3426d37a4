//! Set elements, written straight into the batch: the hot path of a first sync.

use super::is_of;
use super::subsystem::table_message;
use super::userdata::element_comment;
use nft_wire::Writer;
use nft_wire::nf_tables::{self, nfta};
use rules::model::{Family, Frontend, Protocol};
use rules::nft::ruleset::{Element, Key, SetId, TABLE, Value, Verdict};
use std::fmt::Write;
use std::net::IpAddr;
use std::ops::Range;

/// The list of elements is one attribute, whose length has 16 bits.
const LIST_MAX: usize = 60_000;

/// More than an element with the longest comment takes.
const ELEMENT_MAX: usize = 512;

/// Of the header of the list's attribute.
const LIST_HEADER: usize = 4;

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
    message: Writer,
    /// Where in the message the list is.
    list: usize,
    /// Which of a step's elements of the set are in it.
    elements: Range<usize>,
}

impl List {
    pub(super) fn new(about: About) -> Self {
        let mut message = Writer::new();
        empty_message(&mut message, about);
        Self {
            about,
            list: message.len() - LIST_HEADER,
            message,
            elements: 0..0,
        }
    }

    /// Whether another element might be one too many.
    pub(super) fn is_full(&self) -> bool {
        self.message.len() - self.list > LIST_MAX - ELEMENT_MAX
    }

    pub(super) fn add(&mut self, element: &Element) {
        let About { family, add, .. } = self.about;
        debug_assert!(is_of(family, &element.key), "{element:?} in {family:?}");
        self.message.nested(nfta::LIST_ELEM, |out| match add {
            true => write_one(out, element),
            // A deletion goes by the key alone.
            false => write_key(out, &element.key),
        });
        self.elements.end += 1;
    }

    pub(super) fn elements(&self) -> Range<usize> {
        self.elements.clone()
    }

    /// Appends the message to a batch, and begins another with the elements
    /// that come next.
    pub(super) fn finish(&mut self, out: &mut Writer, sequence: u32) {
        self.message.end_attribute(self.list);
        self.message.end_message(0);
        self.message.number_message(0, sequence);
        out.append(&self.message);
        self.message.truncate(self.list + LIST_HEADER);
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
fn empty_message(out: &mut Writer, about: About) {
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
        nf_tables::Element::write_names(out, TABLE, about.set.name());
        out.nested(nfta::SET_ELEM_LIST_ELEMENTS, |_| {});
    });
}

/// Writes what an element has.
pub(super) fn write_one(out: &mut Writer, element: &Element) {
    write_key(out, &element.key);
    if let Some(value) = &element.value {
        encode_value(out, value);
    }
    if let Some(comment) = &element.comment {
        out.attribute_with(nfta::SET_ELEM_USERDATA, |out| {
            element_comment(out, comment);
        });
    }
}

/// Writes what an element is found by.
pub(super) fn write_key(out: &mut Writer, element: &Key) {
    data(out, nfta::SET_ELEM_KEY, |out| key(out, element));
}

/// An attribute with a value of some fields.
fn data(out: &mut Writer, kind: u16, fields: impl FnOnce(&mut Writer)) {
    out.nested(kind, |out| {
        out.attribute_with(nfta::DATA_VALUE, fields);
    });
}

/// The fields of a key, each filled up to 32 bits.
fn key(out: &mut Writer, key: &Key) {
    match key {
        Key::Address(ip) => address(out, *ip),
        Key::Frontend(key) => frontend(out, key),
        // Numbers that rules compute are in host byte order.
        Key::Listed(index) => out.raw(&index.to_ne_bytes()),
        Key::Indexed(key, index) => {
            frontend(out, key);
            out.raw(&index.to_ne_bytes());
        }
        Key::Hairpin(backend, transport) => {
            address(out, backend.address);
            address(out, backend.address);
            protocol(out, *transport);
            port(out, backend.port);
        }
    }
}

fn frontend(out: &mut Writer, frontend: &Frontend) {
    if let Some(ip) = frontend.address {
        address(out, ip);
    }
    protocol(out, frontend.protocol);
    port(out, frontend.port);
}

fn address(out: &mut Writer, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => out.raw(&ip.octets()),
        IpAddr::V6(ip) => out.raw(&ip.octets()),
    }
}

fn protocol(out: &mut Writer, protocol: Protocol) {
    out.raw(&[protocol.number(), 0, 0, 0]);
}

fn port(out: &mut Writer, port: u16) {
    let [high, low] = port.to_be_bytes();
    out.raw(&[high, low, 0, 0]);
}

fn encode_value(out: &mut Writer, value: &Value) {
    match value {
        Value::Endpoint(backend) => data(out, nfta::SET_ELEM_DATA, |out| {
            address(out, backend.address);
            port(out, backend.port);
        }),
        Value::Verdict(verdict) => out.nested(nfta::SET_ELEM_DATA, |out| {
            out.nested(nfta::DATA_VERDICT, |out| {
                encode_verdict(out, verdict);
            });
        }),
    }
}

fn encode_verdict(out: &mut Writer, verdict: &Verdict) {
    let (code, chain) = match verdict {
        Verdict::Drop => (libc::NF_DROP, None),
        Verdict::Goto(chain) => (libc::NFT_GOTO, Some(chain)),
        Verdict::Jump(chain) => (libc::NFT_JUMP, Some(chain)),
    };
    out.attribute(nfta::VERDICT_CODE, &code.to_be_bytes());
    if let Some(chain) = chain {
        out.attribute_with(nfta::VERDICT_CHAIN, |out| {
            // Written in place, as there is one for each frontend.
            let _ = write!(out, "{chain}\0");
        });
    }
}
