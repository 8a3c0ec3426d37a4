//! Expressions as text, for people: what libnftnl and `nft --debug=netlink` print of them.

use super::{Data, Expression, FIRST_REGISTER, Loaded, VERDICT_REGISTER};
use std::fmt;

/// Of attributes that are not known, so many bytes are shown.
const SHOWN: usize = 32;

/// The first register of each four goes by the number of the wide one.
fn register(number: u32) -> u32 {
    match number.checked_sub(FIRST_REGISTER) {
        Some(offset) if offset % 4 == 0 && offset < 16 => 1 + offset / 4,
        _ => number,
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        for byte in self.0.iter().take(SHOWN) {
            write!(f, "{byte:02x}")?;
        }
        match self.0.len() > SHOWN {
            true => f.write_str("..."),
            false => Ok(()),
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => Hex(value).fmt(f),
            Self::Verdict { code, chain } => {
                match *code {
                    libc::NF_ACCEPT => f.write_str("accept")?,
                    libc::NF_DROP => f.write_str("drop")?,
                    libc::NFT_JUMP => f.write_str("jump")?,
                    libc::NFT_GOTO => f.write_str("goto")?,
                    libc::NFT_RETURN => f.write_str("return")?,
                    libc::NFT_CONTINUE => f.write_str("continue")?,
                    code => write!(f, "verdict {code}")?,
                }
                match chain {
                    Some(chain) => write!(f, " -> {chain}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[ {} ", self.name())?;
        match self {
            Self::Immediate { dreg, data } => write!(f, "reg {} {data}", register(*dreg)),
            Self::Payload {
                dreg,
                base,
                offset,
                len,
            } => {
                let base = match base.cast_signed() {
                    libc::NFT_PAYLOAD_LL_HEADER => "link",
                    libc::NFT_PAYLOAD_NETWORK_HEADER => "network",
                    libc::NFT_PAYLOAD_TRANSPORT_HEADER => "transport",
                    _ => "other",
                };
                let dreg = register(*dreg);
                write!(f, "load {len}b @ {base} header + {offset} => reg {dreg}")
            }
            Self::Meta { key, register: way } => match way {
                Loaded::Into(dreg) => write!(f, "load key {key} => reg {}", register(*dreg)),
                Loaded::From(sreg) => write!(f, "set key {key} with reg {}", register(*sreg)),
            },
            Self::Ct { dreg, key } => write!(f, "load key {key} => reg {}", register(*dreg)),
            Self::Fib {
                dreg,
                result,
                flags,
            } => write!(
                f,
                "result {result} flags {flags} => reg {}",
                register(*dreg)
            ),
            Self::Bitwise {
                sreg,
                dreg,
                mask,
                xor,
            } => {
                let (dreg, sreg) = (register(*dreg), register(*sreg));
                let (mask, xor) = (Hex(mask), Hex(xor));
                write!(f, "reg {dreg} = ( reg {sreg} & {mask} ) ^ {xor}")
            }
            Self::Cmp { sreg, op, data } => {
                let op = match op.cast_signed() {
                    libc::NFT_CMP_EQ => "eq",
                    libc::NFT_CMP_NEQ => "neq",
                    libc::NFT_CMP_LT => "lt",
                    libc::NFT_CMP_LTE => "lte",
                    libc::NFT_CMP_GT => "gt",
                    libc::NFT_CMP_GTE => "gte",
                    _ => "other",
                };
                write!(f, "{op} reg {} {}", register(*sreg), Hex(data))
            }
            Self::Lookup {
                set,
                sreg,
                dreg,
                inverted,
            } => {
                write!(f, "reg {} set {set}", register(*sreg))?;
                match dreg {
                    Some(VERDICT_REGISTER) => f.write_str(" verdict")?,
                    Some(dreg) => write!(f, " dreg {}", register(*dreg))?,
                    None => {}
                }
                f.write_str(if *inverted { " inverted" } else { "" })
            }
            Self::Dynset {
                set,
                op,
                sreg_key,
                timeout,
            } => {
                let sreg = register(*sreg_key);
                write!(f, "op {op} reg_key {sreg} set {set} timeout {timeout}ms")
            }
            Self::Objref { kind, name } => write!(f, "type {kind} name {name}"),
            Self::Masq { flags } => write!(f, "flags {flags:#x}"),
            Self::Reject { kind, code } => write!(f, "type {kind} code {code}"),
            Self::Numgen {
                dreg,
                modulus,
                kind,
                offset,
            } => {
                let dreg = register(*dreg);
                write!(f, "type {kind} mod {modulus} offset {offset} => reg {dreg}")
            }
            Self::Hash {
                sreg,
                dreg,
                len,
                modulus,
                seed,
                offset,
                kind,
            } => write!(
                f,
                "type {kind} reg {} len {len} mod {modulus} seed {seed:#x} offset {offset} => reg {}",
                register(*sreg),
                register(*dreg)
            ),
            Self::Nat {
                kind,
                family,
                reg_addr,
                reg_proto,
            } => write!(
                f,
                "type {kind} family {family} addr reg {} port reg {}",
                register(*reg_addr),
                register(*reg_proto)
            ),
            Self::Counter(counted) => {
                write!(f, "pkts {} bytes {}", counted.packets, counted.bytes)
            }
            Self::Match {
                name,
                revision,
                info,
            }
            | Self::Target {
                name,
                revision,
                info,
            } => write!(f, "name {name} rev {revision} {}", Hex(info)),
            Self::Other { attributes, .. } => Hex(attributes).fmt(f),
        }?;
        f.write_str(" ]")
    }
}
