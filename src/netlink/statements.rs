//! Statements of rules, as the expressions of the kernel's virtual machine;
//! the same ones that nft makes of the same text.

use super::objects::{Name, Owned, c_string, narrow, protocol_family};
use ipnet::IpNet;
use nftnl_sys as sys;
use rules::model::{Backend, Family, Protocol};
use rules::ruleset::{Header, SetId, Side, Statement, Verdict};

/// The first register of 32 bits; the others follow. Keys begin here.
const FIRST_REGISTER: u32 = 8;
const VERDICT_REGISTER: u32 = 0;

/// Adds a statement's expressions to a rule.
pub(super) fn add(rule: &Owned<sys::nftnl_rule>, family: Family, statement: &Statement) {
    let rule = Sink { rule, family };
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
        Statement::InAffinity(set) => {
            rule.load_address(Side::Source, FIRST_REGISTER);
            rule.is_in(&set.to_string(), false);
        }
        Statement::UpdateAffinity { set, seconds } => rule.update(&set.to_string(), *seconds),
        Statement::OneIn(count) => {
            rule.random(*count, FIRST_REGISTER);
            rule.compare(libc::NFT_CMP_EQ, &0u32.to_ne_bytes());
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

/// A rule that expressions are added to.
struct Sink<'a> {
    rule: &'a Owned<sys::nftnl_rule>,
    family: Family,
}

/// An expression in the making.
struct Expression(*mut sys::nftnl_expr);

impl Expression {
    fn number(self, attribute: u32, value: u32) -> Self {
        // SAFETY: the expression is live until the rule that it goes to is.
        unsafe { sys::nftnl_expr_set_u32(self.0, narrow(attribute), value) };
        self
    }

    fn long(self, attribute: u32, value: u64) -> Self {
        // SAFETY: as for `number`.
        unsafe { sys::nftnl_expr_set_u64(self.0, narrow(attribute), value) };
        self
    }

    fn byte(self, attribute: u32, value: u8) -> Self {
        // SAFETY: as for `number`.
        unsafe { sys::nftnl_expr_set_u8(self.0, narrow(attribute), value) };
        self
    }

    fn text(self, attribute: u32, value: &str) -> Self {
        // SAFETY: as for `number`; the string is copied.
        unsafe { sys::nftnl_expr_set_str(self.0, narrow(attribute), c_string(value).as_ptr()) };
        self
    }

    fn data(self, attribute: u32, value: &[u8]) -> Self {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        // SAFETY: as for `number`; the data is copied with the given length.
        unsafe {
            sys::nftnl_expr_set(self.0, narrow(attribute), value.as_ptr().cast(), length);
        }
        self
    }
}

impl Sink<'_> {
    /// Makes an expression, lets it be filled, and hands it to the rule.
    fn push(&self, name: Name, fill: impl FnOnce(Expression) -> Expression) {
        // SAFETY: the name is a C string; the rule owns the expression from
        // here on and frees it.
        unsafe {
            let expression = sys::nftnl_expr_alloc(name.as_ptr());
            assert!(!expression.is_null(), "libnftnl has no expression {name:?}");
            fill(Expression(expression));
            sys::nftnl_rule_add_expr(self.rule.as_ptr(), expression);
        }
    }

    /// Loads the fields of a key into consecutive registers; returns the next.
    fn key(&self, key: &[Header]) -> u32 {
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

    fn load_address(&self, side: Side, register: u32) {
        let offset = match (self.family, side) {
            (Family::V4, Side::Source) => 12,
            (Family::V4, Side::Destination) => 16,
            (Family::V6, Side::Source) => 8,
            (Family::V6, Side::Destination) => 24,
        };
        let length = address_length(self.family);
        self.payload(libc::NFT_PAYLOAD_NETWORK_HEADER, offset, length, register);
    }

    fn payload(&self, base: libc::c_int, offset: u32, length: u32, register: u32) {
        self.push(c"payload", |own| {
            own.number(sys::NFTNL_EXPR_PAYLOAD_BASE, base.cast_unsigned())
                .number(sys::NFTNL_EXPR_PAYLOAD_OFFSET, offset)
                .number(sys::NFTNL_EXPR_PAYLOAD_LEN, length)
                .number(sys::NFTNL_EXPR_PAYLOAD_DREG, register)
        });
    }

    fn meta(&self, key: libc::c_int, register: u32) {
        self.push(c"meta", |own| {
            own.number(sys::NFTNL_EXPR_META_KEY, key.cast_unsigned())
                .number(sys::NFTNL_EXPR_META_DREG, register)
        });
    }

    fn compare(&self, operator: libc::c_int, data: &[u8]) {
        self.push(c"cmp", |own| {
            own.number(sys::NFTNL_EXPR_CMP_SREG, FIRST_REGISTER)
                .number(sys::NFTNL_EXPR_CMP_OP, operator.cast_unsigned())
                .data(sys::NFTNL_EXPR_CMP_DATA, data)
        });
    }

    /// `register = (register & mask) ^ xor`.
    fn bitwise(&self, mask: &[u8], xor: &[u8]) {
        let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
        self.push(c"bitwise", |own| {
            own.number(sys::NFTNL_EXPR_BITWISE_SREG, FIRST_REGISTER)
                .number(sys::NFTNL_EXPR_BITWISE_DREG, FIRST_REGISTER)
                .number(sys::NFTNL_EXPR_BITWISE_LEN, length)
                .data(sys::NFTNL_EXPR_BITWISE_MASK, mask)
                .data(sys::NFTNL_EXPR_BITWISE_XOR, xor)
        });
    }

    fn ct_bit(&self, key: libc::c_int, bit: u32) {
        self.push(c"ct", |own| {
            own.number(sys::NFTNL_EXPR_CT_KEY, key.cast_unsigned())
                .number(sys::NFTNL_EXPR_CT_DREG, FIRST_REGISTER)
        });
        self.bitwise(&bit.to_ne_bytes(), &[0; 4]);
        self.compare(libc::NFT_CMP_NEQ, &[0; 4]);
    }

    fn fib_local(&self, side: Side) {
        /// `NFT_FIB_RESULT_ADDRTYPE`, and the flags that choose the address.
        const ADDRESS_TYPE: u32 = 3;
        const SOURCE: u32 = 1;
        const DESTINATION: u32 = 2;
        let flags = match side {
            Side::Source => SOURCE,
            Side::Destination => DESTINATION,
        };
        self.push(c"fib", |own| {
            own.number(sys::NFTNL_EXPR_FIB_RESULT, ADDRESS_TYPE)
                .number(sys::NFTNL_EXPR_FIB_FLAGS, flags)
                .number(sys::NFTNL_EXPR_FIB_DREG, FIRST_REGISTER)
        });
        self.compare(libc::NFT_CMP_EQ, &u32::from(libc::RTN_LOCAL).to_ne_bytes());
    }

    fn address(&self, side: Side, prefix: &IpNet, negated: bool) {
        self.load_address(side, FIRST_REGISTER);
        if prefix.prefix_len() < prefix.max_prefix_len() {
            let mask = octets(prefix.netmask());
            self.bitwise(&mask, &vec![0; mask.len()]);
        }
        self.compare(equality(negated), &octets(prefix.network()));
    }

    fn input_interface(&self, name: &str, wildcard: bool, negated: bool) {
        self.meta(libc::NFT_META_IIFNAME, FIRST_REGISTER);
        let mut data = name.as_bytes().to_vec();
        if !wildcard {
            // The whole name, its closing NUL and what the kernel fills up.
            data.resize(libc::IFNAMSIZ, 0);
        }
        self.compare(equality(negated), &data);
    }

    fn lookup(&self, map: SetId, result: u32) {
        self.push(c"lookup", |own| {
            own.number(sys::NFTNL_EXPR_LOOKUP_SREG, FIRST_REGISTER)
                .text(sys::NFTNL_EXPR_LOOKUP_SET, map.name())
                .number(sys::NFTNL_EXPR_LOOKUP_DREG, result)
        });
    }

    fn is_in(&self, set: &str, negated: bool) {
        /// `NFT_LOOKUP_F_INV`.
        const INVERTED: u32 = 1;
        self.push(c"lookup", |own| {
            let own = own
                .number(sys::NFTNL_EXPR_LOOKUP_SREG, FIRST_REGISTER)
                .text(sys::NFTNL_EXPR_LOOKUP_SET, set);
            if negated {
                own.number(sys::NFTNL_EXPR_LOOKUP_FLAGS, INVERTED)
            } else {
                own
            }
        });
    }

    /// Puts the source address into a set, or keeps it there, for so long.
    fn update(&self, set: &str, seconds: u32) {
        /// `NFT_DYNSET_OP_UPDATE`.
        const UPDATE: u32 = 1;
        self.load_address(Side::Source, FIRST_REGISTER);
        self.push(c"dynset", |own| {
            own.number(sys::NFTNL_EXPR_DYNSET_SREG_KEY, FIRST_REGISTER)
                .number(sys::NFTNL_EXPR_DYNSET_OP, UPDATE)
                .text(sys::NFTNL_EXPR_DYNSET_SET_NAME, set)
                .long(sys::NFTNL_EXPR_DYNSET_TIMEOUT, u64::from(seconds) * 1000)
        });
    }

    fn load_mark(&self) {
        self.meta(libc::NFT_META_MARK, FIRST_REGISTER);
    }

    fn set_mark(&self, mask: u32, xor: u32) {
        self.load_mark();
        self.bitwise(&mask.to_ne_bytes(), &xor.to_ne_bytes());
        self.push(c"meta", |own| {
            own.number(
                sys::NFTNL_EXPR_META_KEY,
                libc::NFT_META_MARK.cast_unsigned(),
            )
            .number(sys::NFTNL_EXPR_META_SREG, FIRST_REGISTER)
        });
    }

    fn masquerade(&self) {
        /// `NF_NAT_RANGE_PROTO_RANDOM_FULLY`.
        const FULLY_RANDOM: u32 = 1 << 4;
        self.push(c"masq", |own| {
            own.number(sys::NFTNL_EXPR_MASQ_FLAGS, FULLY_RANDOM)
        });
    }

    fn reject(&self) {
        /// `NFT_REJECT_ICMP_UNREACH`, and port unreachable in each family.
        const ICMP: u32 = 0;
        let code = match self.family {
            Family::V4 => 3,
            Family::V6 => 4,
        };
        self.push(c"reject", |own| {
            own.number(sys::NFTNL_EXPR_REJECT_TYPE, ICMP)
                .byte(sys::NFTNL_EXPR_REJECT_CODE, code)
        });
    }

    fn dnat(&self, key: &[Header], modulus: u32, map: SetId) {
        let register = self.key(key);
        self.random(modulus, register);
        self.lookup(map, FIRST_REGISTER);
        self.nat();
    }

    fn dnat_to(&self, protocol: Protocol, backend: Backend) {
        self.meta(libc::NFT_META_L4PROTO, FIRST_REGISTER);
        self.compare(libc::NFT_CMP_EQ, &[protocol.number()]);
        let address = octets(backend.address);
        let port = FIRST_REGISTER + address_length(self.family) / 4;
        self.immediate(FIRST_REGISTER, &address);
        self.immediate(port, &backend.port.to_be_bytes());
        self.nat();
    }

    fn immediate(&self, register: u32, data: &[u8]) {
        self.push(c"immediate", |own| {
            own.number(sys::NFTNL_EXPR_IMM_DREG, register)
                .data(sys::NFTNL_EXPR_IMM_DATA, data)
        });
    }

    fn random(&self, modulus: u32, register: u32) {
        /// `NFT_NG_RANDOM`.
        const RANDOM: u32 = 1;
        self.push(c"numgen", |own| {
            own.number(sys::NFTNL_EXPR_NG_DREG, register)
                .number(sys::NFTNL_EXPR_NG_MODULUS, modulus)
                .number(sys::NFTNL_EXPR_NG_TYPE, RANDOM)
        });
    }

    /// Translates to the address and the port in the first registers.
    fn nat(&self) {
        /// `NFT_NAT_DNAT`.
        const DESTINATION: u32 = 1;
        let port = FIRST_REGISTER + address_length(self.family) / 4;
        self.push(c"nat", |own| {
            own.number(sys::NFTNL_EXPR_NAT_TYPE, DESTINATION)
                .number(
                    sys::NFTNL_EXPR_NAT_FAMILY,
                    u32::from(protocol_family(self.family)),
                )
                .number(sys::NFTNL_EXPR_NAT_REG_ADDR_MIN, FIRST_REGISTER)
                .number(sys::NFTNL_EXPR_NAT_REG_PROTO_MIN, port)
        });
    }

    fn verdict(&self, verdict: &Verdict) {
        let (code, chain) = match verdict {
            Verdict::Drop => (libc::NF_DROP, None),
            Verdict::Goto(chain) => (libc::NFT_GOTO, Some(chain)),
            Verdict::Jump(chain) => (libc::NFT_JUMP, Some(chain)),
        };
        self.push(c"immediate", |own| {
            let own = own
                .number(sys::NFTNL_EXPR_IMM_DREG, VERDICT_REGISTER)
                .number(sys::NFTNL_EXPR_IMM_VERDICT, code.cast_unsigned());
            match chain {
                Some(chain) => own.text(sys::NFTNL_EXPR_IMM_CHAIN, &chain.to_string()),
                None => own,
            }
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
