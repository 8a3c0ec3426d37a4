//! What is there: chains by name, and whether one has the rules that it shall have.

use super::encode;
use crate::netlink::subsystem::protocol_family;
use nft_wire::nf_tables::{self, Expression, nfta};
use nft_wire::{Listing, Socket, Writer, text_of};
use rules::iptables::Object;
use rules::iptables::names::ChainName;
use rules::iptables::rule::{Rule, Table};
use rules::model::Family;
use std::collections::BTreeSet;
use std::io;

/// How often they are listed, if others change the ruleset meanwhile. What is missed then is found
/// the next time.
const ATTEMPTS: usize = 3;

/// What a family's tables have.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Chains of Services.
    pub(super) of_services: BTreeSet<Object>,
    /// Other chains of Kubernetes.
    pub(super) shared: BTreeSet<Object>,
    /// Tables that have any chain, `filter` and `nat` alone.
    pub(super) tables: BTreeSet<Table>,
}

/// Lists the chains, without their rules.
pub(super) fn find(socket: &mut Socket, family: Family) -> io::Result<Found> {
    let kind = nf_tables::message_kind(libc::NFT_MSG_GETCHAIN);
    let mut found = Found::default();
    for _ in 0..ATTEMPTS {
        found = Found::default();
        let header = |out: &mut Writer| nf_tables::header(out, protocol_family(family));
        let listing = socket.list(kind, header, |message| {
            let Some((table, chain)) = read(message.body(nf_tables::HEADER)) else {
                return;
            };
            found.tables.insert(table);
            if let Some(chain) = chain.filter(|own| own.as_str().starts_with("KUBE-")) {
                let object = Object { table, chain };
                match chain.is_of_service() {
                    true => found.of_services.insert(object),
                    false => found.shared.insert(object),
                };
            }
        })?;
        if listing == Listing::Whole {
            break;
        }
    }
    Ok(found)
}

fn read(body: &[u8]) -> Option<(Table, Option<ChainName>)> {
    let table = text_of(body, nfta::CHAIN_TABLE)?;
    let mut tables = [Table::Filter, Table::Nat].into_iter();
    let table = tables.find(|own| own.name() == table)?;
    let chain = text_of(body, nfta::CHAIN_NAME)?;
    Some((table, ChainName::read(&chain)))
}

/// Whether a chain that is there has these rules and no others, as they are written here, whatever they
/// have counted; no if it changes while it is read.
pub(super) fn has(socket: &mut Socket, family: Family, object: Object, rules: &[Rule]) -> bool {
    let kind = nf_tables::message_kind(libc::NFT_MSG_GETRULE);
    let names = |out: &mut Writer| {
        nf_tables::header(out, protocol_family(family));
        out.text(nfta::RULE_TABLE, object.table.name());
        out.text(nfta::RULE_CHAIN, object.chain.as_str());
    };
    let mut expected = rules.iter();
    let mut same = true;
    let listed = socket.list(kind, names, |message| {
        // What is left of the list is cheap, and has to be read.
        same = same
            && expected.next().is_some_and(|own| {
                let found = nf_tables::Rule::read(message.body(nf_tables::HEADER));
                found.is_some_and(|found| is_same(&found, &encode::expressions(family, own)))
            });
    });
    same && expected.next().is_none() && listed.is_ok_and(|listing| listing == Listing::Whole)
}

fn is_same(found: &nf_tables::Rule, expected: &[Expression]) -> bool {
    let counts = |one: &Expression| matches!(one, Expression::Counter(_));
    let mut pairs = found.expressions.iter().zip(expected);
    found.user_data.is_empty()
        && found.expressions.len() == expected.len()
        && pairs.all(|(found, expected)| found == expected || (counts(found) && counts(expected)))
}
