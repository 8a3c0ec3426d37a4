//! Tables, sets, chains and rules, encoded by libnftnl.

use super::{statements, userdata};
use nftnl_sys as sys;
use rules::model::Family;
use rules::ruleset::{
    AffinitySet, Chain, ChainId, DataType, HookKind, HookPoint, KeyField, Rule, SetId, TABLE,
    TABLE_COMMENT,
};
use std::ffi::{CStr, CString, c_char};

/// Room for one message; the largest is a rule of some hundred bytes.
const MESSAGE_MAX: usize = 16 << 10;

/// nft's numbers for types; those of a concatenation are six bits each.
const TYPE_INTEGER: u32 = 4;
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_PROTOCOL: u32 = 12;
const TYPE_PORT: u32 = 13;
const TYPE_VERDICT: u32 = 0xffff_ff00;

/// An object of libnftnl, freed with the value.
pub(super) struct Owned<T> {
    pointer: *mut T,
    free: unsafe extern "C" fn(*const T),
}

impl<T> Owned<T> {
    /// Takes what an `alloc` function returned.
    ///
    /// # Panics
    /// There is no memory for some hundred bytes, which ends the process as any
    /// failed allocation does.
    fn new(pointer: *mut T, free: unsafe extern "C" fn(*const T)) -> Self {
        assert!(!pointer.is_null(), "libnftnl: out of memory");
        Self { pointer, free }
    }

    pub(super) fn as_ptr(&self) -> *mut T {
        self.pointer
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the `alloc` that belongs to this
        // `free`, and nothing else frees it.
        unsafe { (self.free)(self.pointer) }
    }
}

/// A name as C wants it. Ours never hold a NUL: chains and sets are named by
/// this program, not by the cluster.
pub(super) fn c_string(name: &str) -> CString {
    CString::new(name).unwrap_or_default()
}

/// The begin mark of a batch.
pub(super) fn begin(out: &mut Vec<u8>, sequence: u32) {
    // SAFETY: the function writes one header into the buffer it is given, and
    // `append` gives it one that is large enough.
    append(out, |buffer| unsafe {
        sys::nftnl_batch_begin(buffer, sequence)
    });
}

/// The end mark of a batch.
pub(super) fn end(out: &mut Vec<u8>, sequence: u32) {
    // SAFETY: as for `begin`.
    append(out, |buffer| unsafe {
        sys::nftnl_batch_end(buffer, sequence)
    });
}

/// Asks for the generation number of the ruleset.
pub(super) fn ask_generation(out: &mut Vec<u8>, sequence: u32) {
    append(out, |buffer| {
        header(buffer, libc::NFT_MSG_GETGEN, libc::AF_UNSPEC, 0, sequence)
    });
}

pub(super) fn add_table(out: &mut Vec<u8>, sequence: u32, family: Family) {
    let table = table(family);
    let comment = userdata::object_comment(TABLE_COMMENT);
    // SAFETY: the table is live, and the data is copied with the given length.
    unsafe {
        sys::nftnl_table_set_data(
            table.as_ptr(),
            narrow(sys::NFTNL_TABLE_USERDATA),
            comment.as_ptr().cast(),
            length(&comment),
        );
    }
    message(
        out,
        libc::NFT_MSG_NEWTABLE,
        libc::NLM_F_CREATE,
        sequence,
        family,
        |header| {
            // SAFETY: header and table are live; the payload fits `MESSAGE_MAX`.
            unsafe { sys::nftnl_table_nlmsg_build_payload(header, table.as_ptr()) }
        },
    );
}

pub(super) fn delete_table(out: &mut Vec<u8>, sequence: u32, family: Family) {
    let table = table(family);
    message(out, libc::NFT_MSG_DELTABLE, 0, sequence, family, |header| {
        // SAFETY: header and table are live; the payload fits `MESSAGE_MAX`.
        unsafe { sys::nftnl_table_nlmsg_build_payload(header, table.as_ptr()) }
    });
}

fn table(family: Family) -> Owned<sys::nftnl_table> {
    // SAFETY: `alloc` has no precondition; name is a C string that is copied.
    unsafe {
        let table = Owned::new(sys::nftnl_table_alloc(), sys::nftnl_table_free);
        let name = c_string(TABLE);
        sys::nftnl_table_set_str(table.as_ptr(), narrow(sys::NFTNL_TABLE_NAME), name.as_ptr());
        sys::nftnl_table_set_u32(
            table.as_ptr(),
            narrow(sys::NFTNL_TABLE_FAMILY),
            u32::from(protocol_family(family)),
        );
        table
    }
}

