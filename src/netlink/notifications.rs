//! nf_tables' notifications (`linux/netfilter/nfnetlink.h`, group `NFNLGRP_NFTABLES`): each
//! transaction of anybody tells its changes, and then the generation that it made and the
//! process that asked for it.
//!
//! Our own are told from others' by the port of the socket in each message, which no two sockets
//! of a network namespace share, whatever the process is called elsewhere.

mod chains;

use super::subsystem::protocol_family;
use nft_wire::nf_tables::{self, HEADER, nfta};
use nft_wire::{Message, attribute, messages, text_of, u32_at};
use rules::drift::{Damage, Edit, ForeignChange, Notice, What};
use rules::model::Family;
use rules::nft::ruleset::TABLE;
use std::collections::BTreeMap;

/// Not in libc.
const NEW_FLOWTABLE: i32 = 22;
const DELETE_FLOWTABLE: i32 = 24;

/// More notices than that are one that some are lost.
const NOTICES: usize = 64;

/// Objects that upstream's kube-proxy has in its table and nobody else.
const UPSTREAM: [&str; 3] = ["mark-for-masquerade", "service-ips", "no-endpoint-services"];

/// What is ours of what is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ours {
    /// The tables `kube-proxy`.
    #[default]
    Table,
    /// kube-proxy's chains in the tables of iptables, and the jumps to them.
    Chains,
}

/// From messages to notices. A transaction may come in several datagrams.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    ours: Ours,
    /// The port of the socket that our own transactions come from.
    own_port: u32,
    /// What the present transaction did to our table so far.
    edits: Vec<Edit>,
    upstream: bool,
    notices: Vec<Notice>,
    /// The last change of each family that may have deleted jumps, and is nothing else to us.
    doubts: BTreeMap<Family, ForeignChange>,
}

impl Decoder {
    pub(super) fn new(ours: Ours, own_port: u32) -> Self {
        Self {
            ours,
            own_port,
            ..Self::default()
        }
    }

    /// Reads a datagram.
    pub(super) fn read(&mut self, datagram: &[u8]) {
        for message in messages(datagram) {
            if message.port != self.own_port {
                self.take(message);
            }
        }
    }

    /// Something was not told.
    pub(super) fn lost(&mut self) {
        self.edits.clear();
        self.upstream = false;
        self.notices.clear();
        self.doubts.clear();
        self.notices.push(Notice::Lost);
    }

    /// What was told since the last call.
    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// What may have deleted jumps since the last call, the last such change of each family: who looks
    /// for them knows.
    pub(super) fn take_doubts(&mut self) -> impl Iterator<Item = (Family, ForeignChange)> {
        std::mem::take(&mut self.doubts).into_iter()
    }

    fn take(&mut self, message: Message<'_>) {
        let Some((kind, family)) = nf_tables::kind_of(message) else {
            return;
        };
        let body = message.body(HEADER);
        if kind == libc::NFT_MSG_NEWGEN {
            self.end(body);
            return;
        }
        let is_it = |known: &Family| protocol_family(*known) == family;
        let family = Family::ALL.into_iter().find(is_it);
        let edit = family.and_then(|family| match self.ours {
            Ours::Table => edit(family, kind, body),
            Ours::Chains => chains::edit(family, kind, body),
        });
        if let Some(edit) = edit {
            self.note(edit);
        }
    }

    /// Counts what is like another.
    fn note(&mut self, edit: Edit) {
        self.upstream |= match self.ours {
            Ours::Table => UPSTREAM.contains(&&*edit.name),
            Ours::Chains => chains::is_rewritten_by_upstream(&edit),
        };
        // Elements of the sets of clients come and go as clients do. Whoever takes one out
        // wants just that.
        let like = |known: &&mut Edit| {
            (known.family, known.table, known.added, known.what)
                == (edit.family, edit.table, edit.added, edit.what)
        };
        match self.edits.iter_mut().find(like) {
            Some(known) => known.count += 1,
            None => self.edits.push(edit),
        }
    }

    /// The end of a transaction.
    fn end(&mut self, body: &[u8]) {
        let edits = std::mem::take(&mut self.edits);
        let upstream = std::mem::take(&mut self.upstream);
        if edits.is_empty() {
            return;
        }
        let number = |kind| {
            let value = attribute(body, kind)?;
            u32_at(value, 0).map(u32::from_be)
        };
        let process = text_of(body, nfta::GEN_PROC_NAME);
        let Some(generation) = number(nfta::GEN_ID) else {
            self.lost();
            return;
        };
        let process = process.unwrap_or_else(|| "unknown".to_owned());
        let change = ForeignChange {
            generation,
            pid: number(nfta::GEN_PROC_PID).unwrap_or(0),
            upstream: match self.ours {
                Ours::Table => upstream,
                Ours::Chains => upstream && chains::is_restore(&process),
            },
            process,
            edits,
        };
        match (self.ours, change.damage()) {
            (Ours::Chains, Damage::Jumps) => self.doubt(&change),
            _ if self.notices.len() >= NOTICES => self.lost(),
            _ => self.notices.push(Notice::Changed(change)),
        }
    }

    /// Whatever others do in chains that are everybody's, and however often, is no more than one
    /// doubt for each family.
    fn doubt(&mut self, change: &ForeignChange) {
        for family in Family::ALL {
            let mut own = change.clone();
            own.edits.retain(|edit| edit.family == family);
            if !own.edits.is_empty() {
                self.doubts.insert(family, own);
            }
        }
    }
}

/// What a message tells, if it is about our table.
fn edit(family: Family, kind: libc::c_int, body: &[u8]) -> Option<Edit> {
    let (what, added) = kind_of_edit(kind)?;
    let table = attribute(body, nfta::OBJECT_TABLE)?;
    if table.strip_suffix(&[0]).unwrap_or(table) != TABLE.as_bytes() {
        return None;
    }
    let name = match what {
        What::Table => nfta::OBJECT_TABLE,
        What::Chain => nfta::CHAIN_NAME,
        _ => nfta::OBJECT_NAME,
    };
    let name = text_of(body, name).unwrap_or_default();
    // Clients come and go: who is in these sets is no rule. Whoever takes one out means that.
    if what == What::Element && name.starts_with("affinity-") {
        return None;
    }
    Some(Edit {
        family,
        table: None,
        added,
        what,
        name,
        count: 1,
    })
}

/// What a message is about, and whether that was added.
fn kind_of_edit(kind: libc::c_int) -> Option<(What, bool)> {
    Some(match kind {
        libc::NFT_MSG_NEWTABLE => (What::Table, true),
        libc::NFT_MSG_DELTABLE => (What::Table, false),
        libc::NFT_MSG_NEWCHAIN => (What::Chain, true),
        libc::NFT_MSG_DELCHAIN => (What::Chain, false),
        libc::NFT_MSG_NEWRULE => (What::Rule, true),
        libc::NFT_MSG_DELRULE => (What::Rule, false),
        libc::NFT_MSG_NEWSET => (What::Set, true),
        libc::NFT_MSG_DELSET => (What::Set, false),
        libc::NFT_MSG_NEWSETELEM => (What::Element, true),
        libc::NFT_MSG_DELSETELEM => (What::Element, false),
        libc::NFT_MSG_NEWOBJ | NEW_FLOWTABLE => (What::Other, true),
        libc::NFT_MSG_DELOBJ | DELETE_FLOWTABLE => (What::Other, false),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
