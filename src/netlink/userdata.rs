//! What nft keeps for itself with an object: comments, and how the type of a
//! key was written. The kernel stores it unread. Each entry is a type and a
//! length of one byte each, and the value.

use rules::model::Family;
use rules::nft::print::comment;
use rules::nft::ruleset::{DataType, KeyField, SetId};

/// An element's comment.
const ELEMENT_COMMENT: u8 = 0;
/// A chain's or a table's comment.
const OBJECT_COMMENT: u8 = 0;

const SET_KEY_BYTE_ORDER: u8 = 0;
const SET_DATA_BYTE_ORDER: u8 = 1;
const SET_KEY_TYPEOF: u8 = 3;
const SET_DATA_TYPEOF: u8 = 4;
const SET_COMMENT: u8 = 7;

/// nft's numbers for kinds of expressions.
const EXPR_PAYLOAD: u32 = 7;
const EXPR_META: u32 = 9;
const EXPR_CONCAT: u32 = 13;
const EXPR_NUMGEN: u32 = 23;
/// nft's numbers for protocol headers and the fields in them.
const HEADER_IP: (u32, u32) = (12, 12);
const HEADER_IP6: (u32, u32) = (13, 9);
const HEADER_TH_DPORT: (u32, u32) = (11, 2);
/// `NFT_META_L4PROTO`.
const META_L4PROTO: u32 = 16;
/// The modulus in a map's declaration; any will do for a list's index.
const INDEX_MODULUS: u32 = 65_536;

/// nft's numbers for byte orders.
const MIXED: u32 = 0;
const HOST_ENDIAN: u32 = 1;
const BIG_ENDIAN: u32 = 2;

/// Appends an element's comment.
pub(super) fn element_comment(out: &mut Vec<u8>, text: &str) {
    put_text(out, ELEMENT_COMMENT, text);
}

/// A chain's or the table's comment.
pub(super) fn object_comment(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_text(&mut out, OBJECT_COMMENT, text);
    out
}

/// All that nft wants to know of a set.
pub(super) fn set(family: Family, set: SetId) -> Vec<u8> {
    let mut out = Vec::new();
    let order = match set.key() {
        [KeyField::Index] => HOST_ENDIAN,
        [_] => BIG_ENDIAN,
        _ => MIXED,
    };
    put_number(&mut out, SET_KEY_BYTE_ORDER, order);
    if set.data().is_some() {
        put_number(&mut out, SET_DATA_BYTE_ORDER, MIXED);
    }
    if set.key().contains(&KeyField::Index) {
        let fields = set
            .key()
            .iter()
            .map(|field| expression(family, *field))
            .collect();
        put(&mut out, SET_KEY_TYPEOF, &key_type(fields));
        if set.data() == Some(DataType::Backend) {
            let fields = [KeyField::Address, KeyField::Port];
            let fields = fields
                .iter()
                .map(|field| expression(family, *field))
                .collect();
            put(&mut out, SET_DATA_TYPEOF, &concatenation(fields));
        }
    }
    put_text(&mut out, SET_COMMENT, set.comment());
    out
}

/// What nft wants to know of a set of addresses without a comment.
pub(super) fn address_set() -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, SET_KEY_BYTE_ORDER, BIG_ENDIAN);
    out
}

/// An expression is its kind (0) and what that kind needs (1).
fn described(kind: u32, details: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, 0, kind);
    put(&mut out, 1, details);
    out
}

fn key_type(mut fields: Vec<Vec<u8>>) -> Vec<u8> {
    match fields.len() {
        1 => fields.remove(0),
        _ => concatenation(fields),
    }
}

fn concatenation(fields: Vec<Vec<u8>>) -> Vec<u8> {
    let mut parts = Vec::new();
    for (at, field) in (0u8..).zip(fields) {
        put(&mut parts, at, &field);
    }
    described(EXPR_CONCAT, &parts)
}

fn expression(family: Family, field: KeyField) -> Vec<u8> {
    let payload = |(header, field)| described(EXPR_PAYLOAD, &numbers(&[header, field]));
    match (field, family) {
        (KeyField::Address, Family::V4) => payload(HEADER_IP),
        (KeyField::Address, Family::V6) => payload(HEADER_IP6),
        (KeyField::Port, _) => payload(HEADER_TH_DPORT),
        (KeyField::Protocol, _) => described(EXPR_META, &numbers(&[META_L4PROTO])),
        (KeyField::Index, _) => {
            const RANDOM: u32 = 1;
            const OFFSET: u32 = 0;
            described(EXPR_NUMGEN, &numbers(&[RANDOM, INDEX_MODULUS, OFFSET]))
        }
    }
}

/// Numbers under the types 0, 1, 2 and so on.
fn numbers(values: &[u32]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, value) in (0u8..).zip(values) {
        put_number(&mut out, at, *value);
    }
    out
}

fn put_number(out: &mut Vec<u8>, kind: u8, value: u32) {
    put(out, kind, &value.to_ne_bytes());
}

/// Text with its closing NUL, made harmless and short first.
fn put_text(out: &mut Vec<u8>, kind: u8, text: &str) {
    let text = comment(text);
    out.push(kind);
    // At most 127 bytes and the NUL: see `comment`.
    out.push(u8::try_from(text.len() + 1).unwrap_or(u8::MAX));
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn put(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    debug_assert!(
        value.len() <= usize::from(u8::MAX),
        "userdata of {} bytes",
        value.len()
    );
    out.push(kind);
    out.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(value);
}
