//! Following single packets through the kernel's rules: a table that marks them, and the messages
//! in which the kernel tells each rule that they match (`NFT_MSG_TRACE`).
//!
//! The table is owned by the socket that made it (`NFT_TABLE_F_OWNER`, since Linux 5.12): the kernel
//! removes it with the socket, however the process ends. Where the kernel knows no owners, it is
//! removed when following ends, and what a killed process left by [`remove_leftovers`].

mod event;

pub use event::{Event, Headers, Kind};

use super::statements::expressions;
use super::subsystem::{protocol_family, table_message};
use ipnet::IpNet;
use nft_wire::nf_tables::{
    self, Chain, Data, Expression, FIRST_REGISTER, HEADER, Hook, Loaded, Rule, Table,
};
use nft_wire::{Heard, Listener, Membership, Message, Protocol, Socket, Writer, messages};
use rules::model::{self, Family};
use rules::nft::ruleset::{Side, Statement};
use std::io;
use std::net::IpAddr;

/// What the names of the tables begin with.
pub const TABLE_PREFIX: &str = "kube-proxy-trace";
/// `NFT_TABLE_F_OWNER`.
const OWNER: u32 = 2;
/// Before everything but defragmentation (`NF_IP_PRI_RAW` is -300).
const PRIORITY: i32 = -350;
/// So many packets are marked in a second, so that a busy pair does not flood anybody.
const PACKETS_PER_SECOND: u64 = 50;
/// Room for what the kernel tells until it is read.
const RECEIVE_BUFFER: usize = 4 << 20;
/// So many datagrams are read in a row.
const BUNCH: usize = 500;

/// Which packets are marked: those of the direction that opens a connection, and of TCP only the
/// one that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The transport protocol.
    pub protocol: model::Protocol,
    /// Where they come from.
    pub source: IpAddr,
    /// Where they are sent, before any translation.
    pub destination: IpAddr,
    /// The port that they are sent to.
    pub port: u16,
}

/// The table that marks packets. It goes when this is dropped.
pub struct Marking {
    socket: Socket,
    family: Family,
    table: String,
    is_owned: bool,
}

impl Marking {
    /// Marks a pair's packets from now on, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set(pair: Pair) -> io::Result<Self> {
        let mut socket = nf_tables::open()?;
        let family = Family::of(pair.destination);
        let table = format!("{TABLE_PREFIX}-{}", socket.port()?);
        let mut is_owned = true;
        let mut result = transact(&mut socket, |out, last| {
            write(out, last, &table, pair, OWNER);
        });
        if let Err(error) = &result
            && let Some(libc::EINVAL | libc::EOPNOTSUPP) = error.raw_os_error()
        {
            is_owned = false;
            result = transact(&mut socket, |out, last| write(out, last, &table, pair, 0));
        }
        result?;
        Ok(Self {
            socket,
            family,
            table,
            is_owned,
        })
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Whether the kernel removes the table with this process.
    pub fn is_owned(&self) -> bool {
        self.is_owned
    }
}

impl Drop for Marking {
    fn drop(&mut self) {
        let (family, table) = (self.family, &self.table);
        let removed = transact(&mut self.socket, |out, last| {
            delete(out, last, family, table);
        });
        if let Err(error) = removed
            && !self.is_owned
        {
            tracing::warn!("removing the table {} {table}: {error}", family.nft());
        }
    }
}

/// Removes the tables that killed processes left, where the kernel knows no owners; true if there
/// was one.
///
/// # Errors
/// The kernel does not permit it.
pub fn remove_leftovers(family: Family) -> io::Result<bool> {
    let mut socket = nf_tables::open()?;
    let kind = nf_tables::message_kind(libc::NFT_MSG_GETTABLE);
    let of_family = |out: &mut Writer| nf_tables::header(out, protocol_family(family));
    let tables = socket.list_whole(kind, of_family, |message: Message<'_>, all| {
        all.extend(Table::read(message.body(HEADER)));
    })?;
    let is_left = |table: &Table| table.name.starts_with(TABLE_PREFIX) && table.flags & OWNER == 0;
    let left: Vec<Table> = tables.into_iter().filter(is_left).collect();
    for table in &left {
        transact(&mut socket, |out, last| {
            delete(out, last, family, &table.name);
        })?;
    }
    Ok(!left.is_empty())
}

fn write(out: &mut Writer, last: &mut u32, name: &str, pair: Pair, flags: u32) {
    let family = Family::of(pair.destination);
    let mut add = |kind: libc::c_int, more: libc::c_int, write: &dyn Fn(&mut Writer)| {
        *last += 1;
        let more = libc::NLM_F_CREATE | more;
        table_message(out, family, kind, more, *last, |out| write(out));
    };
    let table = Table {
        name: name.to_owned(),
        flags,
        ..Table::default()
    };
    add(libc::NFT_MSG_NEWTABLE, libc::NLM_F_EXCL, &|out| {
        table.write(out);
    });
    for (chain, number) in [
        ("prerouting", libc::NF_INET_PRE_ROUTING),
        ("output", libc::NF_INET_LOCAL_OUT),
    ] {
        let hook = Hook {
            number: number.cast_unsigned(),
            priority: PRIORITY,
            kind: "filter".to_owned(),
            policy: libc::NF_ACCEPT.cast_unsigned(),
        };
        let base = Chain {
            table: name.to_owned(),
            name: chain.to_owned(),
            hook: Some(hook),
            user_data: Vec::new(),
        };
        add(libc::NFT_MSG_NEWCHAIN, 0, &|out| base.write(out));
        let rule = Rule {
            table: name.to_owned(),
            chain: chain.to_owned(),
            expressions: marking(family, pair),
            ..Rule::default()
        };
        add(libc::NFT_MSG_NEWRULE, libc::NLM_F_APPEND, &|out| {
            rule.write(out);
        });
    }
}

