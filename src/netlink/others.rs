//! What others have in nf_tables, iptables on nf_tables included: the base chains on the hooks that
//! Services' packets pass, what their rules may do with them, and whose chains there are.
//!
//! How much there is is up to others: chains are followed from the hooks alone, by one request
//! each, and reading ends at [`RULES`] rules, [`CHAINS`] chains and [`ELEMENTS`] elements of maps
//! for all that hangs on the hooks of a table.

mod digest;

use super::subsystem::protocol_family;
use nft_wire::nf_tables::{self, HEADER, nfta};
use nft_wire::{Listing, Message, Socket, Writer, attribute, attributes};
use rules::check::{
    ChainFamily, Fate, ForeignChain, Hook, Others, Owner, OwnerCensus, ProxyTable, Rules, Step,
    fate, is_of_services,
};
use rules::model::Family;
use rules::nft::ruleset::TABLE;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;

/// So many rules of a table are read: the kernel finds its place in a long chain from the start,
/// with each datagram, so that 100,000 take it seconds.
const RULES: usize = 20_000;
/// So many of its chains are followed, beside those that a proxy has for each Service, which are
/// never.
const CHAINS: usize = 5_000;
/// So many elements of its maps of verdicts are read.
const ELEMENTS: usize = 20_000;
/// More base chains than the kernel takes of anybody who is in his right mind.
const BASE_CHAINS: usize = 1_000;
/// So many owners, table by table, are counted.
const CENSUS: usize = 1_000;
/// What changed while it was read is read again so often, and then taken as it is.
const ATTEMPTS: usize = 3;

mod kernel {
    pub(super) const INET: u8 = 1;
    pub(super) const IPV4: u8 = 2;
    pub(super) const NETDEV: u8 = 5;
    pub(super) const IPV6: u8 = 10;
    /// `NFT_TABLE_F_DORMANT`: its chains are on no hook.
    pub(super) const DORMANT: u32 = 1;
}

/// The base chains of others on the hooks that Services' packets pass, in the order in which
/// packets meet them, in the calling thread's network namespace.
///
/// # Errors
/// The kernel does not permit it, or has no nf_tables.
pub fn on_our_hooks() -> io::Result<Vec<ForeignChain>> {
    look().map(|others| others.chains)
}

/// All of it.
///
/// # Errors
/// As [`on_our_hooks`].
pub fn look() -> io::Result<Others> {
    let mut reader = Reader {
        socket: nf_tables::open()?,
    };
    let (bases, census) = reader.chains()?;
    let mut chains = Vec::with_capacity(bases.len());
    let mut tables: BTreeMap<(ChainFamily, &str), TableReader<'_>> = BTreeMap::new();
    for base in &bases {
        let of_table = TableReader::new(base.family, &base.table);
        let table = tables.entry((base.family, &base.table)).or_insert(of_table);
        let mut read = |chain: &str| table.rules(&mut reader, chain);
        let fate = fate(&base.chain, base.policy_drop, &mut read)?;
        chains.push(ForeignChain {
            fate,
            ..base.clone()
        });
    }
    chains.sort_by_key(|chain: &ForeignChain| (chain.hook, chain.priority));
    Ok(Others { chains, census })
}

/// Whose the table `kube-proxy` of a family is; `None` if there is none.
///
/// # Errors
/// The kernel does not permit to ask.
pub fn proxy_table(family: Family) -> io::Result<Option<ProxyTable>> {
    /// Maps that each has, and the other has not (docs/ruleset.md, docs/takeover.md).
    const MAPS: [(&str, ProxyTable); 2] = [
        ("services", ProxyTable::Ours),
        ("service-ips", ProxyTable::Upstreams),
    ];
    let mut socket = nf_tables::open()?;
    let in_table = |out: &mut Writer| {
        nf_tables::header(out, protocol_family(family));
        out.text(nfta::SET_TABLE, TABLE);
    };
    let mut found = None;
    let mut there = false;
    let tables = |out: &mut Writer| nf_tables::header(out, protocol_family(family));
    socket.list(
        nf_tables::message_kind(libc::NFT_MSG_GETTABLE),
        tables,
        |message| {
            let table = nf_tables::Table::read(message.body(HEADER));
            there |= table.is_some_and(|table| table.name == TABLE);
        },
    )?;
    if !there {
        return Ok(None);
    }
    socket.list(
        nf_tables::message_kind(libc::NFT_MSG_GETSET),
        in_table,
        |message| {
            let body = message.body(HEADER);
            let is =
                |kind, text: &str| nft_wire::text_of(body, kind).is_some_and(|found| found == text);
            if is(nfta::SET_TABLE, TABLE) {
                let map = MAPS.iter().find(|(name, _)| is(nfta::SET_NAME, name));
                found = found.or(map.map(|(_, whose)| *whose));
            }
        },
    )?;
    Ok(Some(found.unwrap_or(ProxyTable::Unknown)))
}

