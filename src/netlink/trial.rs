//! What the rules are made of, tried part by part: each is put to the kernel in a table of its own,
//! so that its answer names the one that is missing.

use super::statements;
#[cfg(test)]
use super::subsystem::protocol_family;
use super::subsystem::table_message;
use super::{conntrack::Conntrack, objects};
use nft_wire::nf_tables::{
    self, Chain, Expression, FIRST_REGISTER, Hook, OBJECT_COUNTER, Object, Rule, Set, nfta,
};
use nft_wire::{Socket, Writer};
use rules::model::{EndpointAddr, Family, Protocol};
use rules::nft::ruleset::{Counter, Header, Pick, SetId, Side, Statement};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The table of the trials. In a namespace of their own any name would do.
const TABLE: &str = "kube-proxy-check";
const RANGES: &str = "tried-ranges";
const CLIENTS: &str = "tried-clients";
/// `NF_IP_PRI_NAT_DST`; that of sources is its opposite.
const DSTNAT: i32 = -100;

/// A part of nf_tables that our rules need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Tables and chains that packets meet.
    Chains,
    /// Chains that translate.
    NatChains,
    /// The state of a connection.
    Ct,
    /// Whether an address is the node's own.
    Fib,
    /// A number by lot.
    Numgen,
    /// A number by the client's address.
    Hash,
    /// Translation to an endpoint.
    Nat,
    /// Translation to the node's own address.
    Masq,
    /// An answer to what is not served.
    Reject,
    /// Maps from address, protocol and port to chains.
    VerdictMaps,
    /// Maps from the same and a number to endpoints.
    EndpointMaps,
    /// Sets of ranges of addresses.
    Intervals,
    /// Sets that packets put clients into, for a time.
    Timeouts,
    /// Counters with names, and rules that count in them.
    Counters,
    /// Sets that packets put frontends into, each with a counter.
    CountingSets,
    /// Listing and deleting flows.
    Flows,
}

impl Part {
    /// All of them, each after those that it needs.
    pub const ALL: [Self; 16] = [
        Self::Chains,
        Self::NatChains,
        Self::Ct,
        Self::Fib,
        Self::Numgen,
        Self::Hash,
        Self::Nat,
        Self::Masq,
        Self::Reject,
        Self::VerdictMaps,
        Self::EndpointMaps,
        Self::Intervals,
        Self::Timeouts,
        Self::Counters,
        Self::CountingSets,
        Self::Flows,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chains => "tables and chains",
            Self::NatChains => "chains of type nat",
            Self::Ct => "ct",
            Self::Fib => "fib",
            Self::Numgen => "numgen",
            Self::Hash => "jhash",
            Self::Nat => "dnat",
            Self::Masq => "masquerade",
            Self::Reject => "reject",
            Self::VerdictMaps => "maps of verdicts",
            Self::EndpointMaps => "maps of endpoints",
            Self::Intervals => "sets of ranges",
            Self::Timeouts => "sets with timeouts",
            Self::Counters => "named counters",
            Self::CountingSets => "sets with counters",
            Self::Flows => "flows of conntrack",
        }
    }

    /// The kernel's module that has it.
    pub fn module(self, family: Family) -> &'static str {
        let of_family = |v4, v6| match family {
            Family::V4 => v4,
            Family::V6 => v6,
        };
        match self {
            Self::Chains
            | Self::VerdictMaps
            | Self::EndpointMaps
            | Self::Intervals
            | Self::Timeouts => "nf_tables",
            Self::NatChains => "nft_chain_nat",
            Self::Ct => "nft_ct",
            Self::Fib => of_family("nft_fib_ipv4", "nft_fib_ipv6"),
            Self::Numgen => "nft_numgen",
            Self::Hash => "nft_hash",
            Self::Nat => "nft_nat",
            Self::Masq => "nft_masq",
            Self::Reject => of_family("nft_reject_ipv4", "nft_reject_ipv6"),
            // Part of nf_tables itself in later kernels.
            Self::Counters => "nft_counter nft_objref",
            Self::CountingSets => "nft_counter",
            Self::Flows => "nf_conntrack_netlink",
        }
    }
}