fn delete(out: &mut Writer, last: &mut u32, family: Family, table: &str) {
    *last += 1;
    table_message(out, family, libc::NFT_MSG_DELTABLE, 0, *last, |out| {
        out.text(nf_tables::nfta::TABLE_NAME, table);
    });
}

/// `ip saddr A ip daddr B meta l4proto P th dport N [tcp flags syn / syn,ack] limit rate 50/second
/// burst 50 packets meta nftrace set 1`.
fn marking(family: Family, pair: Pair) -> Vec<Expression> {
    let address = |side, address: IpAddr| Statement::Address {
        side,
        prefix: IpNet::from(address),
        negated: false,
    };
    let ends = [
        address(Side::Source, pair.source),
        address(Side::Destination, pair.destination),
    ];
    let mut list = expressions(family, &ends);
    let equal = |data: &[u8]| Expression::Cmp {
        sreg: FIRST_REGISTER,
        op: libc::NFT_CMP_EQ.cast_unsigned(),
        data: data.to_vec(),
    };
    let transport = |offset, len| Expression::Payload {
        dreg: FIRST_REGISTER,
        base: libc::NFT_PAYLOAD_TRANSPORT_HEADER.cast_unsigned(),
        offset,
        len,
    };
    list.push(Expression::Meta {
        key: libc::NFT_META_L4PROTO.cast_unsigned(),
        register: Loaded::Into(FIRST_REGISTER),
    });
    list.push(equal(&[pair.protocol.number()]));
    list.push(transport(2, 2));
    list.push(equal(&pair.port.to_be_bytes()));
    if pair.protocol == model::Protocol::Tcp {
        const FLAGS_AT: u32 = 13;
        const SYN: u8 = 0x02;
        const ACK: u8 = 0x10;
        list.push(transport(FLAGS_AT, 1));
        list.push(Expression::Bitwise {
            sreg: FIRST_REGISTER,
            dreg: FIRST_REGISTER,
            mask: vec![SYN | ACK],
            xor: vec![0],
        });
        list.push(equal(&[SYN]));
    }
    list.push(limit());
    list.push(Expression::Immediate {
        dreg: FIRST_REGISTER,
        data: Data::Value(vec![1]),
    });
    list.push(Expression::Meta {
        key: libc::NFT_META_NFTRACE.cast_unsigned(),
        register: Loaded::From(FIRST_REGISTER),
    });
    list
}

fn limit() -> Expression {
    const RATE: u16 = 1;
    const UNIT: u16 = 2;
    const BURST: u16 = 3;
    const TYPE: u16 = 4;
    const FLAGS: u16 = 5;
    const SECOND: u64 = 1;
    let mut out = Writer::new();
    out.long(RATE, PACKETS_PER_SECOND);
    out.long(UNIT, SECOND);
    out.number(BURST, u32::try_from(PACKETS_PER_SECOND).unwrap_or(u32::MAX));
    // NFT_LIMIT_PKTS
    out.number(TYPE, 0);
    out.number(FLAGS, 0);
    Expression::Other {
        name: "limit".to_owned(),
        attributes: out.bytes().to_vec(),
    }
}

/// Sends what `write` adds as one batch.
fn transact(socket: &mut Socket, write: impl FnOnce(&mut Writer, &mut u32)) -> io::Result<()> {
    let mut out = Writer::new();
    let first = socket.sequence();
    let mut last = first;
    nf_tables::begin(&mut out, first, None);
    write(&mut out, &mut last);
    let end = out.len();
    nf_tables::end(&mut out, last + 1);
    // Answered by itself when asked to, which tells that all of it was taken.
    out.acknowledge(end);
    socket.number_on(last + 2);
    let bytes = out.finish().map_err(io::Error::other)?;
    socket.send(&bytes)?;
    let replies = socket.replies()?.all;
    match replies.iter().find(|reply| reply.errno != 0) {
        Some(reply) => Err(io::Error::from_raw_os_error(reply.errno)),
        None if replies.is_empty() => Err(io::Error::other("the kernel did not answer")),
        None => Ok(()),
    }
}

/// Hears what the kernel tells of marked packets, anybody's.
pub struct Follower {
    listener: Listener,
    _membership: Membership,
}

impl Follower {
    /// Listens in the network namespace of the calling thread, inside a runtime.
    ///
    /// # Errors
    /// The kernel does not permit it.
    pub fn open() -> io::Result<Self> {
        let listener = Listener::open(Protocol::Netfilter)?;
        listener.make_room(RECEIVE_BUFFER)?;
        let mut membership = listener.membership(libc::NFNLGRP_NFTRACE.cast_unsigned());
        membership.join()?;
        Ok(Self {
            listener,
            _membership: membership,
        })
    }

    /// Waits for events; `None` stands for some that were too many to be kept. May be dropped and
    /// called again without missing anything.
    ///
    /// # Errors
    /// The socket cannot be read.
    pub async fn next(&mut self) -> io::Result<Vec<Option<Event>>> {
        let mut events = Vec::new();
        let each = |heard: Heard<'_>| match heard {
            Heard::Datagram(bytes) => {
                events.extend(messages(bytes).filter_map(Event::read).map(Some));
            }
            Heard::Lost => events.push(None),
        };
        self.listener.hear(BUNCH, each).await?;
        Ok(events)
    }
}

#[cfg(test)]
mod tests;