struct Reader {
    socket: Socket,
}

impl Reader {
    /// Base chains that are on a hook, without their rules, and who has how many chains.
    fn chains(&mut self) -> io::Result<(Vec<ForeignChain>, Vec<OwnerCensus>)> {
        let dormant = self.dormant_tables()?;
        let mut bases = Vec::new();
        let mut census: BTreeMap<(ChainFamily, String, Owner), (usize, String)> = BTreeMap::new();
        for _ in 0..ATTEMPTS {
            bases.clear();
            census.clear();
            let each = |message: Message<'_>| {
                let family = message.payload.first().copied().and_then(family_of);
                let chain = nf_tables::Chain::read(message.body(HEADER));
                let (Some(family), Some(chain)) = (family, chain) else {
                    return ControlFlow::Continue(());
                };
                let key = (family, chain.table);
                if is_own(family, &key.1) || dormant.contains(&key) {
                    return ControlFlow::Continue(());
                }
                let (family, table) = key;
                let owner = Owner::of(family, &table, &chain.name);
                if let Some(owner) = owner.filter(|_| census.len() < CENSUS) {
                    let key = (family, table.clone(), owner);
                    let (count, _) = census.entry(key).or_insert_with(|| (0, chain.name.clone()));
                    *count += 1;
                }
                let hook = chain.hook.as_ref();
                if let Some((hook, at)) = hook.and_then(|hook| Some((hook, hook_of(family, hook)?)))
                    && bases.len() < BASE_CHAINS
                {
                    bases.push(ForeignChain {
                        family,
                        table,
                        chain: chain.name,
                        kind: hook.kind.clone(),
                        hook: at,
                        priority: hook.priority,
                        policy_drop: hook.policy == libc::NF_DROP.cast_unsigned(),
                        fate: Fate::default(),
                        owner,
                    });
                }
                ControlFlow::Continue(())
            };
            let listing = self.list_any(libc::NFT_MSG_GETCHAIN, each)?;
            if listing == Listing::Whole {
                break;
            }
        }
        let census = census
            .into_iter()
            .map(|((family, table, owner), (count, example))| OwnerCensus {
                owner,
                family,
                table,
                chains: count,
                example,
            });
        Ok((bases, census.collect()))
    }

    fn dormant_tables(&mut self) -> io::Result<BTreeSet<(ChainFamily, String)>> {
        let mut dormant = BTreeSet::new();
        self.list_any(libc::NFT_MSG_GETTABLE, |message| {
            let family = message.payload.first().copied().and_then(family_of);
            let table = nf_tables::Table::read(message.body(HEADER));
            if let (Some(family), Some(table)) = (family, table)
                && table.flags & kernel::DORMANT != 0
            {
                dormant.insert((family, table.name));
            }
            ControlFlow::Continue(())
        })?;
        Ok(dormant)
    }

    /// Lists objects of every family.
    fn list_any(
        &mut self,
        kind: libc::c_int,
        each: impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> io::Result<Listing> {
        let any = |out: &mut Writer| nf_tables::header(out, 0);
        self.socket
            .list_while(nf_tables::message_kind(kind), any, each)
    }
}

/// Reads the rules of one table, chain by chain, as far as there is room.
struct TableReader<'a> {
    family: u8,
    table: &'a str,
    rules: usize,
    chains: usize,
    elements: usize,
    maps: BTreeMap<String, Vec<Step>>,
}

impl<'a> TableReader<'a> {
    fn new(family: ChainFamily, table: &'a str) -> Self {
        let family = match family {
            ChainFamily::Ip => kernel::IPV4,
            ChainFamily::Ip6 => kernel::IPV6,
            ChainFamily::Inet => kernel::INET,
            ChainFamily::Netdev => kernel::NETDEV,
        };
        Self {
            family,
            table,
            rules: RULES,
            chains: CHAINS,
            elements: ELEMENTS,
            maps: BTreeMap::new(),
        }
    }

