use super::subsystem::protocol_family;
use ipnet::IpNet;
use nft_wire::nf_tables::{
    Data, Expression, FIRST_REGISTER, Loaded, OBJECT_COUNTER, VERDICT_REGISTER,
};
use rules::model::{EndpointAddr, Family, Protocol};
use rules::nft::ruleset::{Counter, Header, Pick, SetId, Side, Statement, Verdict};
use std::net::IpAddr;

/// The keys that rules look up, longer ones before those that they begin or end with.
pub(super) const KEYS: [&[Header]; 4] = [
    &[
        Header::Address(Side::Source),
        Header::Address(Side::Destination),
        Header::Protocol,
        Header::Port,
    ],
    &[
        Header::Address(Side::Destination),
        Header::Protocol,
        Header::Port,
    ],
    &[Header::Protocol, Header::Port],
    &[Header::Address(Side::Destination)],
];

/// The expressions of a rule's statements.
pub(super) fn expressions(family: Family, statements: &[Statement]) -> Vec<Expression> {
    let list = Vec::new();
    let mut rule = Sink { list, family };
    statements.iter().for_each(|statement| rule.add(statement));
    rule.list
}

/// What becomes of an element that is there: `NFT_DYNSET_OP_*`.
#[derive(Clone, Copy)]
enum Put {
    /// It stays; its counter counts.
    Add = 0,
    /// It stays for the time that new ones get.
    Update = 1,
}

/// The list of a rule's expressions.
struct Sink {
    list: Vec<Expression>,
    family: Family,
}

