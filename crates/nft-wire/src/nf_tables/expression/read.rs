//! Expressions as the kernel tells them. It tells more than it was told: what was left out, as it
//! understood it. Such an attribute may say nothing new; any other makes the expression a
//! different one.

use super::{Data, Expression, FIRST_REGISTER, LOOKUP_INVERTED, Loaded};
use crate::framing::{attribute, attributes, read_text};
use crate::nf_tables::{Counted, nfta};

/// `NFT_REG_4`, the last of those of 128 bits.
const LAST_WIDE_REGISTER: u32 = 4;
/// `NFT_BITWISE_MASK_XOR` (`NFT_BITWISE_BOOL` in older headers).
const MASK_XOR: u32 = 0;

impl Expression {
    /// Reads one of a list; `None` if it has no name.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let name = attribute(bytes, nfta::EXPR_NAME).and_then(read_text)?;
        let data = attribute(bytes, nfta::EXPR_DATA).unwrap_or_default();
        let mut fields = Fields(attributes(data).collect());
        let known = known(&name, &mut fields).filter(|_| fields.0.is_empty());
        Some(known.unwrap_or_else(|| Self::Other {
            name,
            attributes: data.to_vec(),
        }))
    }
}

/// The expression that all fields were taken for, if it is a known one.
fn known(name: &str, fields: &mut Fields<'_>) -> Option<Expression> {
    Some(match name {
        "immediate" => Expression::Immediate {
            dreg: fields.register(nfta::IMMEDIATE_DREG)?,
            data: Data::read(fields.take(nfta::IMMEDIATE_DATA)?)?,
        },
        "payload" => Expression::Payload {
            dreg: fields.register(nfta::PAYLOAD_DREG)?,
            base: fields.number(nfta::PAYLOAD_BASE)?,
            offset: fields.number(nfta::PAYLOAD_OFFSET)?,
            len: fields.number(nfta::PAYLOAD_LEN)?,
        },
        "meta" => Expression::Meta {
            key: fields.number(nfta::META_KEY)?,
            register: match fields.register(nfta::META_DREG) {
                Some(dreg) => Loaded::Into(dreg),
                None => Loaded::From(fields.register(nfta::META_SREG)?),
            },
        },
        "ct" => Expression::Ct {
            dreg: fields.register(nfta::CT_DREG)?,
            key: fields.number(nfta::CT_KEY)?,
        },
        "fib" => Expression::Fib {
            dreg: fields.register(nfta::FIB_DREG)?,
            result: fields.number(nfta::FIB_RESULT)?,
            flags: fields.number(nfta::FIB_FLAGS)?,
        },
        "bitwise" => bitwise(fields)?,
        "cmp" => Expression::Cmp {
            sreg: fields.register(nfta::CMP_SREG)?,
            op: fields.number(nfta::CMP_OP)?,
            data: fields.value(nfta::CMP_DATA)?,
        },
        "lookup" => Expression::Lookup {
            set: read_text(fields.take(nfta::LOOKUP_SET)?)?,
            sreg: fields.register(nfta::LOOKUP_SREG)?,
            dreg: fields.register(nfta::LOOKUP_DREG),
            inverted: match fields.number(nfta::LOOKUP_FLAGS).unwrap_or(0) {
                0 => false,
                LOOKUP_INVERTED => true,
                _ => return None,
            },
        },
        "dynset" => {
            fields.says_nothing(nfta::DYNSET_FLAGS, 0)?;
            Expression::Dynset {
                set: read_text(fields.take(nfta::DYNSET_SET_NAME)?)?,
                op: fields.number(nfta::DYNSET_OP)?,
                sreg_key: fields.register(nfta::DYNSET_SREG_KEY)?,
                timeout: fields.long(nfta::DYNSET_TIMEOUT).unwrap_or(0),
            }
        }
        "objref" => Expression::Objref {
            kind: fields.number(nfta::OBJREF_IMM_TYPE)?,
            name: read_text(fields.take(nfta::OBJREF_IMM_NAME)?)?,
        },
        "masq" => Expression::Masq {
            flags: fields.number(nfta::MASQ_FLAGS).unwrap_or(0),
        },
        "reject" => Expression::Reject {
            kind: fields.number(nfta::REJECT_TYPE)?,
            code: match fields.take(nfta::REJECT_ICMP_CODE)? {
                [code] => *code,
                _ => return None,
            },
        },
        "numgen" => Expression::Numgen {
            dreg: fields.register(nfta::NG_DREG)?,
            modulus: fields.number(nfta::NG_MODULUS)?,
            kind: fields.number(nfta::NG_TYPE)?,
            offset: fields.number(nfta::NG_OFFSET).unwrap_or(0),
        },
        "hash" => Expression::Hash {
            sreg: fields.register(nfta::HASH_SREG)?,
            dreg: fields.register(nfta::HASH_DREG)?,
            len: fields.number(nfta::HASH_LEN)?,
            modulus: fields.number(nfta::HASH_MODULUS)?,
            seed: fields.number(nfta::HASH_SEED)?,
            offset: fields.number(nfta::HASH_OFFSET).unwrap_or(0),
            kind: fields.number(nfta::HASH_TYPE)?,
        },
        "nat" => nat(fields)?,
        "counter" => Expression::Counter(Counted {
            packets: fields.long(nfta::COUNTER_PACKETS).unwrap_or(0),
            bytes: fields.long(nfta::COUNTER_BYTES).unwrap_or(0),
        }),
        "match" => Expression::Match {
            name: read_text(fields.take(nfta::XT_NAME)?)?,
            revision: fields.number(nfta::XT_REVISION)?,
            info: fields.take(nfta::XT_INFO)?.to_vec(),
        },
        "target" => Expression::Target {
            name: read_text(fields.take(nfta::XT_NAME)?)?,
            revision: fields.number(nfta::XT_REVISION)?,
            info: fields.take(nfta::XT_INFO)?.to_vec(),
        },
        _ => return None,
    })
}