pub(super) fn add_affinity_set(
    out: &mut Vec<u8>,
    sequence: u32,
    family: Family,
    own: &AffinitySet,
) {
    let (key_type, key_length) = key_field(family, KeyField::Address);
    let set = named_set(family, &own.to_string());
    let flags = libc::NFT_SET_TIMEOUT | libc::NFT_SET_EVAL;
    let notes = userdata::affinity_set();
    // SAFETY: the set is live; the data is copied with the given length.
    unsafe {
        let number = |attribute: u32, value: u32| {
            sys::nftnl_set_set_u32(set.as_ptr(), narrow(attribute), value);
        };
        number(sys::NFTNL_SET_ID, sequence);
        number(sys::NFTNL_SET_KEY_TYPE, key_type);
        number(sys::NFTNL_SET_KEY_LEN, key_length);
        number(sys::NFTNL_SET_FLAGS, flags.cast_unsigned());
        number(sys::NFTNL_SET_DESC_SIZE, AffinitySet::SIZE);
        sys::nftnl_set_set_data(
            set.as_ptr(),
            narrow(sys::NFTNL_SET_USERDATA),
            notes.as_ptr().cast(),
            length(&notes),
        );
    }
    // One of this name that is there already is an error: see elements.
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    set_message(out, libc::NFT_MSG_NEWSET, flags, sequence, family, &set);
}

pub(super) fn delete_affinity_set(
    out: &mut Vec<u8>,
    sequence: u32,
    family: Family,
    own: &AffinitySet,
) {
    let set = named_set(family, &own.to_string());
    set_message(out, libc::NFT_MSG_DELSET, 0, sequence, family, &set);
}

fn named_set(family: Family, name: &str) -> Owned<sys::nftnl_set> {
    // SAFETY: `alloc` has no precondition; strings are copied.
    unsafe {
        let set = Owned::new(sys::nftnl_set_alloc(), sys::nftnl_set_free);
        let string = |attribute: u32, text: &str| {
            sys::nftnl_set_set_str(set.as_ptr(), narrow(attribute), c_string(text).as_ptr());
        };
        string(sys::NFTNL_SET_TABLE, TABLE);
        string(sys::NFTNL_SET_NAME, name);
        let family = u32::from(protocol_family(family));
        sys::nftnl_set_set_u32(set.as_ptr(), narrow(sys::NFTNL_SET_FAMILY), family);
        set
    }
}

fn set_message(
    out: &mut Vec<u8>,
    kind: libc::c_int,
    flags: libc::c_int,
    sequence: u32,
    family: Family,
    set: &Owned<sys::nftnl_set>,
) {
    message(out, kind, flags, sequence, family, |header| {
        // SAFETY: header and set are live; the payload fits `MESSAGE_MAX`.
        unsafe { sys::nftnl_set_nlmsg_build_payload(header, set.as_ptr()) }
    });
}

pub(super) fn add_set(out: &mut Vec<u8>, sequence: u32, family: Family, id: SetId) {
    let (key_type, key_length) = id.key().iter().fold((0, 0), |(kind, bytes), field| {
        let (own, length) = key_field(family, *field);
        (kind << 6 | own, bytes + length)
    });
    let notes = userdata::set(family, id);
    let set = named_set(family, id.name());
    // SAFETY: the set is live; data is copied with the given length.
    unsafe {
        let number = |attribute: u32, value: u32| {
            sys::nftnl_set_set_u32(set.as_ptr(), narrow(attribute), value);
        };
        // Unused, as rules name sets, but the kernel asks for one.
        number(sys::NFTNL_SET_ID, sequence);
        number(sys::NFTNL_SET_KEY_TYPE, key_type);
        number(sys::NFTNL_SET_KEY_LEN, key_length);
        if let Some(data) = id.data() {
            let (data_type, data_length) = match data {
                DataType::Verdict => (TYPE_VERDICT, 0),
                DataType::Backend => {
                    let (address, length) = key_field(family, KeyField::Address);
                    let (port, port_length) = key_field(family, KeyField::Port);
                    (address << 6 | port, length + port_length)
                }
            };
            number(sys::NFTNL_SET_FLAGS, libc::NFT_SET_MAP.cast_unsigned());
            number(sys::NFTNL_SET_DATA_TYPE, data_type);
            number(sys::NFTNL_SET_DATA_LEN, data_length);
        }
        if id.is_interval() {
            // With ranges the kernel has to know where each field ends.
            let lengths: Vec<u8> = id
                .key()
                .iter()
                .map(|field| field_length(family, *field))
                .collect();
            let flags = libc::NFT_SET_INTERVAL | NFT_SET_CONCAT;
            number(sys::NFTNL_SET_FLAGS, flags.cast_unsigned());
            sys::nftnl_set_set_data(
                set.as_ptr(),
                narrow(sys::NFTNL_SET_DESC_CONCAT),
                lengths.as_ptr().cast(),
                length(&lengths),
            );
        }
        sys::nftnl_set_set_data(
            set.as_ptr(),
            narrow(sys::NFTNL_SET_USERDATA),
            notes.as_ptr().cast(),
            length(&notes),
        );
    }
    let flags = libc::NLM_F_CREATE;
    set_message(out, libc::NFT_MSG_NEWSET, flags, sequence, family, &set);
}

