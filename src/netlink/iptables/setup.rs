//! What a node has once, whatever the cluster holds: what of it is missing, and how it is put back.
//!
//! Built-in chains are everybody's. They are read one by one and never with all rules of a table, a
//! jump of ours is known by what it means, and what is missing is made without moving anything.

mod jump;
mod strange;

use super::batch::{Batch, Doing, Subject};
use crate::netlink::subsystem::protocol_family;
use jump::Found;
use nft_wire::nf_tables::{self, HEADER, Hook, nfta};
use nft_wire::{Listing, Socket, Writer};
use rules::drift::{Edit, What};
use rules::iptables::Object;
use rules::iptables::names::ChainName;
use rules::iptables::rule::{Table, Target};
use rules::iptables::setup::{CANARIES, CANARY, ENTRANCES, Jump, jumps};
use rules::model::Family;
use std::collections::BTreeMap;
use std::io;
pub(super) use strange::Strangers;

/// How often a chain is read again in which something is missing, if it changed while it was read. In
/// the end what was found is taken for true: whoever writes by it does so at the ruleset's generation.
const ATTEMPTS: usize = 5;

/// What is not there.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// Tables that have none of ours but a canary; the others are made before they are filled.
    mangle: bool,
    /// Built-in chains.
    bases: Vec<Object>,
    /// Canaries, and chains that jumps lead to.
    chains: Vec<Object>,
    /// In the order in which each is put at the head of its chain.
    jumps: Vec<Jump>,
}

impl Missing {
    /// Whether all is there.
    pub(super) fn is_empty(&self) -> bool {
        self.bases.is_empty() && self.chains.is_empty() && self.jumps.is_empty()
    }

    /// Adds what is missing, in tables `filter` and `nat` that are there. Chains that the batch fills
    /// come before: they are no others than these.
    pub(super) fn write(&self, batch: &mut Batch) {
        if self.mangle {
            batch.table(Table::Mangle);
        }
        for Object { table, chain } in &self.bases {
            batch.base_chain(*table, *chain, hook(*table, *chain));
        }
        for object in &self.chains {
            batch.about(Subject::Chain(Doing::Make, *object));
            // One that is filled by the same batch is there by now.
            batch.chain(object.table, object.chain, false);
        }
        for jump in &self.jumps {
            batch.prepend(jump.table, jump.from, &jump.rule);
        }
    }
}

/// What of [`jumps`] and [`CANARIES`] is not there, and of the chains that these need.
///
/// # Errors
/// The kernel does not tell.
pub(super) fn missing(socket: &mut Socket, family: Family) -> io::Result<Missing> {
    let mut missing = Missing::default();
    for table in CANARIES {
        if chain(socket, family, table, CANARY)?.is_none() {
            missing.mangle |= table == Table::Mangle;
            let chain = CANARY;
            missing.chains.push(Object { table, chain });
        }
    }
    for (table, from) in ENTRANCES {
        if chain(socket, family, table, from)?.is_none() {
            missing.bases.push(Object { table, chain: from });
        }
    }
    for jump in jumps() {
        let Some(Target::Jump(to)) = jump.rule.target else {
            continue;
        };
        let object = Object {
            table: jump.table,
            chain: to,
        };
        let known = missing.chains.contains(&object);
        if !known && chain(socket, family, object.table, to)?.is_none() {
            missing.chains.push(object);
        }
    }
    missing.jumps = lost_jumps(socket, family)?;
    Ok(missing)
}

/// The [`jumps`] that are not there, in their order.
///
/// # Errors
/// The kernel does not tell.
fn lost_jumps(socket: &mut Socket, family: Family) -> io::Result<Vec<Jump>> {
    let mut lost = jumps();
    for (table, from) in ENTRANCES {
        let is_here = |jump: &Jump| (jump.table, jump.from) == (table, from);
        for _ in 0..ATTEMPTS {
            let listing = each_rule(socket, family, table, from, |rule| {
                if let Some(found) = Found::read(rule) {
                    lost.retain(|jump| !(is_here(jump) && found.is(&jump.rule)));
                }
            })?;
            if listing == Listing::Whole || !lost.iter().any(is_here) {
                break;
            }
        }
    }
    Ok(lost)
}

/// The same in words for a log, chain by chain; none if all are there.
///
/// # Errors
/// The kernel does not tell.
pub(super) fn told_lost(socket: &mut Socket, family: Family) -> io::Result<Vec<Edit>> {
    let mut edits: BTreeMap<(Table, ChainName), Edit> = BTreeMap::new();
    for jump in lost_jumps(socket, family)? {
        let edit = edits.entry((jump.table, jump.from)).or_insert(Edit {
            family,
            table: Some(jump.table.name()),
            added: false,
            what: What::Jump,
            name: jump.from.to_string(),
            count: 0,
        });
        edit.count += 1;
    }
    Ok(edits.into_values().collect())
}

/// Where iptables-nft hangs a built-in chain that has jumps of ours. Nothing is dropped there but by
/// a rule.
fn hook(table: Table, chain: ChainName) -> Hook {
    /// `NF_IP_PRI_NAT_DST` and `NF_IP_PRI_NAT_SRC`.
    const NAT: (i32, i32) = (-100, 100);
    let (number, priority) = match chain.as_str() {
        "PREROUTING" => (libc::NF_INET_PRE_ROUTING, NAT.0),
        "INPUT" => (libc::NF_INET_LOCAL_IN, NAT.1),
        "FORWARD" => (libc::NF_INET_FORWARD, 0),
        "OUTPUT" => (libc::NF_INET_LOCAL_OUT, NAT.0),
        _ => (libc::NF_INET_POST_ROUTING, NAT.1),
    };
    let translates = table == Table::Nat;
    Hook {
        number: number.cast_unsigned(),
        priority: if translates { priority } else { 0 },
        kind: if translates { "nat" } else { "filter" }.to_owned(),
        policy: libc::NF_ACCEPT.cast_unsigned(),
    }
}

/// A chain, if it is there.
fn chain(
    socket: &mut Socket,
    family: Family,
    table: Table,
    chain: ChainName,
) -> io::Result<Option<nf_tables::Chain>> {
    let kind = nf_tables::message_kind(libc::NFT_MSG_GETCHAIN);
    let answer = socket.request(kind, 0, |out| {
        nf_tables::header(out, protocol_family(family));
        out.text(nfta::CHAIN_TABLE, table.name());
        out.text(nfta::CHAIN_NAME, chain.as_str());
    });
    match answer {
        Ok(payload) => {
            let read = nf_tables::Chain::read(payload.get(HEADER..).unwrap_or_default());
            let unreadable = || io::Error::other(format!("chain {chain} cannot be read"));
            read.map(Some).ok_or_else(unreadable)
        }
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The rules of a chain, in order; none if it is not there.
fn each_rule(
    socket: &mut Socket,
    family: Family,
    table: Table,
    chain: ChainName,
    mut each: impl FnMut(&nf_tables::Rule),
) -> io::Result<Listing> {
    let kind = nf_tables::message_kind(libc::NFT_MSG_GETRULE);
    let names = |out: &mut Writer| {
        nf_tables::header(out, protocol_family(family));
        out.text(nfta::RULE_TABLE, table.name());
        out.text(nfta::RULE_CHAIN, chain.as_str());
    };
    let listed = socket.list(kind, names, |message| {
        if let Some(rule) = nf_tables::Rule::read(message.body(HEADER)) {
            each(&rule);
        }
    });
    match listed {
        Err(error) if is_absent(&error) => Ok(Listing::Whole),
        listed => listed,
    }
}

fn is_absent(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOENT)
}