fn bitwise(fields: &mut Fields<'_>) -> Option<Expression> {
    fields.says_nothing(nfta::BITWISE_OP, MASK_XOR)?;
    let (sreg, dreg) = (
        fields.register(nfta::BITWISE_SREG)?,
        fields.register(nfta::BITWISE_DREG)?,
    );
    let len = usize::try_from(fields.number(nfta::BITWISE_LEN)?).ok()?;
    let mask = fields.value(nfta::BITWISE_MASK)?;
    let xor = fields.value(nfta::BITWISE_XOR)?;
    (mask.len() == len && xor.len() == len).then_some(Expression::Bitwise {
        sreg,
        dreg,
        mask,
        xor,
    })
}

/// Without an end, a range ends where it begins; and flags tell that there are ranges.
fn nat(fields: &mut Fields<'_>) -> Option<Expression> {
    /// `NF_NAT_RANGE_MAP_IPS` and `NF_NAT_RANGE_PROTO_SPECIFIED`.
    const RANGES: u32 = 1 | 2;
    fields.says_nothing(nfta::NAT_FLAGS, RANGES)?;
    let (kind, family) = (
        fields.number(nfta::NAT_TYPE)?,
        fields.number(nfta::NAT_FAMILY)?,
    );
    let mut range = |least, most| {
        let least = fields.register(least)?;
        let most = fields.register(most).unwrap_or(least);
        (least == most).then_some(least)
    };
    Some(Expression::Nat {
        kind,
        family,
        reg_addr: range(nfta::NAT_REG_ADDR_MIN, nfta::NAT_REG_ADDR_MAX)?,
        reg_proto: range(nfta::NAT_REG_PROTO_MIN, nfta::NAT_REG_PROTO_MAX)?,
    })
}

/// Attributes that are not taken yet.
struct Fields<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Fields<'a> {
    fn take(&mut self, kind: u16) -> Option<&'a [u8]> {
        let at = self.0.iter().position(|(found, _)| *found == kind)?;
        Some(self.0.swap_remove(at).1)
    }

    fn number(&mut self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(kind)?.try_into().ok()?))
    }

    fn long(&mut self, kind: u16) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(kind)?.try_into().ok()?))
    }

    fn register(&mut self, kind: u16) -> Option<u32> {
        let number = self.number(kind)?;
        Some(match number {
            1..=LAST_WIDE_REGISTER => FIRST_REGISTER + (number - 1) * 4,
            number => number,
        })
    }

    fn value(&mut self, kind: u16) -> Option<Vec<u8>> {
        match Data::read(self.take(kind)?)? {
            Data::Value(value) => Some(value),
            Data::Verdict { .. } => None,
        }
    }

    /// The attribute is not there, or is what it stands for when it is not.
    fn says_nothing(&mut self, kind: u16, default: u32) -> Option<()> {
        match self.0.iter().any(|(found, _)| *found == kind) {
            true => (self.number(kind)? == default).then_some(()),
            false => Some(()),
        }
    }
}
