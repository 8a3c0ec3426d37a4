//! Statements of rules, as the expressions of the kernel's virtual machine;
//! the same ones that nft makes of the same text.

use super::attributes::{attribute, nested, text};
use super::subsystem::{number, protocol_family};
use ipnet::IpNet;
use rules::model::{Backend, Family, Protocol};
use rules::nft::ruleset::{Header, Pick, SetId, Side, Statement, Verdict};

/// The first register of 32 bits; the others follow. Keys begin here.
const FIRST_REGISTER: u32 = 8;
const VERDICT_REGISTER: u32 = 0;

/// `linux/netfilter/nf_tables.h`.
mod kernel {
    pub(super) const LIST_ELEMENT: u16 = 1;
    pub(super) const EXPRESSION_NAME: u16 = 1;
    pub(super) const EXPRESSION_DATA: u16 = 2;
    pub(super) const DATA_VALUE: u16 = 1;
    pub(super) const DATA_VERDICT: u16 = 2;
    pub(super) const VERDICT_CODE: u16 = 1;
    pub(super) const VERDICT_CHAIN: u16 = 2;
    pub(super) const IMMEDIATE_DREG: u16 = 1;
    pub(super) const IMMEDIATE_DATA: u16 = 2;
    pub(super) const BITWISE_SREG: u16 = 1;
    pub(super) const BITWISE_DREG: u16 = 2;
    pub(super) const BITWISE_LENGTH: u16 = 3;
    pub(super) const BITWISE_MASK: u16 = 4;
    pub(super) const BITWISE_XOR: u16 = 5;
    pub(super) const CMP_SREG: u16 = 1;
    pub(super) const CMP_OPERATOR: u16 = 2;
    pub(super) const CMP_DATA: u16 = 3;
    pub(super) const LOOKUP_SET: u16 = 1;
    pub(super) const LOOKUP_SREG: u16 = 2;
    pub(super) const LOOKUP_DREG: u16 = 3;
    pub(super) const LOOKUP_FLAGS: u16 = 5;
    pub(super) const DYNSET_SET: u16 = 1;
    pub(super) const DYNSET_OPERATION: u16 = 3;
    pub(super) const DYNSET_SREG_KEY: u16 = 4;
    pub(super) const DYNSET_TIMEOUT: u16 = 6;
    pub(super) const PAYLOAD_DREG: u16 = 1;
    pub(super) const PAYLOAD_BASE: u16 = 2;
    pub(super) const PAYLOAD_OFFSET: u16 = 3;
    pub(super) const PAYLOAD_LENGTH: u16 = 4;
    pub(super) const META_DREG: u16 = 1;
    pub(super) const META_KEY: u16 = 2;
    pub(super) const META_SREG: u16 = 3;
    pub(super) const CT_DREG: u16 = 1;
    pub(super) const CT_KEY: u16 = 2;
    pub(super) const FIB_DREG: u16 = 1;
    pub(super) const FIB_RESULT: u16 = 2;
    pub(super) const FIB_FLAGS: u16 = 3;
    pub(super) const MASQ_FLAGS: u16 = 1;
    pub(super) const REJECT_TYPE: u16 = 1;
    pub(super) const REJECT_CODE: u16 = 2;
    pub(super) const NUMGEN_DREG: u16 = 1;
    pub(super) const NUMGEN_MODULUS: u16 = 2;
    pub(super) const NUMGEN_TYPE: u16 = 3;
    pub(super) const NUMGEN_OFFSET: u16 = 4;
    pub(super) const HASH_SREG: u16 = 1;
    pub(super) const HASH_DREG: u16 = 2;
    pub(super) const HASH_LENGTH: u16 = 3;
    pub(super) const HASH_MODULUS: u16 = 4;
    pub(super) const HASH_SEED: u16 = 5;
    pub(super) const HASH_OFFSET: u16 = 6;
    pub(super) const HASH_TYPE: u16 = 7;
    pub(super) const NAT_TYPE: u16 = 1;
    pub(super) const NAT_FAMILY: u16 = 2;
    pub(super) const NAT_REG_ADDRESS: u16 = 3;
    pub(super) const NAT_REG_PORT: u16 = 5;
}

