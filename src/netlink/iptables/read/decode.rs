//! Expressions as a rule of iptables such as kube-proxy has, in whatever form it was written: ports and
//! marks are matches of iptables before 1.8.9, and expressions of nftables from then on.

use super::xt;
use ipnet::IpNet;
use nft_wire::nf_tables::{Data, Expression, Loaded};
use rules::iptables::names::ChainName;
use rules::iptables::rule::{Address, Is, Match, Rule, Target};
use rules::model::{Family, Protocol};
use std::net::IpAddr;

/// The rule; `None` if any part of it is none of those that kube-proxy has.
pub(super) fn rule(family: Family, expressions: &[Expression]) -> Option<Rule> {
    let mut reading = Reading {
        family,
        rest: expressions,
        protocol: None,
        matches: Vec::new(),
        target: None,
    };
    while let Some((first, rest)) = reading.rest.split_first() {
        // Nothing stands behind what decides.
        if reading.target.is_some() {
            return None;
        }
        reading.rest = rest;
        reading.take(first)?;
    }
    if let Some(protocol) = reading.protocol
        && !reading.has_protocol()
    {
        reading.matches.push(Match::Protocol(protocol));
    }
    Some(Rule {
        matches: reading.matches,
        target: reading.target,
    })
}

struct Reading<'a> {
    family: Family,
    rest: &'a [Expression],
    /// What `-p` says.
    protocol: Option<Protocol>,
    matches: Vec<Match>,
    target: Option<Target>,
}

/// What a register holds that is compared.
struct Compared<'a> {
    is: Is,
    mask: Option<&'a [u8]>,
    data: &'a [u8],
}

impl<'a> Reading<'a> {
    fn take(&mut self, expression: &'a Expression) -> Option<()> {
        match expression {
            Expression::Counter(_) => {}
            Expression::Payload {
                base, offset, len, ..
            } => self.payload(*base, *offset, *len)?,
            Expression::Meta {
                key,
                register: Loaded::Into(_),
            } => self.meta(*key)?,
            Expression::Match {
                name,
                revision,
                info,
            } => self.extension(name, *revision, info)?,
            Expression::Target {
                name,
                revision,
                info,
            } => self.target = Some(xt::target(self.family, name, *revision, info)?),
            Expression::Immediate {
                data: Data::Verdict { code, chain },
                ..
            } => self.target = Some(verdict(*code, chain.as_deref())?),
            _ => return None,
        }
        Some(())
    }

