//! Tables, sets, chains and rules as messages.

use super::subsystem::table_message;
use super::{statements, userdata};
use nft_wire::Writer;
use nft_wire::nf_tables::{self, nfta};
use rules::model::Family;
use rules::nft::ruleset::{
    AffinitySet, Chain, ChainId, Counter, DataType, Hook, HookKind, HookPoint, KeyField, Rule,
    SetId, TABLE, TABLE_COMMENT,
};

/// nft's numbers for types; those of a concatenation are six bits each.
const TYPE_INTEGER: u32 = 4;
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_PROTOCOL: u32 = 12;
const TYPE_PORT: u32 = 13;
const TYPE_VERDICT: u32 = 0xffff_ff00;

pub(super) fn add_table(out: &mut Writer, sequence: u32, family: Family) {
    let table = nf_tables::Table {
        name: TABLE.to_owned(),
        user_data: userdata::object_comment(TABLE_COMMENT),
        ..nf_tables::Table::default()
    };
    let kind = libc::NFT_MSG_NEWTABLE;
    table_message(out, family, kind, libc::NLM_F_CREATE, sequence, |out| {
        table.write(out);
    });
}

pub(super) fn delete_table(out: &mut Writer, sequence: u32, family: Family) {
    table_message(out, family, libc::NFT_MSG_DELTABLE, 0, sequence, |out| {
        out.text(nfta::TABLE_NAME, TABLE);
    });
}

/// No size: the kernel would make room for all of it at once (see
/// `AffinitySet::CLIENTS_MAX`).
pub(super) fn affinity_set(family: Family, set: &AffinitySet) -> nf_tables::Set {
    client_set(family, &set.to_string())
}

/// A set of clients that are remembered for a time.
pub(super) fn client_set(family: Family, name: &str) -> nf_tables::Set {
    let flags = libc::NFT_SET_TIMEOUT | libc::NFT_SET_EVAL;
    address_set(family, name, flags)
}

/// A set of sources.
pub(super) fn source_set(family: Family, name: &str) -> nf_tables::Set {
    address_set(family, name, libc::NFT_SET_INTERVAL)
}

/// A set of plain addresses that single Services have of their own.
fn address_set(family: Family, name: &str, flags: libc::c_int) -> nf_tables::Set {
    let (key_type, key_len) = key_field(family, KeyField::Address);
    nf_tables::Set {
        table: TABLE.to_owned(),
        name: name.to_owned(),
        flags: flags.cast_unsigned(),
        key_type,
        key_len,
        user_data: userdata::address_set(),
        ..nf_tables::Set::default()
    }
}

/// Adds a set that single Services have of their own. One of this name that is there already is
/// an error: see elements.
pub(super) fn add_own_set(out: &mut Writer, sequence: u32, family: Family, set: nf_tables::Set) {
    add_named_set(out, sequence, family, set, libc::NLM_F_EXCL);
}

/// Deletes a set that single Services have of their own.
pub(super) fn delete_own_set(out: &mut Writer, sequence: u32, family: Family, name: &str) {
    table_message(out, family, libc::NFT_MSG_DELSET, 0, sequence, |out| {
        out.text(nfta::SET_TABLE, TABLE);
        out.text(nfta::SET_NAME, name);
    });
}

pub(super) fn add_set(
    out: &mut Writer,
    sequence: u32,
    family: Family,
    id: SetId,
    size: Option<u32>,
) {
    add_named_set(out, sequence, family, set(family, id, size), 0);
}

/// Adds a counter. One of this name that is there already is an error: see elements.
pub(super) fn add_counter(out: &mut Writer, sequence: u32, family: Family, counter: Counter) {
    let object = nf_tables::Object {
        table: TABLE.to_owned(),
        name: counter.name().to_owned(),
        kind: nf_tables::OBJECT_COUNTER,
        counted: None,
        user_data: userdata::object_comment(counter.comment()),
    };
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    table_message(out, family, libc::NFT_MSG_NEWOBJ, flags, sequence, |out| {
        object.write(out);
    });
}

/// One of the sets that are always there.
pub(super) fn set(family: Family, id: SetId, size: Option<u32>) -> nf_tables::Set {
    let (key_type, key_len) = key_type(family, id.key());
    let flags = match id.data() {
        Some(_) => libc::NFT_SET_MAP,
        None if id.is_counting() => libc::NFT_SET_EVAL,
        None => 0,
    };
    nf_tables::Set {
        table: TABLE.to_owned(),
        name: id.name().to_owned(),
        flags: flags.cast_unsigned(),
        key_type,
        key_len,
        data: id.data().map(|data| data_type(family, data)),
        expression: id.is_counting().then(|| "counter".to_owned()),
        size,
        id: None,
        user_data: userdata::set(family, id),
    }
}