/// A field's own length, in bytes; a key fills it up to four.
fn field_length(family: Family, field: KeyField) -> u8 {
    match (field, family) {
        (KeyField::Address, Family::V6) => 16,
        (KeyField::Address, Family::V4) | (KeyField::Index, _) => 4,
        (KeyField::Port, _) => 2,
        (KeyField::Protocol, _) => 1,
    }
}

/// Missing in libc; linux/netfilter/nf_tables.h.
const NFT_SET_CONCAT: libc::c_int = 0x80;

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
    let chain = chain(&own.id);
    // SAFETY: the chain is live; strings and data are copied, the latter with
    // the given length.
    unsafe {
        if let Some(hook) = own.hook {
            let kind = match hook.kind {
                HookKind::Filter => c"filter",
                HookKind::Nat => c"nat",
            };
            let point = match hook.point {
                HookPoint::Prerouting => libc::NF_INET_PRE_ROUTING,
                HookPoint::Input => libc::NF_INET_LOCAL_IN,
                HookPoint::Forward => libc::NF_INET_FORWARD,
                HookPoint::Output => libc::NF_INET_LOCAL_OUT,
                HookPoint::Postrouting => libc::NF_INET_POST_ROUTING,
            };
            let chain = chain.as_ptr();
            sys::nftnl_chain_set_str(chain, narrow(sys::NFTNL_CHAIN_TYPE), kind.as_ptr());
            sys::nftnl_chain_set_u32(
                chain,
                narrow(sys::NFTNL_CHAIN_HOOKNUM),
                point.cast_unsigned(),
            );
            sys::nftnl_chain_set_s32(chain, narrow(sys::NFTNL_CHAIN_PRIO), hook.priority);
            sys::nftnl_chain_set_u32(
                chain,
                narrow(sys::NFTNL_CHAIN_POLICY),
                libc::NF_ACCEPT.cast_unsigned(),
            );
        }
        if !own.comment.is_empty() {
            let comment = userdata::object_comment(own.comment);
            sys::nftnl_chain_set_data(
                chain.as_ptr(),
                narrow(sys::NFTNL_CHAIN_USERDATA),
                comment.as_ptr().cast(),
                length(&comment),
            );
        }
    }
    // A chain of this name that is there already is an error: see elements.
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    message(
        out,
        libc::NFT_MSG_NEWCHAIN,
        flags,
        sequence,
        family,
        |header| {
            // SAFETY: header and chain are live; the payload fits `MESSAGE_MAX`.
            unsafe { sys::nftnl_chain_nlmsg_build_payload(header, chain.as_ptr()) }
        },
    );
}

pub(super) fn delete_chain(out: &mut Vec<u8>, sequence: u32, family: Family, id: &ChainId) {
    let chain = chain(id);
    message(out, libc::NFT_MSG_DELCHAIN, 0, sequence, family, |header| {
        // SAFETY: header and chain are live; the payload fits `MESSAGE_MAX`.
        unsafe { sys::nftnl_chain_nlmsg_build_payload(header, chain.as_ptr()) }
    });
}