/// Adds a statement's expressions to those of a rule.
pub(super) fn add(out: &mut Vec<u8>, family: Family, statement: &Statement) {
    let mut rule = Sink { out, family };
    match statement {
        Statement::CtStateNew => rule.ct_bit(libc::NFT_CT_STATE, 8),
        Statement::CtStatusDnat => rule.ct_bit(libc::NFT_CT_STATUS, 1 << 5),
        Statement::FibLocal(side) => rule.fib_local(*side),
        Statement::Address {
            side,
            prefix,
            negated,
        } => rule.address(*side, prefix, *negated),
        Statement::InputInterface {
            name,
            wildcard,
            negated,
        } => {
            rule.input_interface(name, *wildcard, *negated);
        }
        Statement::InSet { key, set, negated } => {
            rule.key(key);
            rule.is_in(set.name(), *negated);
        }
        Statement::VerdictMap { key, map } => {
            rule.key(key);
            rule.lookup(*map, VERDICT_REGISTER);
        }
        Statement::NotFrom(set) => {
            rule.load_address(Side::Source, FIRST_REGISTER);
            rule.is_in(&set.to_string(), true);
        }
        Statement::InAffinity(set) => {
            rule.load_address(Side::Source, FIRST_REGISTER);
            rule.is_in(&set.to_string(), false);
        }
        Statement::UpdateAffinity { set, seconds } => rule.update(&set.to_string(), *seconds),
        Statement::OneIn(count) => {
            rule.random(*count, FIRST_REGISTER, 0);
            rule.compare(libc::NFT_CMP_EQ, &0u32.to_ne_bytes());
        }
        Statement::DnatListed {
            protocol,
            pick,
            count,
            first,
        } => {
            rule.is_protocol(*protocol);
            rule.pick(*pick, *count, *first);
            rule.lookup(SetId::PortEndpoints, FIRST_REGISTER);
            rule.nat();
        }
        Statement::DnatTo { protocol, backend } => rule.dnat_to(*protocol, *backend),
        Statement::MarkHas(bit) => {
            rule.load_mark();
            rule.bitwise(&bit.to_ne_bytes(), &[0; 4]);
            rule.compare(libc::NFT_CMP_NEQ, &[0; 4]);
        }
        Statement::MarkOr(bit) => rule.set_mark(!bit, *bit),
        Statement::MarkXor(bit) => rule.set_mark(u32::MAX, *bit),
        Statement::Masquerade => rule.masquerade(),
        Statement::Reject => rule.reject(),
        Statement::Dnat { key, modulus, map } => rule.dnat(key, *modulus, *map),
        Statement::Verdict(verdict) => rule.verdict(verdict),
    }
}

/// The list of a rule's expressions.
struct Sink<'a> {
    out: &'a mut Vec<u8>,
    family: Family,
}

/// Writes an expression's attributes.
struct Expression<'a>(&'a mut Vec<u8>);

impl Expression<'_> {
    fn number(self, kind: u16, value: u32) -> Self {
        number(self.0, kind, value);
        self
    }

    fn long(self, kind: u16, value: u64) -> Self {
        attribute(self.0, kind, &value.to_be_bytes());
        self
    }

    fn byte(self, kind: u16, value: u8) -> Self {
        attribute(self.0, kind, &[value]);
        self
    }

    fn text(self, kind: u16, value: &str) -> Self {
        text(self.0, kind, value);
        self
    }

    fn data(self, kind: u16, value: &[u8]) -> Self {
        nested(self.0, kind, |out| {
            attribute(out, kernel::DATA_VALUE, value);
        });
        self
    }

    fn verdict(self, kind: u16, code: libc::c_int, chain: Option<&str>) -> Self {
        nested(self.0, kind, |out| {
            nested(out, kernel::DATA_VERDICT, |out| {
                number(out, kernel::VERDICT_CODE, code.cast_unsigned());
                if let Some(chain) = chain {
                    text(out, kernel::VERDICT_CHAIN, chain);
                }
            });
        });
        self
    }
}