/// Whether a set of the kernel's holds what one of ours does.
pub(super) fn is_like(found: &nf_tables::Set, own: &nf_tables::Set) -> bool {
    // The kernel tells the length that a verdict has inside of it.
    let data = |set: &nf_tables::Set| {
        set.data
            .map(|(kind, length)| (kind, (kind != TYPE_VERDICT).then_some(length)))
    };
    let key = |set: &nf_tables::Set| (set.key_type, set.key_len);
    (found.flags, &found.expression) == (own.flags, &own.expression)
        && key(found) == key(own)
        && data(found) == data(own)
}

fn add_named_set(
    out: &mut Writer,
    sequence: u32,
    family: Family,
    set: nf_tables::Set,
    flags: libc::c_int,
) {
    // Unused, as rules name sets, but the kernel asks for one.
    let id = Some(sequence);
    let set = nf_tables::Set { id, ..set };
    let flags = flags | libc::NLM_F_CREATE;
    table_message(out, family, libc::NFT_MSG_NEWSET, flags, sequence, |out| {
        set.write(out);
    });
}

/// nft's type of a key, and its length in bytes.
fn key_type(family: Family, key: &[KeyField]) -> (u32, u32) {
    key.iter().fold((0, 0), |(kind, bytes), field| {
        let (next, length) = key_field(family, *field);
        (kind << 6 | next, bytes + length)
    })
}

/// nft's type of a map's values, and their length in bytes.
fn data_type(family: Family, data: DataType) -> (u32, u32) {
    match data {
        DataType::Verdict => (TYPE_VERDICT, 0),
        DataType::Endpoint => key_type(family, &[KeyField::Address, KeyField::Port]),
    }
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

pub(super) fn add_chain(out: &mut Writer, sequence: u32, family: Family, chain: &Chain) {
    let named = nf_tables::Chain {
        table: TABLE.to_owned(),
        name: chain.id.to_string(),
        hook: chain.hook.map(hook),
        user_data: match chain.comment {
            "" => Vec::new(),
            comment => userdata::object_comment(comment),
        },
    };
    // A chain of this name that is there already is an error: see elements.
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let kind = libc::NFT_MSG_NEWCHAIN;
    table_message(out, family, kind, flags, sequence, |out| named.write(out));
}

pub(super) fn hook(hook: Hook) -> nf_tables::Hook {
    let number = match hook.point {
        HookPoint::Prerouting => libc::NF_INET_PRE_ROUTING,
        HookPoint::Input => libc::NF_INET_LOCAL_IN,
        HookPoint::Forward => libc::NF_INET_FORWARD,
        HookPoint::Output => libc::NF_INET_LOCAL_OUT,
        HookPoint::Postrouting => libc::NF_INET_POST_ROUTING,
    };
    let kind = match hook.kind {
        HookKind::Filter => "filter",
        HookKind::Nat => "nat",
    };
    nf_tables::Hook {
        number: number.cast_unsigned(),
        priority: hook.priority,
        kind: kind.to_owned(),
        policy: libc::NF_ACCEPT.cast_unsigned(),
    }
}

/// The hook of a base chain of the kernel's, as far as it is one that we know; the policy is
/// another matter.
pub(super) fn hook_of(found: &nf_tables::Hook) -> Option<Hook> {
    use HookPoint::{Forward, Input, Output, Postrouting, Prerouting};
    let kinds = [HookKind::Filter, HookKind::Nat];
    let points = [Prerouting, Input, Forward, Output, Postrouting];
    let hooks = kinds.into_iter().flat_map(|kind| {
        points.map(|point| Hook {
            kind,
            point,
            priority: found.priority,
        })
    });
    let is_it = |known: &Hook| {
        let known = hook(*known);
        (known.number, known.kind) == (found.number, found.kind.clone())
    };
    hooks.into_iter().find(is_it)
}

pub(super) fn delete_chain(out: &mut Writer, sequence: u32, family: Family, id: &ChainId) {
    table_message(out, family, libc::NFT_MSG_DELCHAIN, 0, sequence, |out| {
        out.text(nfta::CHAIN_TABLE, TABLE);
        out.text(nfta::CHAIN_NAME, &id.to_string());
    });
}

pub(super) fn add_rule(
    out: &mut Writer,
    sequence: u32,
    family: Family,
    chain: &ChainId,
    rule: &Rule,
) {
    let rule = nf_tables::Rule {
        expressions: statements::expressions(family, &rule.statements),
        ..rule_of(chain)
    };
    let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
    table_message(out, family, libc::NFT_MSG_NEWRULE, flags, sequence, |out| {
        rule.write(out);
    });
}

/// Deletes all rules of a chain: a rule without a handle stands for all.
pub(super) fn delete_rules(out: &mut Writer, sequence: u32, family: Family, chain: &ChainId) {
    table_message(out, family, libc::NFT_MSG_DELRULE, 0, sequence, |out| {
        rule_of(chain).write(out);
    });
}

fn rule_of(chain: &ChainId) -> nf_tables::Rule {
    nf_tables::Rule {
        table: TABLE.to_owned(),
        chain: chain.to_string(),
        ..nf_tables::Rule::default()
    }
}