impl Sink {
    /// Adds a statement's expressions.
    fn add(&mut self, statement: &Statement) {
        match statement {
            Statement::CtStateNew => self.ct_bit(libc::NFT_CT_STATE, 8),
            Statement::CtStateInvalid => self.ct_bit(libc::NFT_CT_STATE, 1),
            Statement::CtStatusDnat => self.ct_bit(libc::NFT_CT_STATUS, 1 << 5),
            Statement::FibLocal(side) => self.fib_local(*side),
            Statement::Address {
                side,
                prefix,
                negated,
            } => self.address(*side, prefix, *negated),
            Statement::InputInterface {
                name,
                wildcard,
                negated,
            } => {
                self.input_interface(name, *wildcard, *negated);
            }
            Statement::InSet { key, set, negated } => {
                self.key(key);
                self.is_in(set.name(), *negated);
            }
            Statement::VerdictMap { key, map } => {
                self.key(key);
                self.lookup(*map, VERDICT_REGISTER);
            }
            Statement::NotFrom(set) => {
                self.load_address(Side::Source, FIRST_REGISTER);
                self.is_in(&set.to_string(), true);
            }
            Statement::InAffinity(set) => {
                self.load_address(Side::Source, FIRST_REGISTER);
                self.is_in(&set.to_string(), false);
            }
            Statement::UpdateAffinity { set, seconds } => self.update(&set.to_string(), *seconds),
            Statement::Count(counter) => self.count(*counter),
            Statement::CountIn { key, set } => {
                self.key(key);
                self.put(set.name(), Put::Add, 0);
            }
            Statement::OneIn(count) => {
                self.random(*count, FIRST_REGISTER, 0);
                self.compare(libc::NFT_CMP_EQ, &0u32.to_ne_bytes());
            }
            Statement::DnatListed {
                protocol,
                pick,
                count,
                first,
            } => {
                self.is_protocol(*protocol);
                self.pick(*pick, *count, *first);
                self.lookup(SetId::PortEndpoints, FIRST_REGISTER);
                self.nat();
            }
            Statement::DnatTo { protocol, backend } => self.dnat_to(*protocol, *backend),
            Statement::MarkHas(bit) => {
                self.load_mark();
                self.bitwise(&bit.to_ne_bytes(), &[0; 4]);
                self.compare(libc::NFT_CMP_NEQ, &[0; 4]);
            }
            Statement::MarkOr(bit) => self.set_mark(!bit, *bit),
            Statement::MarkXor(bit) => self.set_mark(u32::MAX, *bit),
            Statement::Masquerade => self.masquerade(),
            Statement::Reject => self.reject(),
            Statement::Dnat { key, modulus, map } => self.dnat(key, *modulus, *map),
            Statement::Verdict(verdict) => self.verdict(verdict),
        }
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
                    self.list.push(Expression::Payload {
                        dreg: register,
                        base: libc::NFT_PAYLOAD_TRANSPORT_HEADER.cast_unsigned(),
                        offset: 2,
                        len: 2,
                    });
                    register + 1
                }
            })
    }

    fn load_address(&mut self, side: Side, register: u32) {
        self.list.push(address(self.family, side, register));
    }

    fn meta(&mut self, key: libc::c_int, register: u32) {
        self.list.push(Expression::Meta {
            key: key.cast_unsigned(),
            register: Loaded::Into(register),
        });
    }

    fn compare(&mut self, op: libc::c_int, data: &[u8]) {
        self.list.push(Expression::Cmp {
            sreg: FIRST_REGISTER,
            op: op.cast_unsigned(),
            data: data.to_vec(),
        });
    }

    /// `register = (register & mask) ^ xor`.
    fn bitwise(&mut self, mask: &[u8], xor: &[u8]) {
        self.list.push(Expression::Bitwise {
            sreg: FIRST_REGISTER,
            dreg: FIRST_REGISTER,
            mask: mask.to_vec(),
            xor: xor.to_vec(),
        });
    }

    fn ct_bit(&mut self, key: libc::c_int, bit: u32) {
        self.list.push(Expression::Ct {
            dreg: FIRST_REGISTER,
            key: key.cast_unsigned(),
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
        self.list.push(Expression::Fib {
            dreg: FIRST_REGISTER,
            result: ADDRESS_TYPE,
            flags,
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

    fn lookup(&mut self, map: SetId, dreg: u32) {
        self.list.push(Expression::Lookup {
            set: map.name().to_owned(),
            sreg: FIRST_REGISTER,
            dreg: Some(dreg),
            inverted: false,
        });
    }

    fn is_in(&mut self, set: &str, negated: bool) {
        self.list.push(Expression::Lookup {
            set: set.to_owned(),
            sreg: FIRST_REGISTER,
            dreg: None,
            inverted: negated,
        });
    }

    /// Puts the source address into a set, or keeps it there, for so long.
    fn update(&mut self, set: &str, seconds: u32) {
        self.load_address(Side::Source, FIRST_REGISTER);
        self.put(set, Put::Update, u64::from(seconds) * 1000);
    }

    /// Puts the key in the registers into a set.
    fn put(&mut self, set: &str, op: Put, timeout: u64) {
        self.list.push(Expression::Dynset {
            set: set.to_owned(),
            op: op as u32,
            sreg_key: FIRST_REGISTER,
            timeout,
        });
    }

    fn count(&mut self, counter: Counter) {
        self.list.push(Expression::Objref {
            kind: OBJECT_COUNTER,
            name: counter.name().to_owned(),
        });
    }

    fn load_mark(&mut self) {
        self.meta(libc::NFT_META_MARK, FIRST_REGISTER);
    }

    fn set_mark(&mut self, mask: u32, xor: u32) {
        self.load_mark();
        self.bitwise(&mask.to_ne_bytes(), &xor.to_ne_bytes());
        self.list.push(Expression::Meta {
            key: libc::NFT_META_MARK.cast_unsigned(),
            register: Loaded::From(FIRST_REGISTER),
        });
    }

    fn masquerade(&mut self) {
        /// `NF_NAT_RANGE_PROTO_RANDOM_FULLY`.
        const FULLY_RANDOM: u32 = 1 << 4;
        let flags = FULLY_RANDOM;
        self.list.push(Expression::Masq { flags });
    }

    fn reject(&mut self) {
        /// `NFT_REJECT_ICMP_UNREACH`, and port unreachable in each family.
        const ICMP: u32 = 0;
        let code = match self.family {
            Family::V4 => 3,
            Family::V6 => 4,
        };
        self.list.push(Expression::Reject { kind: ICMP, code });
    }

    fn dnat(&mut self, key: &[Header], modulus: u32, map: SetId) {
        let register = self.key(key);
        self.random(modulus, register, 0);
        self.lookup(map, FIRST_REGISTER);
        self.nat();
    }

    fn dnat_to(&mut self, protocol: Protocol, backend: EndpointAddr) {
        self.is_protocol(protocol);
        let address = octets(backend.address);
        let port = FIRST_REGISTER + address_length(self.family) / 4;
        self.immediate(FIRST_REGISTER, Data::Value(address));
        self.immediate(port, Data::Value(backend.port.to_be_bytes().to_vec()));
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
        self.list.push(Expression::Hash {
            sreg: SOURCE,
            dreg: FIRST_REGISTER,
            len: address_length(self.family),
            modulus: count,
            seed: Pick::SEED,
            offset: first,
            kind: JENKINS,
        });
    }

    fn immediate(&mut self, dreg: u32, data: Data) {
        self.list.push(Expression::Immediate { dreg, data });
    }

    fn random(&mut self, modulus: u32, dreg: u32, first: u32) {
        /// `NFT_NG_RANDOM`.
        const RANDOM: u32 = 1;
        self.list.push(Expression::Numgen {
            dreg,
            modulus,
            kind: RANDOM,
            offset: first,
        });
    }

    /// Translates to the address and the port in the first registers.
    fn nat(&mut self) {
        /// `NFT_NAT_DNAT`.
        const DESTINATION: u32 = 1;
        self.list.push(Expression::Nat {
            kind: DESTINATION,
            family: u32::from(protocol_family(self.family)),
            reg_addr: FIRST_REGISTER,
            reg_proto: FIRST_REGISTER + address_length(self.family) / 4,
        });
    }

    fn verdict(&mut self, verdict: &Verdict) {
        let (code, chain) = match verdict {
            Verdict::Drop => (libc::NF_DROP, None),
            Verdict::Goto(chain) => (libc::NFT_GOTO, Some(chain.to_string())),
            Verdict::Jump(chain) => (libc::NFT_JUMP, Some(chain.to_string())),
        };
        self.immediate(VERDICT_REGISTER, Data::Verdict { code, chain });
    }
}

/// Loads an address of the packet.
pub(super) fn address(family: Family, side: Side, dreg: u32) -> Expression {
    let offset = match (family, side) {
        (Family::V4, Side::Source) => 12,
        (Family::V4, Side::Destination) => 16,
        (Family::V6, Side::Source) => 8,
        (Family::V6, Side::Destination) => 24,
    };
    Expression::Payload {
        dreg,
        base: libc::NFT_PAYLOAD_NETWORK_HEADER.cast_unsigned(),
        offset,
        len: address_length(family),
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

pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