/// Puts parts to the kernel, in the network namespace that it was opened in.
pub struct Trial {
    socket: Socket,
    /// Transactions are closed, so that the kernel keeps what they make.
    kept: bool,
}

impl Trial {
    /// For a network namespace that is to be thrown away: tables stay there.
    ///
    /// # Errors
    /// There is no netlink socket to be had.
    pub fn in_this_namespace() -> io::Result<Self> {
        Ok(Self {
            socket: nf_tables::open()?,
            kept: true,
        })
    }

    /// For the node's own namespace: the kernel looks at each transaction and takes it back, as it
    /// does for `nft --check`.
    ///
    /// # Errors
    /// There is no netlink socket to be had.
    pub fn rehearsal() -> io::Result<Self> {
        Ok(Self {
            socket: nf_tables::open()?,
            kept: false,
        })
    }

    /// Tries a part.
    ///
    /// # Errors
    /// The kernel has it not (ENOENT, EOPNOTSUPP and the like), or does not permit to ask (EPERM).
    pub fn attempt(&mut self, part: Part, family: Family) -> io::Result<()> {
        if part == Part::Flows {
            return Conntrack::open()?.load();
        }
        let mut out = Writer::new();
        let first = self.socket.sequence();
        nf_tables::begin(&mut out, first, None);
        let mut messages = Messages {
            out,
            sequence: first,
            family,
            last: 0,
        };
        messages.part(part);
        self.put(messages)
    }

    fn put(&mut self, messages: Messages) -> io::Result<()> {
        let Messages {
            mut out,
            sequence,
            last,
            ..
        } = messages;
        out.acknowledge(last);
        if self.kept {
            nf_tables::end(&mut out, sequence + 1);
        }
        self.socket.number_on(sequence + 2);
        let bytes = out.finish().map_err(io::Error::other)?;
        self.socket.send(&bytes)?;
        let replies = self.socket.replies()?.all;
        match replies.iter().find(|reply| reply.errno != 0) {
            Some(reply) => Err(io::Error::from_raw_os_error(reply.errno)),
            None if replies.iter().any(|reply| reply.sequence == sequence) => Ok(()),
            None => Err(io::Error::other("the kernel does not answer")),
        }
    }
}

/// A transaction's messages as they are written.
struct Messages {
    out: Writer,
    /// Of the last message.
    sequence: u32,
    family: Family,
    /// Where the last message is.
    last: usize,
}

