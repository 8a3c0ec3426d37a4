//! What nft keeps for itself with an object: comments, and how the type of a
//! key was written. The kernel stores it unread.

use nft_wire::Writer;
use nft_wire::nf_tables::user_data::{nested, number, text, text_of};
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

/// Writes an element's comment, made harmless and short first.
pub(super) fn element_comment(out: &mut Writer, words: &str) {
    text(out, ELEMENT_COMMENT, &comment(words));
}

/// A chain's or the table's comment.
pub(super) fn object_comment(words: &str) -> Vec<u8> {
    whole(|out| text(out, OBJECT_COMMENT, &comment(words)))
}

/// The comment of an element, of a chain or of a table.
pub(super) fn comment_of(user_data: &[u8]) -> Option<String> {
    const { assert!(ELEMENT_COMMENT == OBJECT_COMMENT) };
    text_of(user_data, OBJECT_COMMENT)
}

/// All that nft wants to know of a set.
pub(super) fn set(family: Family, set: SetId) -> Vec<u8> {
    let order = match set.key() {
        [KeyField::Index] => HOST_ENDIAN,
        [_] => BIG_ENDIAN,
        _ => MIXED,
    };
    whole(|out| {
        number(out, SET_KEY_BYTE_ORDER, order);
        if set.data().is_some() {
            number(out, SET_DATA_BYTE_ORDER, MIXED);
        }
        if set.key().contains(&KeyField::Index) {
            nested(out, SET_KEY_TYPEOF, |out| match set.key() {
                [field] => expression(out, family, *field),
                fields => concatenation(out, family, fields),
            });
            if set.data() == Some(DataType::Endpoint) {
                let fields = [KeyField::Address, KeyField::Port];
                nested(out, SET_DATA_TYPEOF, |out| {
                    concatenation(out, family, &fields);
                });
            }
        }
        text(out, SET_COMMENT, &comment(set.comment()));
    })
}

/// What nft wants to know of a set of addresses without a comment.
pub(super) fn address_set() -> Vec<u8> {
    whole(|out| number(out, SET_KEY_BYTE_ORDER, BIG_ENDIAN))
}

/// Entries of a fixed list of objects, with texts that `comment` has cut: none is too long.
fn whole(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::new();
    write(&mut out);
    debug_assert_eq!(out.error(), None);
    out.bytes().to_vec()
}

/// An expression is its kind (0) and what that kind needs (1).
fn described(out: &mut Writer, kind: u32, details: impl FnOnce(&mut Writer)) {
    number(out, 0, kind);
    nested(out, 1, details);
}

fn concatenation(out: &mut Writer, family: Family, fields: &[KeyField]) {
    described(out, EXPR_CONCAT, |out| {
        for (at, field) in (0u8..).zip(fields) {
            nested(out, at, |out| expression(out, family, *field));
        }
    });
}

fn expression(out: &mut Writer, family: Family, field: KeyField) {
    const RANDOM: u32 = 1;
    const OFFSET: u32 = 0;
    let payload = |out: &mut Writer, (header, field)| {
        described(out, EXPR_PAYLOAD, |out| numbers(out, &[header, field]));
    };
    match (field, family) {
        (KeyField::Address, Family::V4) => payload(out, HEADER_IP),
        (KeyField::Address, Family::V6) => payload(out, HEADER_IP6),
        (KeyField::Port, _) => payload(out, HEADER_TH_DPORT),
        (KeyField::Protocol, _) => {
            described(out, EXPR_META, |out| numbers(out, &[META_L4PROTO]));
        }
        (KeyField::Index, _) => {
            let details = [RANDOM, INDEX_MODULUS, OFFSET];
            described(out, EXPR_NUMGEN, |out| numbers(out, &details));
        }
    }
}

/// Numbers under the types 0, 1, 2 and so on.
fn numbers(out: &mut Writer, values: &[u32]) {
    for (at, value) in (0u8..).zip(values) {
        number(out, at, *value);
    }
}
