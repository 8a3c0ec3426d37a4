//! Tables, sets, chains and rules as messages.

use super::attributes::{attribute, nested, text};
use super::subsystem::{number, table_message};
use super::{statements, userdata};
use rules::model::Family;
use rules::nft::ruleset::{
    AffinitySet, Chain, ChainId, DataType, Hook, HookKind, HookPoint, KeyField, Rule, SetId,
    SourceSet, TABLE, TABLE_COMMENT,
};

/// `linux/netfilter/nfnetlink.h` and `linux/netfilter/nf_tables.h`.
mod kernel {
    pub(super) const TABLE_NAME: u16 = 1;
    pub(super) const TABLE_USERDATA: u16 = 6;
    pub(super) const CHAIN_TABLE: u16 = 1;
    pub(super) const CHAIN_NAME: u16 = 3;
    pub(super) const CHAIN_HOOK: u16 = 4;
    pub(super) const CHAIN_POLICY: u16 = 5;
    pub(super) const CHAIN_TYPE: u16 = 7;
    pub(super) const CHAIN_USERDATA: u16 = 12;
    pub(super) const HOOK_NUMBER: u16 = 1;
    pub(super) const HOOK_PRIORITY: u16 = 2;
    pub(super) const RULE_TABLE: u16 = 1;
    pub(super) const RULE_CHAIN: u16 = 2;
    pub(super) const RULE_EXPRESSIONS: u16 = 4;
    pub(super) const SET_TABLE: u16 = 1;
    pub(super) const SET_NAME: u16 = 2;
    pub(super) const SET_FLAGS: u16 = 3;
    pub(super) const SET_KEY_TYPE: u16 = 4;
    pub(super) const SET_KEY_LENGTH: u16 = 5;
    pub(super) const SET_DATA_TYPE: u16 = 6;
    pub(super) const SET_DATA_LENGTH: u16 = 7;
    pub(super) const SET_DESCRIPTION: u16 = 9;
    pub(super) const SET_ID: u16 = 10;
    pub(super) const SET_USERDATA: u16 = 13;
    pub(super) const DESCRIPTION_SIZE: u16 = 1;
}

/// nft's numbers for types; those of a concatenation are six bits each.
const TYPE_INTEGER: u32 = 4;
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_PROTOCOL: u32 = 12;
const TYPE_PORT: u32 = 13;
const TYPE_VERDICT: u32 = 0xffff_ff00;

pub(super) fn add_table(out: &mut Vec<u8>, sequence: u32, family: Family) {
    let flags = libc::NLM_F_CREATE;
    table_message(
        out,
        family,
        libc::NFT_MSG_NEWTABLE,
        flags,
        sequence,
        |out| {
            text(out, kernel::TABLE_NAME, TABLE);
            let comment = userdata::object_comment(TABLE_COMMENT);
            attribute(out, kernel::TABLE_USERDATA, &comment);
        },
    );
}

pub(super) fn delete_table(out: &mut Vec<u8>, sequence: u32, family: Family) {
    table_message(out, family, libc::NFT_MSG_DELTABLE, 0, sequence, |out| {
        text(out, kernel::TABLE_NAME, TABLE);
    });
}

/// No size: the kernel would make room for all of it at once (see
/// `AffinitySet::CLIENTS_MAX`).
pub(super) fn add_affinity_set(
    out: &mut Vec<u8>,
    sequence: u32,
    family: Family,
    own: &AffinitySet,
) {
    let flags = libc::NFT_SET_TIMEOUT | libc::NFT_SET_EVAL;
    add_address_set(out, sequence, family, &own.to_string(), flags);
}

pub(super) fn add_source_set(out: &mut Vec<u8>, sequence: u32, family: Family, own: &SourceSet) {
    add_address_set(
        out,
        sequence,
        family,
        &own.to_string(),
        libc::NFT_SET_INTERVAL,
    );
}

/// A set of plain addresses that single Services have of their own.
fn add_address_set(
    out: &mut Vec<u8>,
    sequence: u32,
    family: Family,
    name: &str,
    kind: libc::c_int,
) {
    // One of this name that is there already is an error: see elements.
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    table_message(out, family, libc::NFT_MSG_NEWSET, flags, sequence, |out| {
        set_name(out, name);
        number(out, kernel::SET_FLAGS, kind.cast_unsigned());
        let (kind, length) = key_field(family, KeyField::Address);
        number(out, kernel::SET_KEY_TYPE, kind);
        number(out, kernel::SET_KEY_LENGTH, length);
        number(out, kernel::SET_ID, sequence);
        attribute(out, kernel::SET_USERDATA, &userdata::address_set());
    });
}

/// Deletes a set that single Services have of their own.
pub(super) fn delete_own_set(out: &mut Vec<u8>, sequence: u32, family: Family, name: &str) {
    table_message(out, family, libc::NFT_MSG_DELSET, 0, sequence, |out| {
        set_name(out, name);
    });
}