impl Messages {
    fn part(&mut self, part: Part) {
        self.table();
        match part {
            Part::Chains => self.base("filter", libc::NF_INET_FORWARD, 0),
            Part::NatChains => {
                self.base("nat", libc::NF_INET_PRE_ROUTING, DSTNAT);
                self.base("nat", libc::NF_INET_LOCAL_OUT, DSTNAT);
                self.base("nat", libc::NF_INET_POST_ROUTING, -DSTNAT);
            }
            Part::Ct => self.filtered(&[
                Statement::CtStateNew,
                Statement::CtStateInvalid,
                Statement::CtStatusDnat,
            ]),
            Part::Fib => self.filtered(&[Statement::FibLocal(Side::Destination)]),
            Part::Numgen => self.filtered(&[Statement::OneIn(2)]),
            Part::Reject => self.filtered(&[Statement::Reject]),
            Part::Nat => self.translated(&[Statement::DnatTo {
                protocol: Protocol::Tcp,
                backend: EndpointAddr {
                    address: match self.family {
                        Family::V4 => Ipv4Addr::LOCALHOST.into(),
                        Family::V6 => Ipv6Addr::LOCALHOST.into(),
                    },
                    port: 80,
                },
            }]),
            Part::Masq => {
                self.base("nat", libc::NF_INET_POST_ROUTING, -DSTNAT);
                self.rule(statements::expressions(
                    self.family,
                    &[Statement::Masquerade],
                ));
            }
            Part::Hash => {
                self.named_set(objects::set(self.family, SetId::PortEndpoints, None));
                self.translated(&[Statement::DnatListed {
                    protocol: Protocol::Tcp,
                    pick: Pick::Source,
                    count: 2,
                    first: 1,
                }]);
            }
            Part::VerdictMaps => {
                self.named_set(objects::set(self.family, SetId::Services, None));
                self.translated(&[Statement::VerdictMap {
                    key: FRONTEND,
                    map: SetId::Services,
                }]);
            }
            Part::EndpointMaps => {
                self.named_set(objects::set(self.family, SetId::Endpoints, None));
                self.translated(&[Statement::Dnat {
                    key: FRONTEND,
                    modulus: 2,
                    map: SetId::Endpoints,
                }]);
            }
            Part::Intervals => self.named_set(objects::source_set(self.family, RANGES)),
            Part::Timeouts => {
                self.named_set(objects::client_set(self.family, CLIENTS));
                self.base("filter", libc::NF_INET_FORWARD, 0);
                self.rule(remember(self.family));
            }
            Part::Counters => {
                self.counter(Counter::Connections);
                self.filtered(&[Statement::Count(Counter::Connections)]);
            }
            Part::CountingSets => {
                let set = SetId::ServiceConnections;
                self.named_set(objects::set(self.family, set, None));
                self.translated(&[Statement::CountIn { key: FRONTEND, set }]);
            }
            // Not a matter of tables.
            Part::Flows => {}
        }
    }

    fn message(&mut self, kind: libc::c_int, flags: libc::c_int, write: impl FnOnce(&mut Writer)) {
        self.sequence += 1;
        self.last = self.out.len();
        let flags = flags | libc::NLM_F_CREATE;
        table_message(
            &mut self.out,
            self.family,
            kind,
            flags,
            self.sequence,
            write,
        );
    }

    fn table(&mut self) {
        self.message(libc::NFT_MSG_NEWTABLE, 0, |out| {
            out.text(nfta::TABLE_NAME, TABLE);
        });
    }

    /// A base chain, each with a name of its own.
    fn base(&mut self, kind: &str, hook: libc::c_int, priority: i32) {
        let chain = Chain {
            table: TABLE.to_owned(),
            name: self.next_name(),
            hook: Some(Hook {
                number: hook.cast_unsigned(),
                priority,
                kind: kind.to_owned(),
                policy: libc::NF_ACCEPT.cast_unsigned(),
            }),
            ..Chain::default()
        };
        self.message(libc::NFT_MSG_NEWCHAIN, libc::NLM_F_EXCL, |out| {
            chain.write(out);
        });
    }

    /// The name of the chain whose message is the next one; that of the last one is
    /// [`last_name`](Self::last_name).
    fn next_name(&self) -> String {
        format!("tried-{}", self.sequence + 1)
    }

    fn last_name(&self) -> String {
        format!("tried-{}", self.sequence)
    }

    fn filtered(&mut self, statements: &[Statement]) {
        self.base("filter", libc::NF_INET_FORWARD, 0);
        self.rule(statements::expressions(self.family, statements));
    }

    fn translated(&mut self, statements: &[Statement]) {
        self.base("nat", libc::NF_INET_PRE_ROUTING, DSTNAT);
        self.rule(statements::expressions(self.family, statements));
    }

    /// A rule in the chain that came last.
    fn rule(&mut self, expressions: Vec<Expression>) {
        let rule = Rule {
            table: TABLE.to_owned(),
            chain: self.last_name(),
            expressions,
            ..Rule::default()
        };
        self.message(libc::NFT_MSG_NEWRULE, libc::NLM_F_APPEND, |out| {
            rule.write(out);
        });
    }