    /// What the value that was loaded is compared with.
    fn compared(&mut self) -> Option<Compared<'a>> {
        let mut mask = None;
        if let [Expression::Bitwise { mask: own, xor, .. }, rest @ ..] = self.rest
            && xor.iter().all(|byte| *byte == 0)
        {
            mask = Some(own.as_slice());
            self.rest = rest;
        }
        let [Expression::Cmp { op, data, .. }, rest @ ..] = self.rest else {
            return None;
        };
        self.rest = rest;
        let is = match op.cast_signed() {
            libc::NFT_CMP_EQ => Is::So,
            libc::NFT_CMP_NEQ => Is::Not,
            _ => return None,
        };
        Some(Compared { is, mask, data })
    }

    fn payload(&mut self, base: u32, offset: u32, len: u32) -> Option<()> {
        let is_base = |own: libc::c_int| base == own.cast_unsigned();
        let compared = self.compared()?;
        if is_base(libc::NFT_PAYLOAD_TRANSPORT_HEADER) && (offset, len) == (2, 2) {
            let port = u16::from_be_bytes(compared.data.try_into().ok()?);
            if compared.is == Is::Not || compared.mask.is_some() {
                return None;
            }
            return self.port(self.protocol?, Some(port));
        }
        if !is_base(libc::NFT_PAYLOAD_NETWORK_HEADER) {
            return None;
        }
        let (source, destination, protocol_at) = match self.family {
            Family::V4 => (12, 16, 9),
            Family::V6 => (8, 24, 6),
        };
        if (offset, len) == (protocol_at, 1) && compared.is == Is::So && compared.mask.is_none() {
            self.protocol = Some(protocol_of(*compared.data.first()?)?);
            return Some(());
        }
        let range = Address::Range(self.range(&compared)?);
        self.matches.push(match offset {
            own if own == source => Match::Source(compared.is, range),
            own if own == destination => Match::Destination(compared.is, range),
            _ => return None,
        });
        Some(())
    }

    /// A prefix of whole bytes compares only those; another one has a mask.
    fn range(&self, compared: &Compared<'_>) -> Option<IpNet> {
        let length = match self.family {
            Family::V4 => 4,
            Family::V6 => 16,
        };
        let bits = match compared.mask {
            None => u32::try_from(compared.data.len()).ok()? * 8,
            Some(mask) => {
                let ones = mask.iter().map(|byte| byte.leading_ones());
                let bits = ones.take_while(|ones| *ones > 0).sum();
                let all: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
                if bits != all {
                    return None;
                }
                bits
            }
        };
        let mut bytes = compared.data.to_vec();
        if bytes.len() > length {
            return None;
        }
        bytes.resize(length, 0);
        let address: IpAddr = match self.family {
            Family::V4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
            Family::V6 => <[u8; 16]>::try_from(bytes).ok()?.into(),
        };
        IpNet::new(address, u8::try_from(bits).ok()?).ok()
    }

    fn meta(&mut self, key: u32) -> Option<()> {
        let compared = self.compared()?;
        match key.cast_signed() {
            libc::NFT_META_L4PROTO if compared.is == Is::So && compared.mask.is_none() => {
                self.protocol = Some(protocol_of(*compared.data.first()?)?);
            }
            libc::NFT_META_IIFNAME if compared.mask.is_none() => {
                let text = compared.data.split(|byte| *byte == 0).next()?;
                let wildcard = text.len() == compared.data.len();
                self.matches.push(Match::Interface {
                    is: compared.is,
                    name: str::from_utf8(text).ok()?.into(),
                    wildcard,
                });
            }
            libc::NFT_META_MARK => {
                let number = |bytes: &[u8]| Some(u32::from_ne_bytes(bytes.try_into().ok()?));
                let mark = number(compared.data)?;
                // All of the bits, which is what kube-proxy asks for.
                if number(compared.mask?)? != mark {
                    return None;
                }
                self.matches.push(Match::Mark(compared.is, mark));
            }
            _ => return None,
        }
        Some(())
    }

    fn extension(&mut self, name: &str, revision: u32, info: &[u8]) -> Option<()> {
        match (name, revision) {
            ("tcp" | "udp" | "sctp", 0) => {
                let (protocol, port) = xt::ports(name, info)?;
                (self.protocol == Some(protocol)).then_some(())?;
                self.port(protocol, port)
            }
            _ => {
                self.matches.push(xt::matched(name, revision, info)?);
                Some(())
            }
        }
    }

    fn port(&mut self, protocol: Protocol, port: Option<u16>) -> Option<()> {
        if self.has_protocol() {
            return None;
        }
        self.matches.push(Match::Protocol(protocol));
        self.matches.extend(port.map(Match::Port));
        Some(())
    }

    fn has_protocol(&self) -> bool {
        let mut matches = self.matches.iter();
        matches.any(|own| matches!(own, Match::Protocol(_)))
    }
}

fn protocol_of(number: u8) -> Option<Protocol> {
    let all = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    all.into_iter().find(|own| own.number() == number)
}

fn verdict(code: i32, chain: Option<&str>) -> Option<Target> {
    Some(match code {
        libc::NF_ACCEPT => Target::Accept,
        libc::NF_DROP => Target::Drop,
        libc::NFT_RETURN => Target::Return,
        libc::NFT_JUMP => Target::Jump(ChainName::read(chain?)?),
        _ => return None,
    })
}
