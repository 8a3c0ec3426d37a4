//! Expressions: what rules are made of, in the order in which the kernel's virtual machine
//! evaluates them. Those that are known here are written and read; any other is kept as it came.

mod read;
mod show;

use super::nfta;
use super::object::Counted;
use crate::writer::Writer;

/// `NFT_REG_VERDICT`, the register that decides where a packet goes on.
pub const VERDICT_REGISTER: u32 = 0;
/// `NFT_REG32_00`: the first register of 32 bits, the others follow.
///
/// The kernel takes and tells the first of each four as one of 128 bits, `NFT_REG_1` to
/// `NFT_REG_4`. Reading makes it the former again.
pub const FIRST_REGISTER: u32 = 8;

/// Contents of a register or of a map's element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Bytes, as the kernel compares them.
    Value(Vec<u8>),
    /// Where a packet goes on.
    Verdict {
        /// `NF_ACCEPT`, `NF_DROP`, `NFT_JUMP`, `NFT_GOTO` ...
        code: i32,
        /// For those that go somewhere.
        chain: Option<String>,
    },
}

impl Data {
    /// Writes it as an attribute.
    pub fn write(&self, out: &mut Writer, kind: u16) {
        out.nested(kind, |out| match self {
            Self::Value(value) => out.attribute(nfta::DATA_VALUE, value),
            Self::Verdict { code, chain } => out.nested(nfta::DATA_VERDICT, |out| {
                out.number(nfta::VERDICT_CODE, code.cast_unsigned());
                if let Some(chain) = chain {
                    out.text(nfta::VERDICT_CHAIN, chain);
                }
            }),
        });
    }

    /// Reads an attribute's contents.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, value) = crate::attributes(bytes).next()?;
        match kind {
            nfta::DATA_VALUE => Some(Self::Value(value.to_vec())),
            nfta::DATA_VERDICT => {
                let code = crate::attribute(value, nfta::VERDICT_CODE)?;
                let code = u32::from_be_bytes(code.try_into().ok()?).cast_signed();
                let chain = crate::text_of(value, nfta::VERDICT_CHAIN);
                Some(Self::Verdict { code, chain })
            }
            _ => None,
        }
    }
}

/// Which way a value goes between a register and what an expression is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// It is loaded into this register.
    Into(u32),
    /// It is set from this register.
    From(u32),
}

/// An expression. Numbers are the kernel's; registers are those of 32 bits, lengths and offsets
/// bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named and documented in the kernel's header"
)]
pub enum Expression {
    /// Loads a constant.
    Immediate { dreg: u32, data: Data },
    /// Loads a part of the packet; `base` is one of `NFT_PAYLOAD_*`.
    Payload {
        dreg: u32,
        base: u32,
        offset: u32,
        len: u32,
    },
    /// Loads or sets what the kernel keeps with a packet; `key` is one of `NFT_META_*`.
    Meta { key: u32, register: Loaded },
    /// Loads something of the connection; `key` is one of `NFT_CT_*`.
    Ct { dreg: u32, key: u32 },
    /// Loads what the routing table says; `result` is one of `NFT_FIB_RESULT_*`, `flags` are of
    /// `NFTA_FIB_F_*`.
    Fib { dreg: u32, result: u32, flags: u32 },
    /// `dreg = (sreg & mask) ^ xor`.
    Bitwise {
        sreg: u32,
        dreg: u32,
        mask: Vec<u8>,
        xor: Vec<u8>,
    },
    /// Goes on if the comparison holds; `op` is one of `NFT_CMP_*`.
    Cmp { sreg: u32, op: u32, data: Vec<u8> },
    /// Goes on if the key is in a set (or is not, if `inverted`), or loads a map's value.
    Lookup {
        set: String,
        sreg: u32,
        dreg: Option<u32>,
        inverted: bool,
    },
    /// Puts a key into a set; `op` is one of `NFT_DYNSET_OP_*`, the time is in milliseconds, 0 for
    /// none.
    Dynset {
        set: String,
        op: u32,
        sreg_key: u32,
        timeout: u64,
    },
    /// Has an object do what it does; `kind` is one of `NFT_OBJECT_*`.
    Objref { kind: u32, name: String },
    /// Gives the packet the address of the interface that it leaves by; `NF_NAT_RANGE_*`.
    Masq { flags: u32 },
    /// Answers with an error; `kind` is one of `NFT_REJECT_*`.
    Reject { kind: u32, code: u8 },
    /// Loads a number; `kind` is one of `NFT_NG_*`.
    Numgen {
        dreg: u32,
        modulus: u32,
        kind: u32,
        offset: u32,
    },
    /// Loads a hash of a register; `kind` is one of `NFT_HASH_*`.
    Hash {
        sreg: u32,
        dreg: u32,
        len: u32,
        modulus: u32,
        seed: u32,
        offset: u32,
        kind: u32,
    },
    /// Translates addresses; `kind` is one of `NFT_NAT_*`, `family` of `NFPROTO_*`.
    Nat {
        kind: u32,
        family: u32,
        reg_addr: u32,
        reg_proto: u32,
    },
    /// Counts packets, on from what it has counted so far.
    Counter(Counted),
    /// Goes on if one of iptables' matches holds; `info` is the match's own structure, filled up to
    /// 64 bits.
    Match {
        name: String,
        revision: u32,
        info: Vec<u8>,
    },
    /// Does what one of iptables' targets does; `info` as that of a match.
    Target {
        name: String,
        revision: u32,
        info: Vec<u8>,
    },
    /// Another one, or one of these with attributes that are not known here.
    Other {
        /// What the kernel calls it.
        name: String,
        /// Its attributes, as they are.
        attributes: Vec<u8>,
    },
}