    fn counter(&mut self, counter: Counter) {
        let object = Object {
            table: TABLE.to_owned(),
            name: counter.name().to_owned(),
            kind: OBJECT_COUNTER,
            counted: None,
            user_data: Vec::new(),
        };
        self.message(libc::NFT_MSG_NEWOBJ, 0, |out| object.write(out));
    }

    fn named_set(&mut self, set: Set) {
        let set = Set {
            table: TABLE.to_owned(),
            id: Some(self.sequence + 1),
            ..set
        };
        self.message(libc::NFT_MSG_NEWSET, 0, |out| set.write(out));
    }
}

const FRONTEND: &[Header] = &[
    Header::Address(Side::Destination),
    Header::Protocol,
    Header::Port,
];

/// `update @tried-clients { ip saddr timeout 1s }`.
fn remember(family: Family) -> Vec<Expression> {
    // Where source addresses are in the header, and how long they are, in bytes.
    let (offset, len) = match family {
        Family::V4 => (12, 4),
        Family::V6 => (8, 16),
    };
    vec![
        Expression::Payload {
            dreg: FIRST_REGISTER,
            base: libc::NFT_PAYLOAD_NETWORK_HEADER.cast_unsigned(),
            offset,
            len,
        },
        Expression::Dynset {
            set: CLIENTS.to_owned(),
            op: libc::NFT_DYNSET_OP_UPDATE.cast_unsigned(),
            sreg_key: FIRST_REGISTER,
            timeout: 1000,
        },
    ]
}

/// The `NFPROTO_*` of the family, for whoever looks whether anything stayed.
#[cfg(test)]
fn listed(family: Family) -> io::Result<usize> {
    let kind = nf_tables::message_kind(libc::NFT_MSG_GETTABLE);
    let header = |out: &mut Writer| nf_tables::header(out, protocol_family(family));
    let mut socket = nf_tables::open()?;
    let tables = socket.list_whole(kind, header, |_, tables: &mut Vec<()>| tables.push(()))?;
    Ok(tables.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2e::Namespace;

    fn tried(trial: io::Result<Trial>) -> Vec<String> {
        let mut trial = trial.expect("a socket");
        let mut failed = Vec::new();
        for part in Part::ALL {
            for family in Family::ALL {
                if let Err(error) = trial.attempt(part, family) {
                    failed.push(format!("{} {family}: {error}", part.name()));
                }
            }
        }
        failed
    }

    #[test]
    fn this_kernel_has_all_parts_and_a_rehearsal_leaves_nothing() {
        let namespace = Namespace::create("trial").expect("a namespace, which needs root");
        let none: [String; 0] = [];
        namespace
            .run(|| {
                assert_eq!(tried(Trial::rehearsal()), none);
                for family in Family::ALL {
                    assert_eq!(listed(family).expect("tables"), 0, "{family}");
                }
                assert_eq!(tried(Trial::in_this_namespace()), none);
                for family in Family::ALL {
                    assert_eq!(listed(family).expect("tables"), 1, "{family}");
                }
            })
            .expect("the namespace");
    }

    #[test]
    fn what_the_kernel_has_not_is_an_error_either_way() {
        let namespace = Namespace::create("trial").expect("a namespace, which needs root");
        let unknown = |trial: io::Result<Trial>| {
            let mut trial = trial.expect("a socket");
            let mut messages = Messages {
                out: Writer::new(),
                sequence: 1,
                family: Family::V4,
                last: 0,
            };
            nf_tables::begin(&mut messages.out, 1, None);
            messages.table();
            messages.base("filter", libc::NF_INET_FORWARD, 0);
            messages.rule(vec![Expression::Other {
                name: "no-such".to_owned(),
                attributes: Vec::new(),
            }]);
            let error = trial.put(messages).expect_err("no such expression");
            error.raw_os_error()
        };
        namespace
            .run(|| {
                assert_eq!(unknown(Trial::rehearsal()), Some(libc::ENOENT));
                assert_eq!(unknown(Trial::in_this_namespace()), Some(libc::ENOENT));
            })
            .expect("the namespace");
    }
}