    /// The rules of a chain. One that is not there any more has none.
    fn rules(&mut self, reader: &mut Reader, chain: &str) -> io::Result<Rules> {
        if is_of_services(chain) {
            // A proxy's, which drops nothing there that a Service does not ask for.
            return Ok(Rules::default());
        }
        if self.chains == 0 || self.rules == 0 {
            return Ok(Rules {
                unread: true,
                ..Rules::default()
            });
        }
        self.chains -= 1;
        let mut found = Rules::default();
        let mut maps = Vec::new();
        for _ in 0..ATTEMPTS {
            found = Rules::default();
            maps.clear();
            let room = self.rules;
            let listing = self.list(reader, libc::NFT_MSG_GETRULE, chain, |message| {
                if found.count == room {
                    found.unread = true;
                    return ControlFlow::Break(());
                }
                found.count += 1;
                let rule = nf_tables::Rule::read(message.body(HEADER));
                if let Some(digest) = rule.as_ref().and_then(digest::digest) {
                    maps.extend(digest.map.map(|map| (found.deciding.len(), map)));
                    found.deciding.push(digest.rule);
                }
                ControlFlow::Continue(())
            })?;
            if listing == Listing::Whole {
                break;
            }
        }
        self.rules -= found.count;
        for (at, map) in maps {
            let (steps, whole) = self.map(reader, &map)?;
            found.unread |= !whole;
            found.deciding[at].step = Step::Choice(steps);
        }
        Ok(found)
    }

    /// What a map's elements do, each once; false if there are more than there is room for.
    fn map(&mut self, reader: &mut Reader, map: &str) -> io::Result<(Vec<Step>, bool)> {
        if let Some(steps) = self.maps.get(map) {
            return Ok((steps.clone(), true));
        }
        let (mut steps, mut whole) = (Vec::new(), true);
        let mut room = self.elements;
        self.list(reader, libc::NFT_MSG_GETSETELEM, map, |message| {
            let list = attribute(message.body(HEADER), nfta::SET_ELEM_LIST_ELEMENTS);
            for (_, element) in attributes(list.unwrap_or_default()) {
                if room == 0 {
                    whole = false;
                    return ControlFlow::Break(());
                }
                room -= 1;
                let step = digest::step_of_element(element);
                steps.extend(step.filter(|step| !steps.contains(step)));
            }
            ControlFlow::Continue(())
        })?;
        self.elements = room;
        // A set has no order.
        steps.sort_unstable();
        if whole {
            self.maps.insert(map.to_owned(), steps.clone());
        }
        Ok((steps, whole))
    }

    /// Lists what is in a chain or set of the table.
    fn list(
        &self,
        reader: &mut Reader,
        kind: libc::c_int,
        within: &str,
        each: impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> io::Result<Listing> {
        const {
            assert!(nfta::RULE_TABLE == nfta::SET_ELEM_LIST_TABLE);
            assert!(nfta::RULE_CHAIN == nfta::SET_ELEM_LIST_SET);
        }
        let names = |out: &mut Writer| {
            nf_tables::header(out, self.family);
            out.text(nfta::RULE_TABLE, self.table);
            out.text(nfta::RULE_CHAIN, within);
        };
        let kind = nf_tables::message_kind(kind);
        match reader.socket.list_while(kind, names, each) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Listing::Whole),
            listed => listed,
        }
    }
}

/// Ours, or upstream's of mode nftables.
fn is_own(family: ChainFamily, table: &str) -> bool {
    table == TABLE && matches!(family, ChainFamily::Ip | ChainFamily::Ip6)
}

fn family_of(number: u8) -> Option<ChainFamily> {
    Some(match number {
        kernel::INET => ChainFamily::Inet,
        kernel::IPV4 => ChainFamily::Ip,
        kernel::IPV6 => ChainFamily::Ip6,
        kernel::NETDEV => ChainFamily::Netdev,
        _ => return None,
    })
}

/// `enum nf_inet_hooks`, or `enum nf_dev_hooks` of a device's.
fn hook_of(family: ChainFamily, hook: &nf_tables::Hook) -> Option<Hook> {
    Some(match (family, hook.number) {
        (ChainFamily::Netdev, 0) | (ChainFamily::Inet, 5) => Hook::Ingress,
        (ChainFamily::Netdev, 1) => Hook::Egress,
        (ChainFamily::Netdev, _) => return None,
        (_, 0) => Hook::Prerouting,
        (_, 1) => Hook::Input,
        (_, 2) => Hook::Forward,
        (_, 3) => Hook::Output,
        (_, 4) => Hook::Postrouting,
        _ => return None,
    })
}

/// What is made of a message's contents if they are a rule or elements.
#[cfg(feature = "fuzzing")]
pub(super) fn shown(body: &[u8]) -> Vec<String> {
    let rule = nf_tables::Rule::read(body).and_then(|rule| digest::digest(&rule));
    let mut shown: Vec<String> = (rule.iter())
        .map(|digest| format!("{:?} {:?}", digest.rule, digest.map))
        .collect();
    let list = attribute(body, nfta::SET_ELEM_LIST_ELEMENTS).unwrap_or_default();
    let steps = attributes(list).filter_map(|(_, element)| digest::step_of_element(element));
    shown.extend(steps.map(|step| format!("{step:?}")));
    shown
}

#[cfg(test)]
mod tests;
