//! Types of attributes (`NFTA_*` in `linux/netfilter/nf_tables.h`), which libc has not. Their
//! names are the kernel's without the prefix.
#![expect(missing_docs, reason = "they are documented in the kernel's header")]

pub const TABLE_NAME: u16 = 1;
pub const TABLE_FLAGS: u16 = 2;
pub const TABLE_HANDLE: u16 = 4;
pub const TABLE_USERDATA: u16 = 6;

pub const CHAIN_TABLE: u16 = 1;
pub const CHAIN_NAME: u16 = 3;
pub const CHAIN_HOOK: u16 = 4;
pub const CHAIN_POLICY: u16 = 5;
pub const CHAIN_TYPE: u16 = 7;
pub const CHAIN_USERDATA: u16 = 12;
pub const HOOK_HOOKNUM: u16 = 1;
pub const HOOK_PRIORITY: u16 = 2;

pub const RULE_TABLE: u16 = 1;
pub const RULE_CHAIN: u16 = 2;
pub const RULE_HANDLE: u16 = 3;
pub const RULE_EXPRESSIONS: u16 = 4;
pub const RULE_COMPAT: u16 = 5;
pub const RULE_USERDATA: u16 = 7;
pub const COMPAT_PROTOCOL: u16 = 1;
pub const COMPAT_FLAGS: u16 = 2;

pub const SET_TABLE: u16 = 1;
pub const SET_NAME: u16 = 2;
pub const SET_FLAGS: u16 = 3;
pub const SET_KEY_TYPE: u16 = 4;
pub const SET_KEY_LEN: u16 = 5;
pub const SET_DATA_TYPE: u16 = 6;
pub const SET_DATA_LEN: u16 = 7;
pub const SET_DESC: u16 = 9;
pub const SET_ID: u16 = 10;
pub const SET_USERDATA: u16 = 13;
pub const SET_EXPR: u16 = 17;
pub const SET_DESC_SIZE: u16 = 1;

pub const SET_ELEM_LIST_TABLE: u16 = 1;
pub const SET_ELEM_LIST_SET: u16 = 2;
pub const SET_ELEM_LIST_ELEMENTS: u16 = 3;
pub const SET_ELEM_KEY: u16 = 1;
pub const SET_ELEM_DATA: u16 = 2;
pub const SET_ELEM_FLAGS: u16 = 3;
pub const SET_ELEM_TIMEOUT: u16 = 4;
pub const SET_ELEM_EXPIRATION: u16 = 5;
pub const SET_ELEM_USERDATA: u16 = 6;
pub const SET_ELEM_EXPR: u16 = 7;

/// Of a list of rules' expressions, elements and the like.
pub const LIST_ELEM: u16 = 1;
pub const EXPR_NAME: u16 = 1;
pub const EXPR_DATA: u16 = 2;

pub const DATA_VALUE: u16 = 1;
pub const DATA_VERDICT: u16 = 2;
pub const VERDICT_CODE: u16 = 1;
pub const VERDICT_CHAIN: u16 = 2;

pub const IMMEDIATE_DREG: u16 = 1;
pub const IMMEDIATE_DATA: u16 = 2;
pub const BITWISE_SREG: u16 = 1;
pub const BITWISE_DREG: u16 = 2;
pub const BITWISE_LEN: u16 = 3;
pub const BITWISE_MASK: u16 = 4;
pub const BITWISE_XOR: u16 = 5;
pub const BITWISE_OP: u16 = 6;
pub const CMP_SREG: u16 = 1;
pub const CMP_OP: u16 = 2;
pub const CMP_DATA: u16 = 3;
pub const LOOKUP_SET: u16 = 1;
pub const LOOKUP_SREG: u16 = 2;
pub const LOOKUP_DREG: u16 = 3;
pub const LOOKUP_FLAGS: u16 = 5;
pub const DYNSET_SET_NAME: u16 = 1;
pub const DYNSET_OP: u16 = 3;
pub const DYNSET_SREG_KEY: u16 = 4;
pub const DYNSET_TIMEOUT: u16 = 6;
pub const DYNSET_FLAGS: u16 = 9;
pub const OBJREF_IMM_TYPE: u16 = 1;
pub const OBJREF_IMM_NAME: u16 = 2;
pub const COUNTER_BYTES: u16 = 1;
pub const COUNTER_PACKETS: u16 = 2;
pub const PAYLOAD_DREG: u16 = 1;
pub const PAYLOAD_BASE: u16 = 2;
pub const PAYLOAD_OFFSET: u16 = 3;
pub const PAYLOAD_LEN: u16 = 4;
pub const META_DREG: u16 = 1;
pub const META_KEY: u16 = 2;
pub const META_SREG: u16 = 3;
pub const CT_DREG: u16 = 1;
pub const CT_KEY: u16 = 2;
pub const FIB_DREG: u16 = 1;
pub const FIB_RESULT: u16 = 2;
pub const FIB_FLAGS: u16 = 3;
pub const MASQ_FLAGS: u16 = 1;
pub const REJECT_TYPE: u16 = 1;
pub const REJECT_ICMP_CODE: u16 = 2;
pub const NG_DREG: u16 = 1;
pub const NG_MODULUS: u16 = 2;
pub const NG_TYPE: u16 = 3;
pub const NG_OFFSET: u16 = 4;
pub const HASH_SREG: u16 = 1;
pub const HASH_DREG: u16 = 2;
pub const HASH_LEN: u16 = 3;
pub const HASH_MODULUS: u16 = 4;
pub const HASH_SEED: u16 = 5;
pub const HASH_OFFSET: u16 = 6;
pub const HASH_TYPE: u16 = 7;
pub const NAT_TYPE: u16 = 1;
pub const NAT_FAMILY: u16 = 2;
pub const NAT_REG_ADDR_MIN: u16 = 3;
pub const NAT_REG_ADDR_MAX: u16 = 4;
pub const NAT_REG_PROTO_MIN: u16 = 5;
pub const NAT_REG_PROTO_MAX: u16 = 6;
pub const NAT_FLAGS: u16 = 7;

/// Of `match` and `target`, the expressions that iptables' extensions are (`nf_tables_compat.h`).
pub const XT_NAME: u16 = 1;
pub const XT_REVISION: u16 = 2;
pub const XT_INFO: u16 = 3;

pub const GEN_ID: u16 = 1;
pub const GEN_PROC_PID: u16 = 2;
pub const GEN_PROC_NAME: u16 = 3;

/// Of what is neither a table nor a chain: its table, and its name or what it is in.
pub const OBJECT_TABLE: u16 = 1;
pub const OBJECT_NAME: u16 = 2;
pub const OBJECT_TYPE: u16 = 3;
pub const OBJECT_DATA: u16 = 4;
pub const OBJECT_USERDATA: u16 = 8;