impl Expression {
    /// What the kernel calls it.
    pub fn name(&self) -> &str {
        match self {
            Self::Immediate { .. } => "immediate",
            Self::Payload { .. } => "payload",
            Self::Meta { .. } => "meta",
            Self::Ct { .. } => "ct",
            Self::Fib { .. } => "fib",
            Self::Bitwise { .. } => "bitwise",
            Self::Cmp { .. } => "cmp",
            Self::Lookup { .. } => "lookup",
            Self::Dynset { .. } => "dynset",
            Self::Objref { .. } => "objref",
            Self::Masq { .. } => "masq",
            Self::Reject { .. } => "reject",
            Self::Numgen { .. } => "numgen",
            Self::Hash { .. } => "hash",
            Self::Nat { .. } => "nat",
            Self::Counter(_) => "counter",
            Self::Match { .. } => "match",
            Self::Target { .. } => "target",
            Self::Other { name, .. } => name,
        }
    }

    /// Writes it as one of a list.
    pub fn write(&self, out: &mut Writer) {
        out.nested(nfta::LIST_ELEM, |out| {
            out.text(nfta::EXPR_NAME, self.name());
            out.nested(nfta::EXPR_DATA, |out| self.write_data(out));
        });
    }

    fn write_data(&self, out: &mut Writer) {
        match self {
            Self::Immediate { dreg, data } => {
                out.number(nfta::IMMEDIATE_DREG, *dreg);
                data.write(out, nfta::IMMEDIATE_DATA);
            }
            Self::Payload {
                dreg,
                base,
                offset,
                len,
            } => {
                out.number(nfta::PAYLOAD_DREG, *dreg);
                out.number(nfta::PAYLOAD_BASE, *base);
                out.number(nfta::PAYLOAD_OFFSET, *offset);
                out.number(nfta::PAYLOAD_LEN, *len);
            }
            Self::Meta { key, register } => {
                out.number(nfta::META_KEY, *key);
                match register {
                    Loaded::Into(dreg) => out.number(nfta::META_DREG, *dreg),
                    Loaded::From(sreg) => out.number(nfta::META_SREG, *sreg),
                }
            }
            Self::Ct { dreg, key } => {
                out.number(nfta::CT_KEY, *key);
                out.number(nfta::CT_DREG, *dreg);
            }
            Self::Fib {
                dreg,
                result,
                flags,
            } => {
                out.number(nfta::FIB_RESULT, *result);
                out.number(nfta::FIB_FLAGS, *flags);
                out.number(nfta::FIB_DREG, *dreg);
            }
            Self::Bitwise {
                sreg,
                dreg,
                mask,
                xor,
            } => {
                out.number(nfta::BITWISE_SREG, *sreg);
                out.number(nfta::BITWISE_DREG, *dreg);
                // An attribute of more than 64 KiB is an error by itself.
                let len = u32::try_from(mask.len()).unwrap_or(u32::MAX);
                out.number(nfta::BITWISE_LEN, len);
                value(out, nfta::BITWISE_MASK, mask);
                value(out, nfta::BITWISE_XOR, xor);
            }
            Self::Cmp { sreg, op, data } => {
                out.number(nfta::CMP_SREG, *sreg);
                out.number(nfta::CMP_OP, *op);
                value(out, nfta::CMP_DATA, data);
            }
            Self::Lookup {
                set,
                sreg,
                dreg,
                inverted,
            } => {
                out.text(nfta::LOOKUP_SET, set);
                out.number(nfta::LOOKUP_SREG, *sreg);
                if let Some(dreg) = dreg {
                    out.number(nfta::LOOKUP_DREG, *dreg);
                }
                if *inverted {
                    out.number(nfta::LOOKUP_FLAGS, LOOKUP_INVERTED);
                }
            }
            Self::Dynset {
                set,
                op,
                sreg_key,
                timeout,
            } => {
                out.number(nfta::DYNSET_SREG_KEY, *sreg_key);
                out.number(nfta::DYNSET_OP, *op);
                if *timeout != 0 {
                    out.long(nfta::DYNSET_TIMEOUT, *timeout);
                }
                out.text(nfta::DYNSET_SET_NAME, set);
            }
            Self::Objref { kind, name } => {
                out.number(nfta::OBJREF_IMM_TYPE, *kind);
                // As nft writes it, without a NUL.
                out.attribute(nfta::OBJREF_IMM_NAME, name.as_bytes());
            }
            Self::Masq { flags } => out.number(nfta::MASQ_FLAGS, *flags),
            Self::Reject { kind, code } => {
                out.number(nfta::REJECT_TYPE, *kind);
                out.attribute(nfta::REJECT_ICMP_CODE, &[*code]);
            }
            Self::Numgen {
                dreg,
                modulus,
                kind,
                offset,
            } => {
                out.number(nfta::NG_DREG, *dreg);
                out.number(nfta::NG_MODULUS, *modulus);
                out.number(nfta::NG_TYPE, *kind);
                if *offset != 0 {
                    out.number(nfta::NG_OFFSET, *offset);
                }
            }
            Self::Hash {
                sreg,
                dreg,
                len,
                modulus,
                seed,
                offset,
                kind,
            } => {
                out.number(nfta::HASH_SREG, *sreg);
                out.number(nfta::HASH_DREG, *dreg);
                out.number(nfta::HASH_LEN, *len);
                out.number(nfta::HASH_MODULUS, *modulus);
                out.number(nfta::HASH_SEED, *seed);
                if *offset != 0 {
                    out.number(nfta::HASH_OFFSET, *offset);
                }
                out.number(nfta::HASH_TYPE, *kind);
            }
            Self::Nat {
                kind,
                family,
                reg_addr,
                reg_proto,
            } => {
                out.number(nfta::NAT_TYPE, *kind);
                out.number(nfta::NAT_FAMILY, *family);
                out.number(nfta::NAT_REG_ADDR_MIN, *reg_addr);
                out.number(nfta::NAT_REG_PROTO_MIN, *reg_proto);
            }
            Self::Counter(counted) => counted.write(out),
            Self::Match {
                name,
                revision,
                info,
            }
            | Self::Target {
                name,
                revision,
                info,
            } => {
                out.text(nfta::XT_NAME, name);
                out.number(nfta::XT_REVISION, *revision);
                out.attribute(nfta::XT_INFO, info);
            }
            Self::Other { attributes, .. } => out.raw(attributes),
        }
    }
}

/// `NFT_LOOKUP_F_INV`.
const LOOKUP_INVERTED: u32 = 1;

fn value(out: &mut Writer, kind: u16, bytes: &[u8]) {
    out.nested(kind, |out| out.attribute(nfta::DATA_VALUE, bytes));
}

#[cfg(test)]
mod tests;