fn chain(id: &ChainId) -> Owned<sys::nftnl_chain> {
    // SAFETY: `alloc` has no precondition; strings are copied.
    unsafe {
        let chain = Owned::new(sys::nftnl_chain_alloc(), sys::nftnl_chain_free);
        let (table, name) = (c_string(TABLE), c_string(&id.to_string()));
        sys::nftnl_chain_set_str(
            chain.as_ptr(),
            narrow(sys::NFTNL_CHAIN_TABLE),
            table.as_ptr(),
        );
        sys::nftnl_chain_set_str(chain.as_ptr(), narrow(sys::NFTNL_CHAIN_NAME), name.as_ptr());
        chain
    }
}

pub(super) fn add_rule(
    out: &mut Vec<u8>,
    sequence: u32,
    family: Family,
    chain: &ChainId,
    own: &Rule,
) {
    let rule = rule(chain);
    for statement in &own.statements {
        statements::add(&rule, family, statement);
    }
    let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
    message(
        out,
        libc::NFT_MSG_NEWRULE,
        flags,
        sequence,
        family,
        |header| {
            // SAFETY: header and rule are live; the payload fits `MESSAGE_MAX`.
            unsafe { sys::nftnl_rule_nlmsg_build_payload(header, rule.as_ptr()) }
        },
    );
}

/// Deletes all rules of a chain: a rule without a handle stands for all.
pub(super) fn delete_rules(out: &mut Vec<u8>, sequence: u32, family: Family, chain: &ChainId) {
    let rule = rule(chain);
    message(out, libc::NFT_MSG_DELRULE, 0, sequence, family, |header| {
        // SAFETY: header and rule are live; the payload fits `MESSAGE_MAX`.
        unsafe { sys::nftnl_rule_nlmsg_build_payload(header, rule.as_ptr()) }
    });
}

fn rule(chain: &ChainId) -> Owned<sys::nftnl_rule> {
    // SAFETY: `alloc` has no precondition; strings are copied.
    unsafe {
        let rule = Owned::new(sys::nftnl_rule_alloc(), sys::nftnl_rule_free);
        let (table, name) = (c_string(TABLE), c_string(&chain.to_string()));
        sys::nftnl_rule_set_str(rule.as_ptr(), narrow(sys::NFTNL_RULE_TABLE), table.as_ptr());
        sys::nftnl_rule_set_str(rule.as_ptr(), narrow(sys::NFTNL_RULE_CHAIN), name.as_ptr());
        rule
    }
}

/// The `NFPROTO_*` of a family.
pub(super) fn protocol_family(family: Family) -> u16 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

/// libnftnl's attributes are 32 bits wide in its enums and 16 in its functions.
pub(super) fn narrow(attribute: u32) -> u16 {
    debug_assert!(attribute <= 0xffff, "{attribute} is no attribute");
    (attribute & 0xffff) as u16
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn message(
    out: &mut Vec<u8>,
    kind: libc::c_int,
    flags: libc::c_int,
    sequence: u32,
    family: Family,
    payload: impl FnOnce(*mut libc::nlmsghdr),
) {
    append(out, |buffer| {
        let family = libc::c_int::from(protocol_family(family));
        let header = header(buffer, kind, family, flags, sequence);
        payload(header);
        header
    });
}

fn header(
    buffer: *mut c_char,
    kind: libc::c_int,
    family: libc::c_int,
    flags: libc::c_int,
    sequence: u32,
) -> *mut libc::nlmsghdr {
    let narrow = |value: libc::c_int| narrow(value.cast_unsigned());
    // SAFETY: the function writes two headers into the buffer it is given, and
    // `append` gives it one that is large enough.
    unsafe {
        sys::nftnl_nlmsg_build_hdr(
            buffer,
            narrow(kind),
            narrow(family),
            narrow(flags),
            sequence,
        )
    }
}

/// Lets libnftnl write one message at the end of a buffer.
fn append(out: &mut Vec<u8>, write: impl FnOnce(*mut c_char) -> *mut libc::nlmsghdr) {
    let start = out.len();
    out.resize(start + MESSAGE_MAX, 0);
    let header = write(out[start..].as_mut_ptr().cast());
    // SAFETY: the header is at the beginning of the space just made, and
    // libmnl aligns messages to four bytes, which read_unaligned does not need.
    let written = unsafe { header.cast::<u32>().read_unaligned() } as usize;
    debug_assert!(written <= MESSAGE_MAX, "a message of {written} bytes");
    out.truncate(start + written.next_multiple_of(4));
}

/// For names that are literals.
pub(super) type Name = &'static CStr;