impl Sink<'_> {
    /// Adds an expression with the attributes that `fill` writes.
    fn push(&mut self, name: &str, fill: impl FnOnce(Expression<'_>) -> Expression<'_>) {
        nested(self.out, kernel::LIST_ELEMENT, |out| {
            text(out, kernel::EXPRESSION_NAME, name);
            nested(out, kernel::EXPRESSION_DATA, |out| {
                fill(Expression(out));
            });
        });
    }

    /// Loads the fields of a key into consecutive registers; returns the next.
    fn key(&mut self, key: &[Header]) -> u32 {
        key.iter()
            .fold(FIRST_REGISTER, |register, header| match header {
                Header::Address(side) => {
                    self.load_address(*side, register);
                    register + address_length(self.family) / 4
                }
                Header::Protocol => {
                    self.meta(libc::NFT_META_L4PROTO, register);
                    register + 1
                }
                Header::Port => {
                    // The destination port: the same place in TCP, UDP and SCTP.
                    self.payload(libc::NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, register);
                    register + 1
                }
            })
    }

    fn load_address(&mut self, side: Side, register: u32) {
        let offset = match (self.family, side) {
            (Family::V4, Side::Source) => 12,
            (Family::V4, Side::Destination) => 16,
            (Family::V6, Side::Source) => 8,
            (Family::V6, Side::Destination) => 24,
        };
        let length = address_length(self.family);
        self.payload(libc::NFT_PAYLOAD_NETWORK_HEADER, offset, length, register);
    }

    fn payload(&mut self, base: libc::c_int, offset: u32, length: u32, register: u32) {
        self.push("payload", |own| {
            own.number(kernel::PAYLOAD_BASE, base.cast_unsigned())
                .number(kernel::PAYLOAD_OFFSET, offset)
                .number(kernel::PAYLOAD_LENGTH, length)
                .number(kernel::PAYLOAD_DREG, register)
        });
    }

    fn meta(&mut self, key: libc::c_int, register: u32) {
        self.push("meta", |own| {
            own.number(kernel::META_KEY, key.cast_unsigned())
                .number(kernel::META_DREG, register)
        });
    }

    fn compare(&mut self, operator: libc::c_int, data: &[u8]) {
        self.push("cmp", |own| {
            own.number(kernel::CMP_SREG, FIRST_REGISTER)
                .number(kernel::CMP_OPERATOR, operator.cast_unsigned())
                .data(kernel::CMP_DATA, data)
        });
    }

    /// `register = (register & mask) ^ xor`.
    fn bitwise(&mut self, mask: &[u8], xor: &[u8]) {
        let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
        self.push("bitwise", |own| {
            own.number(kernel::BITWISE_SREG, FIRST_REGISTER)
                .number(kernel::BITWISE_DREG, FIRST_REGISTER)
                .number(kernel::BITWISE_LENGTH, length)
                .data(kernel::BITWISE_MASK, mask)
                .data(kernel::BITWISE_XOR, xor)
        });
    }

    fn ct_bit(&mut self, key: libc::c_int, bit: u32) {
        self.push("ct", |own| {
            own.number(kernel::CT_KEY, key.cast_unsigned())
                .number(kernel::CT_DREG, FIRST_REGISTER)
        });
        self.bitwise(&bit.to_ne_bytes(), &[0; 4]);
        self.compare(libc::NFT_CMP_NEQ, &[0; 4]);
    }

    fn fib_local(&mut self, side: Side) {
        /// `NFT_FIB_RESULT_ADDRTYPE`, and the flags that choose the address.
        const ADDRESS_TYPE: u32 = 3;
        const SOURCE: u32 = 1;
        const DESTINATION: u32 = 2;
        let flags = match side {
            Side::Source => SOURCE,
            Side::Destination => DESTINATION,
        };
        self.push("fib", |own| {
            own.number(kernel::FIB_RESULT, ADDRESS_TYPE)
                .number(kernel::FIB_FLAGS, flags)
                .number(kernel::FIB_DREG, FIRST_REGISTER)
        });
        self.compare(libc::NFT_CMP_EQ, &u32::from(libc::RTN_LOCAL).to_ne_bytes());
    }

    fn address(&mut self, side: Side, prefix: &IpNet, negated: bool) {
        self.load_address(side, FIRST_REGISTER);
        if prefix.prefix_len() < prefix.max_prefix_len() {
            let mask = octets(prefix.netmask());
            self.bitwise(&mask, &vec![0; mask.len()]);
        }
        self.compare(equality(negated), &octets(prefix.network()));
    }

    fn input_interface(&mut self, name: &str, wildcard: bool, negated: bool) {
        self.meta(libc::NFT_META_IIFNAME, FIRST_REGISTER);
        let mut data = name.as_bytes().to_vec();
        if !wildcard {
            // The whole name, its closing NUL and what the kernel fills up.
            data.resize(libc::IFNAMSIZ, 0);
        }
        self.compare(equality(negated), &data);
    }

    fn lookup(&mut self, map: SetId, result: u32) {
        self.push("lookup", |own| {
            own.number(kernel::LOOKUP_SREG, FIRST_REGISTER)
                .text(kernel::LOOKUP_SET, map.name())
                .number(kernel::LOOKUP_DREG, result)
        });
    }

    fn is_in(&mut self, set: &str, negated: bool) {
        /// `NFT_LOOKUP_F_INV`.
        const INVERTED: u32 = 1;
        self.push("lookup", |own| {
            let own = own
                .number(kernel::LOOKUP_SREG, FIRST_REGISTER)
                .text(kernel::LOOKUP_SET, set);
            if negated {
                own.number(kernel::LOOKUP_FLAGS, INVERTED)
            } else {
                own
            }
        });
    }

    /// Puts the source address into a set, or keeps it there, for so long.
    fn update(&mut self, set: &str, seconds: u32) {
        /// `NFT_DYNSET_OP_UPDATE`.
        const UPDATE: u32 = 1;
        self.load_address(Side::Source, FIRST_REGISTER);
        self.push("dynset", |own| {
            own.number(kernel::DYNSET_SREG_KEY, FIRST_REGISTER)
                .number(kernel::DYNSET_OPERATION, UPDATE)
                .text(kernel::DYNSET_SET, set)
                .long(kernel::DYNSET_TIMEOUT, u64::from(seconds) * 1000)
        });
    }

    fn load_mark(&mut self) {
        self.meta(libc::NFT_META_MARK, FIRST_REGISTER);
    }

    fn set_mark(&mut self, mask: u32, xor: u32) {
        self.load_mark();
        self.bitwise(&mask.to_ne_bytes(), &xor.to_ne_bytes());
        self.push("meta", |own| {
            own.number(kernel::META_KEY, libc::NFT_META_MARK.cast_unsigned())
                .number(kernel::META_SREG, FIRST_REGISTER)
        });
    }

    fn masquerade(&mut self) {
        /// `NF_NAT_RANGE_PROTO_RANDOM_FULLY`.
        const FULLY_RANDOM: u32 = 1 << 4;
        self.push("masq", |own| own.number(kernel::MASQ_FLAGS, FULLY_RANDOM));
    }

    fn reject(&mut self) {
        /// `NFT_REJECT_ICMP_UNREACH`, and port unreachable in each family.
        const ICMP: u32 = 0;
        let code = match self.family {
            Family::V4 => 3,
            Family::V6 => 4,
        };
        self.push("reject", |own| {
            own.number(kernel::REJECT_TYPE, ICMP)
                .byte(kernel::REJECT_CODE, code)
        });
    }

    fn dnat(&mut self, key: &[Header], modulus: u32, map: SetId) {
        let register = self.key(key);
        self.random(modulus, register, 0);
        self.lookup(map, FIRST_REGISTER);
        self.nat();
    }

    fn dnat_to(&mut self, protocol: Protocol, backend: Backend) {
        self.is_protocol(protocol);
        let address = octets(backend.address);
        let port = FIRST_REGISTER + address_length(self.family) / 4;
        self.immediate(FIRST_REGISTER, &address);
        self.immediate(port, &backend.port.to_be_bytes());
        self.nat();
    }

    fn is_protocol(&mut self, protocol: Protocol) {
        self.meta(libc::NFT_META_L4PROTO, FIRST_REGISTER);
        self.compare(libc::NFT_CMP_EQ, &[protocol.number()]);
    }

    /// A number from `first` on, `count` of them, into the first register.
    fn pick(&mut self, pick: Pick, count: u32, first: u32) {
        match pick {
            Pick::Random => self.random(count, FIRST_REGISTER, first),
            Pick::Source => self.hash_source(count, first),
        }
    }

    fn hash_source(&mut self, count: u32, first: u32) {
        /// `NFT_HASH_JENKINS`.
        const JENKINS: u32 = 0;
        const SOURCE: u32 = FIRST_REGISTER + 1;
        self.load_address(Side::Source, SOURCE);
        let length = address_length(self.family);
        self.push("hash", |own| {
            own.number(kernel::HASH_SREG, SOURCE)
                .number(kernel::HASH_DREG, FIRST_REGISTER)
                .number(kernel::HASH_LENGTH, length)
                .number(kernel::HASH_MODULUS, count)
                .number(kernel::HASH_SEED, Pick::SEED)
                .number(kernel::HASH_OFFSET, first)
                .number(kernel::HASH_TYPE, JENKINS)
        });
    }

    fn immediate(&mut self, register: u32, data: &[u8]) {
        self.push("immediate", |own| {
            own.number(kernel::IMMEDIATE_DREG, register)
                .data(kernel::IMMEDIATE_DATA, data)
        });
    }

    fn random(&mut self, modulus: u32, register: u32, first: u32) {
        /// `NFT_NG_RANDOM`.
        const RANDOM: u32 = 1;
        self.push("numgen", |own| {
            let own = own
                .number(kernel::NUMGEN_DREG, register)
                .number(kernel::NUMGEN_MODULUS, modulus)
                .number(kernel::NUMGEN_TYPE, RANDOM);
            match first {
                0 => own,
                first => own.number(kernel::NUMGEN_OFFSET, first),
            }
        });
    }

    /// Translates to the address and the port in the first registers.
    fn nat(&mut self) {
        /// `NFT_NAT_DNAT`.
        const DESTINATION: u32 = 1;
        let family = u32::from(protocol_family(self.family));
        let port = FIRST_REGISTER + address_length(self.family) / 4;
        self.push("nat", |own| {
            own.number(kernel::NAT_TYPE, DESTINATION)
                .number(kernel::NAT_FAMILY, family)
                .number(kernel::NAT_REG_ADDRESS, FIRST_REGISTER)
                .number(kernel::NAT_REG_PORT, port)
        });
    }

    fn verdict(&mut self, verdict: &Verdict) {
        let (code, chain) = match verdict {
            Verdict::Drop => (libc::NF_DROP, None),
            Verdict::Goto(chain) => (libc::NFT_GOTO, Some(chain.to_string())),
            Verdict::Jump(chain) => (libc::NFT_JUMP, Some(chain.to_string())),
        };
        self.push("immediate", |own| {
            own.number(kernel::IMMEDIATE_DREG, VERDICT_REGISTER)
                .verdict(kernel::IMMEDIATE_DATA, code, chain.as_deref())
        });
    }
}

fn equality(negated: bool) -> libc::c_int {
    if negated {
        libc::NFT_CMP_NEQ
    } else {
        libc::NFT_CMP_EQ
    }
}

fn address_length(family: Family) -> u32 {
    match family {
        Family::V4 => 4,
        Family::V6 => 16,
    }
}

fn octets(address: std::net::IpAddr) -> Vec<u8> {
    match address {
        std::net::IpAddr::V4(address) => address.octets().to_vec(),
        std::net::IpAddr::V6(address) => address.octets().to_vec(),
    }
}
