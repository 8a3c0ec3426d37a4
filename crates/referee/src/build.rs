//! Objects as the library's own, field by field.

use crate::{elements_of, verdict_of};
use libc::nlmsghdr;
use nft_wire::nf_tables::{Chain, Data, Expression, Loaded, Object, Rule, Set, Table};
use nft_wire::{nf_tables::nfta, text_of};
use nftnl_sys as sys;
use std::ffi::CString;

/// Names of attributes have 32 bits in the headers and 16 in the functions.
fn name(attribute: u32) -> u16 {
    u16::try_from(attribute).unwrap_or(u16::MAX)
}

fn text(value: &str) -> CString {
    CString::new(value).unwrap_or_default()
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

pub(crate) fn table(out: *mut nlmsghdr, table: &Table) {
    // SAFETY: see the crate.
    unsafe {
        let made = sys::nftnl_table_alloc();
        sys::nftnl_table_set_str(
            made,
            name(sys::NFTNL_TABLE_NAME),
            text(&table.name).as_ptr(),
        );
        if table.flags != 0 {
            sys::nftnl_table_set_u32(made, name(sys::NFTNL_TABLE_FLAGS), table.flags);
        }
        if !table.user_data.is_empty() {
            let (data, length) = (table.user_data.as_ptr().cast(), length(&table.user_data));
            sys::nftnl_table_set_data(made, name(sys::NFTNL_TABLE_USERDATA), data, length);
        }
        sys::nftnl_table_nlmsg_build_payload(out, made);
        sys::nftnl_table_free(made);
    }
}

pub(crate) fn chain(out: *mut nlmsghdr, chain: &Chain) {
    // SAFETY: see the crate.
    unsafe {
        let made = sys::nftnl_chain_alloc();
        sys::nftnl_chain_set_str(
            made,
            name(sys::NFTNL_CHAIN_TABLE),
            text(&chain.table).as_ptr(),
        );
        sys::nftnl_chain_set_str(
            made,
            name(sys::NFTNL_CHAIN_NAME),
            text(&chain.name).as_ptr(),
        );
        if let Some(hook) = &chain.hook {
            sys::nftnl_chain_set_u32(made, name(sys::NFTNL_CHAIN_HOOKNUM), hook.number);
            sys::nftnl_chain_set_s32(made, name(sys::NFTNL_CHAIN_PRIO), hook.priority);
            sys::nftnl_chain_set_u32(made, name(sys::NFTNL_CHAIN_POLICY), hook.policy);
            sys::nftnl_chain_set_str(made, name(sys::NFTNL_CHAIN_TYPE), text(&hook.kind).as_ptr());
        }
        if !chain.user_data.is_empty() {
            let (data, length) = (chain.user_data.as_ptr().cast(), length(&chain.user_data));
            sys::nftnl_chain_set_data(made, name(sys::NFTNL_CHAIN_USERDATA), data, length);
        }
        sys::nftnl_chain_nlmsg_build_payload(out, made);
        sys::nftnl_chain_free(made);
    }
}

pub(crate) fn set(out: *mut nlmsghdr, set: &Set) {
    // SAFETY: see the crate.
    unsafe {
        let made = sys::nftnl_set_alloc();
        sys::nftnl_set_set_str(made, name(sys::NFTNL_SET_TABLE), text(&set.table).as_ptr());
        sys::nftnl_set_set_str(made, name(sys::NFTNL_SET_NAME), text(&set.name).as_ptr());
        let number = |attribute, value| sys::nftnl_set_set_u32(made, name(attribute), value);
        if set.flags != 0 {
            number(sys::NFTNL_SET_FLAGS, set.flags);
        }
        number(sys::NFTNL_SET_KEY_TYPE, set.key_type);
        number(sys::NFTNL_SET_KEY_LEN, set.key_len);
        if let Some((kind, length)) = set.data {
            number(sys::NFTNL_SET_DATA_TYPE, kind);
            number(sys::NFTNL_SET_DATA_LEN, length);
        }
        if let Some(id) = set.id {
            number(sys::NFTNL_SET_ID, id);
        }
        if let Some(size) = set.size {
            number(sys::NFTNL_SET_DESC_SIZE, size);
        }
        if let Some(kind) = &set.expression {
            // The set frees it.
            let expression = sys::nftnl_expr_alloc(text(kind).as_ptr());
            sys::nftnl_set_add_expr(made, expression);
        }
        if !set.user_data.is_empty() {
            let (data, length) = (set.user_data.as_ptr().cast(), length(&set.user_data));
            sys::nftnl_set_set_data(made, name(sys::NFTNL_SET_USERDATA), data, length);
        }
        sys::nftnl_set_nlmsg_build_payload(out, made);
        sys::nftnl_set_free(made);
    }
}

pub(crate) fn object(out: *mut nlmsghdr, object: &Object) {
    // SAFETY: see the crate.
    unsafe {
        let made = sys::nftnl_obj_alloc();
        sys::nftnl_obj_set_str(
            made,
            name(sys::NFTNL_OBJ_TABLE),
            text(&object.table).as_ptr(),
        );
        sys::nftnl_obj_set_str(made, name(sys::NFTNL_OBJ_NAME), text(&object.name).as_ptr());
        sys::nftnl_obj_set_u32(made, name(sys::NFTNL_OBJ_TYPE), object.kind);
        if !object.user_data.is_empty() {
            let (data, length) = (object.user_data.as_ptr().cast(), length(&object.user_data));
            sys::nftnl_obj_set_data(made, name(sys::NFTNL_OBJ_USERDATA), data, length);
        }
        sys::nftnl_obj_nlmsg_build_payload(out, made);
        sys::nftnl_obj_free(made);
    }
}

/// A set with its table's name and its own, which messages with elements have too.
fn set_of(body: &[u8]) -> *mut sys::nftnl_set {
    // SAFETY: see the crate; whoever asks frees it.
    let made = unsafe { sys::nftnl_set_alloc() };
    for (kind, attribute) in [
        (nfta::SET_TABLE, sys::NFTNL_SET_TABLE),
        (nfta::SET_NAME, sys::NFTNL_SET_NAME),
    ] {
        let value = text(&text_of(body, kind).unwrap_or_default());
        // SAFETY: see the crate.
        unsafe { sys::nftnl_set_set_str(made, name(attribute), value.as_ptr()) };
    }
    made
}

pub(crate) fn named_set(out: *mut nlmsghdr, body: &[u8]) {
    let made = set_of(body);
    // SAFETY: see the crate.
    unsafe {
        sys::nftnl_set_nlmsg_build_payload(out, made);
        sys::nftnl_set_free(made);
    }
}

pub(crate) fn elements(out: *mut nlmsghdr, body: &[u8]) {
    let made = set_of(body);
    // SAFETY: see the crate; the set frees its elements.
    unsafe {
        for element in elements_of(body) {
            let one = sys::nftnl_set_elem_alloc();
            let bytes = |attribute, value: &[u8]| {
                let (data, length) = (value.as_ptr().cast(), length(value));
                sys::nftnl_set_elem_set(one, name(attribute), data, length);
            };
            bytes(sys::NFTNL_SET_ELEM_KEY, element.key);
            match element.data.as_ref().map(|data| (data, verdict_of(data))) {
                Some((_, Some((code, chain)))) => {
                    let attribute = name(sys::NFTNL_SET_ELEM_VERDICT);
                    sys::nftnl_set_elem_set_u32(one, attribute, code.cast_unsigned());
                    if let Some(chain) = chain {
                        let attribute = name(sys::NFTNL_SET_ELEM_CHAIN);
                        sys::nftnl_set_elem_set_str(one, attribute, text(chain).as_ptr());
                    }
                }
                Some((Data::Value(value), None)) => bytes(sys::NFTNL_SET_ELEM_DATA, value),
                _ => {}
            }
            if element.flags != 0 {
                let attribute = name(sys::NFTNL_SET_ELEM_FLAGS);
                sys::nftnl_set_elem_set_u32(one, attribute, element.flags);
            }
            for (attribute, value) in [
                (sys::NFTNL_SET_ELEM_TIMEOUT, element.timeout),
                (sys::NFTNL_SET_ELEM_EXPIRATION, element.expiration),
            ] {
                if let Some(value) = value {
                    sys::nftnl_set_elem_set_u64(one, name(attribute), value);
                }
            }
            if !element.user_data.is_empty() {
                bytes(sys::NFTNL_SET_ELEM_USERDATA, element.user_data);
            }
            sys::nftnl_set_elem_add(made, one);
        }
        sys::nftnl_set_elems_nlmsg_build_payload(out, made);
        sys::nftnl_set_free(made);
    }
}

pub(crate) fn rule(out: *mut nlmsghdr, rule: &Rule) {
    // SAFETY: see the crate; the rule frees its expressions.
    unsafe {
        let made = sys::nftnl_rule_alloc();
        sys::nftnl_rule_set_str(
            made,
            name(sys::NFTNL_RULE_TABLE),
            text(&rule.table).as_ptr(),
        );
        sys::nftnl_rule_set_str(
            made,
            name(sys::NFTNL_RULE_CHAIN),
            text(&rule.chain).as_ptr(),
        );
        if let Some(handle) = rule.handle {
            sys::nftnl_rule_set_u64(made, name(sys::NFTNL_RULE_HANDLE), handle);
        }
        for expression in &rule.expressions {
            let one = sys::nftnl_expr_alloc(text(expression.name()).as_ptr());
            assert!(!one.is_null(), "libnftnl knows no {expression}");
            fill(&One(one), expression);
            sys::nftnl_rule_add_expr(made, one);
        }
        sys::nftnl_rule_nlmsg_build_payload(out, made);
        sys::nftnl_rule_free(made);
    }
}

/// One of the library's expressions, which belongs to a rule.
struct One(*mut sys::nftnl_expr);

impl One {
    fn number(&self, attribute: u32, value: u32) -> &Self {
        // SAFETY: see the crate.
        unsafe { sys::nftnl_expr_set_u32(self.0, name(attribute), value) };
        self
    }

    /// Without it the library writes nothing, as we do of a zero.
    fn unless_zero(&self, attribute: u32, value: u32) -> &Self {
        match value {
            0 => self,
            value => self.number(attribute, value),
        }
    }

    fn bytes(&self, attribute: u32, value: &[u8]) -> &Self {
        let (data, length) = (value.as_ptr().cast(), length(value));
        // SAFETY: see the crate.
        unsafe { sys::nftnl_expr_set(self.0, name(attribute), data, length) };
        self
    }

    fn text(&self, attribute: u32, value: &str) -> &Self {
        // SAFETY: see the crate.
        unsafe { sys::nftnl_expr_set_str(self.0, name(attribute), text(value).as_ptr()) };
        self
    }
}

fn fill(one: &One, expression: &Expression) {
    match expression {
        Expression::Immediate { dreg, data } => {
            one.number(sys::NFTNL_EXPR_IMM_DREG, *dreg);
            match data {
                Data::Value(value) => one.bytes(sys::NFTNL_EXPR_IMM_DATA, value),
                Data::Verdict { code, chain } => {
                    one.number(sys::NFTNL_EXPR_IMM_VERDICT, code.cast_unsigned());
                    match chain {
                        Some(chain) => one.text(sys::NFTNL_EXPR_IMM_CHAIN, chain),
                        None => one,
                    }
                }
            };
        }
        Expression::Payload {
            dreg,
            base,
            offset,
            len,
        } => {
            one.number(sys::NFTNL_EXPR_PAYLOAD_DREG, *dreg)
                .number(sys::NFTNL_EXPR_PAYLOAD_BASE, *base)
                .number(sys::NFTNL_EXPR_PAYLOAD_OFFSET, *offset)
                .number(sys::NFTNL_EXPR_PAYLOAD_LEN, *len);
        }
        Expression::Meta { key, register } => {
            one.number(sys::NFTNL_EXPR_META_KEY, *key);
            match register {
                Loaded::Into(dreg) => one.number(sys::NFTNL_EXPR_META_DREG, *dreg),
                Loaded::From(sreg) => one.number(sys::NFTNL_EXPR_META_SREG, *sreg),
            };
        }
        Expression::Ct { dreg, key } => {
            one.number(sys::NFTNL_EXPR_CT_DREG, *dreg)
                .number(sys::NFTNL_EXPR_CT_KEY, *key);
        }
        Expression::Fib {
            dreg,
            result,
            flags,
        } => {
            one.number(sys::NFTNL_EXPR_FIB_DREG, *dreg)
                .number(sys::NFTNL_EXPR_FIB_RESULT, *result)
                .number(sys::NFTNL_EXPR_FIB_FLAGS, *flags);
        }
        Expression::Bitwise {
            sreg,
            dreg,
            mask,
            xor,
        } => {
            one.number(sys::NFTNL_EXPR_BITWISE_SREG, *sreg)
                .number(sys::NFTNL_EXPR_BITWISE_DREG, *dreg)
                .number(sys::NFTNL_EXPR_BITWISE_LEN, length(mask))
                .bytes(sys::NFTNL_EXPR_BITWISE_MASK, mask)
                .bytes(sys::NFTNL_EXPR_BITWISE_XOR, xor);
        }
        Expression::Cmp { sreg, op, data } => {
            one.number(sys::NFTNL_EXPR_CMP_SREG, *sreg)
                .number(sys::NFTNL_EXPR_CMP_OP, *op)
                .bytes(sys::NFTNL_EXPR_CMP_DATA, data);
        }
        Expression::Lookup {
            set,
            sreg,
            dreg,
            inverted,
        } => {
            one.text(sys::NFTNL_EXPR_LOOKUP_SET, set)
                .number(sys::NFTNL_EXPR_LOOKUP_SREG, *sreg)
                .unless_zero(sys::NFTNL_EXPR_LOOKUP_FLAGS, u32::from(*inverted));
            if let Some(dreg) = dreg {
                one.number(sys::NFTNL_EXPR_LOOKUP_DREG, *dreg);
            }
        }
        Expression::Dynset {
            set,
            op,
            sreg_key,
            timeout,
        } => {
            one.text(sys::NFTNL_EXPR_DYNSET_SET_NAME, set)
                .number(sys::NFTNL_EXPR_DYNSET_OP, *op)
                .number(sys::NFTNL_EXPR_DYNSET_SREG_KEY, *sreg_key);
            if *timeout != 0 {
                // SAFETY: see the crate.
                unsafe {
                    sys::nftnl_expr_set_u64(one.0, name(sys::NFTNL_EXPR_DYNSET_TIMEOUT), *timeout);
                }
            }
        }
        Expression::Objref { kind, name } => {
            one.number(sys::NFTNL_EXPR_OBJREF_IMM_TYPE, *kind)
                .text(sys::NFTNL_EXPR_OBJREF_IMM_NAME, name);
        }
        Expression::Masq { flags } => {
            one.number(sys::NFTNL_EXPR_MASQ_FLAGS, *flags);
        }
        Expression::Reject { kind, code } => {
            one.number(sys::NFTNL_EXPR_REJECT_TYPE, *kind);
            // SAFETY: see the crate.
            unsafe { sys::nftnl_expr_set_u8(one.0, name(sys::NFTNL_EXPR_REJECT_CODE), *code) };
        }
        Expression::Numgen {
            dreg,
            modulus,
            kind,
            offset,
        } => {
            one.number(sys::NFTNL_EXPR_NG_DREG, *dreg)
                .number(sys::NFTNL_EXPR_NG_MODULUS, *modulus)
                .number(sys::NFTNL_EXPR_NG_TYPE, *kind)
                .unless_zero(sys::NFTNL_EXPR_NG_OFFSET, *offset);
        }
        Expression::Hash {
            sreg,
            dreg,
            len,
            modulus,
            seed,
            offset,
            kind,
        } => {
            one.number(sys::NFTNL_EXPR_HASH_SREG, *sreg)
                .number(sys::NFTNL_EXPR_HASH_DREG, *dreg)
                .number(sys::NFTNL_EXPR_HASH_LEN, *len)
                .number(sys::NFTNL_EXPR_HASH_MODULUS, *modulus)
                .number(sys::NFTNL_EXPR_HASH_SEED, *seed)
                .unless_zero(sys::NFTNL_EXPR_HASH_OFFSET, *offset)
                .number(sys::NFTNL_EXPR_HASH_TYPE, *kind);
        }
        Expression::Nat {
            kind,
            family,
            reg_addr,
            reg_proto,
        } => {
            one.number(sys::NFTNL_EXPR_NAT_TYPE, *kind)
                .number(sys::NFTNL_EXPR_NAT_FAMILY, *family)
                .number(sys::NFTNL_EXPR_NAT_REG_ADDR_MIN, *reg_addr)
                .number(sys::NFTNL_EXPR_NAT_REG_PROTO_MIN, *reg_proto);
        }
        Expression::Counter(_)
        | Expression::Match { .. }
        | Expression::Target { .. }
        | Expression::Other { .. } => panic!("{expression} has no names"),
    }
}