pub(super) fn add_set(
    out: &mut Vec<u8>,
    sequence: u32,
    family: Family,
    id: SetId,
    size: Option<u32>,
) {
    let flags = libc::NLM_F_CREATE;
    table_message(out, family, libc::NFT_MSG_NEWSET, flags, sequence, |out| {
        set_name(out, id.name());
        let mut flags = 0;
        if id.data().is_some() {
            flags |= libc::NFT_SET_MAP;
        }
        if flags != 0 {
            number(out, kernel::SET_FLAGS, flags.cast_unsigned());
        }
        let (kind, length) = id.key().iter().fold((0, 0), |(kind, bytes), field| {
            let (own, length) = key_field(family, *field);
            (kind << 6 | own, bytes + length)
        });
        number(out, kernel::SET_KEY_TYPE, kind);
        number(out, kernel::SET_KEY_LENGTH, length);
        if let Some(data) = id.data() {
            let (kind, length) = match data {
                DataType::Verdict => (TYPE_VERDICT, 0),
                DataType::Backend => {
                    let (address, length) = key_field(family, KeyField::Address);
                    let (port, port_length) = key_field(family, KeyField::Port);
                    (address << 6 | port, length + port_length)
                }
            };
            number(out, kernel::SET_DATA_TYPE, kind);
            number(out, kernel::SET_DATA_LENGTH, length);
        }
        // Unused, as rules name sets, but the kernel asks for one.
        number(out, kernel::SET_ID, sequence);
        if let Some(size) = size {
            nested(out, kernel::SET_DESCRIPTION, |out| {
                number(out, kernel::DESCRIPTION_SIZE, size);
            });
        }
        attribute(out, kernel::SET_USERDATA, &userdata::set(family, id));
    });
}

fn set_name(out: &mut Vec<u8>, name: &str) {
    text(out, kernel::SET_TABLE, TABLE);
    text(out, kernel::SET_NAME, name);
}

/// nft's type of a key field, and its length in a key, in bytes.
fn key_field(family: Family, field: KeyField) -> (u32, u32) {
    match (field, family) {
        (KeyField::Address, Family::V4) => (TYPE_IPV4, 4),
        (KeyField::Address, Family::V6) => (TYPE_IPV6, 16),
        (KeyField::Protocol, _) => (TYPE_PROTOCOL, 4),
        (KeyField::Port, _) => (TYPE_PORT, 4),
        (KeyField::Index, _) => (TYPE_INTEGER, 4),
    }
}

pub(super) fn add_chain(out: &mut Vec<u8>, sequence: u32, family: Family, own: &Chain) {
    // A chain of this name that is there already is an error: see elements.
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    table_message(
        out,
        family,
        libc::NFT_MSG_NEWCHAIN,
        flags,
        sequence,
        |out| {
            chain_name(out, &own.id);
            if let Some(own) = own.hook {
                hook(out, own);
            }
            if !own.comment.is_empty() {
                let comment = userdata::object_comment(own.comment);
                attribute(out, kernel::CHAIN_USERDATA, &comment);
            }
        },
    );
}

fn hook(out: &mut Vec<u8>, hook: Hook) {
    let point = match hook.point {
        HookPoint::Prerouting => libc::NF_INET_PRE_ROUTING,
        HookPoint::Input => libc::NF_INET_LOCAL_IN,
        HookPoint::Forward => libc::NF_INET_FORWARD,
        HookPoint::Output => libc::NF_INET_LOCAL_OUT,
        HookPoint::Postrouting => libc::NF_INET_POST_ROUTING,
    };
    nested(out, kernel::CHAIN_HOOK, |out| {
        number(out, kernel::HOOK_NUMBER, point.cast_unsigned());
        number(out, kernel::HOOK_PRIORITY, hook.priority.cast_unsigned());
    });
    number(out, kernel::CHAIN_POLICY, libc::NF_ACCEPT.cast_unsigned());
    let kind = match hook.kind {
        HookKind::Filter => "filter",
        HookKind::Nat => "nat",
    };
    text(out, kernel::CHAIN_TYPE, kind);
}

pub(super) fn delete_chain(out: &mut Vec<u8>, sequence: u32, family: Family, id: &ChainId) {
    table_message(out, family, libc::NFT_MSG_DELCHAIN, 0, sequence, |out| {
        chain_name(out, id);
    });
}

fn chain_name(out: &mut Vec<u8>, id: &ChainId) {
    text(out, kernel::CHAIN_TABLE, TABLE);
    text(out, kernel::CHAIN_NAME, &id.to_string());
}

pub(super) fn add_rule(
    out: &mut Vec<u8>,
    sequence: u32,
    family: Family,
    chain: &ChainId,
    own: &Rule,
) {
    let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
    table_message(out, family, libc::NFT_MSG_NEWRULE, flags, sequence, |out| {
        rule_chain(out, chain);
        nested(out, kernel::RULE_EXPRESSIONS, |out| {
            for statement in &own.statements {
                statements::add(out, family, statement);
            }
        });
    });
}

/// Deletes all rules of a chain: a rule without a handle stands for all.
pub(super) fn delete_rules(out: &mut Vec<u8>, sequence: u32, family: Family, chain: &ChainId) {
    table_message(out, family, libc::NFT_MSG_DELRULE, 0, sequence, |out| {
        rule_chain(out, chain);
    });
}

fn rule_chain(out: &mut Vec<u8>, chain: &ChainId) {
    text(out, kernel::RULE_TABLE, TABLE);
    text(out, kernel::RULE_CHAIN, &chain.to_string());
}
