//! The table as the kernel holds it, read back into the types that the planner uses. What
//! somebody else put into it is told beside, in words.

mod counts;
mod element;
mod found;
mod known;
mod source;
mod statement;

pub use found::{Dump, Foreign, Place};

use super::elements::write_key;
use super::subsystem::protocol_family;
use super::{clients, objects, userdata};
use ipnet::IpNet;
use known::Names;
use nft_wire::nf_tables::{self, HEADER, nfta};
use nft_wire::{Message, Socket, Writer};
use rules::model::Family;
use rules::nft::names;
use rules::nft::print;
use rules::nft::ruleset::{Chain, ChainId, Client, Element, Key, Rule, SetId, TABLE};
use std::collections::BTreeMap;
use std::io;

/// The table is read again so often if the ruleset changed meanwhile.
const ATTEMPTS: usize = 5;
/// More clients than that are counted, not kept: how many there are is their own choice.
const CLIENTS: usize = 100_000;

/// A rule of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRule {
    /// Its place in its chain, from 0.
    pub position: usize,
    /// Its expressions, in the words of `nft --debug=netlink`.
    pub text: Vec<String>,
    /// Its chain and what it is; `None` if either is somebody else's.
    pub rule: Option<(ChainId, Rule)>,
}

/// The rules of a chain of another table by what the kernel calls them, in the words of
/// `nft --debug=netlink`; `family` is one of `NFPROTO_*`. A whole table of iptables would take long.
///
/// # Errors
/// The kernel does not permit it, or the rules changed each time that they were read.
pub fn foreign_rules(family: u8, table: &str, chain: &str) -> io::Result<BTreeMap<u64, String>> {
    let mut socket = nf_tables::open()?;
    let kind = nf_tables::message_kind(libc::NFT_MSG_GETRULE);
    let of_chain = |out: &mut Writer| {
        nf_tables::header(out, family);
        out.text(nfta::RULE_TABLE, table);
        out.text(nfta::RULE_CHAIN, chain);
    };
    let each = |message: Message<'_>, all: &mut Vec<nf_tables::Rule>| {
        all.extend(nf_tables::Rule::read(message.body(HEADER)));
    };
    let rules = unless_missing(socket.list_whole(kind, of_chain, each))?;
    let known = rules.into_iter().filter_map(|rule| {
        let words: Vec<String> = rule.expressions.iter().map(ToString::to_string).collect();
        Some((rule.handle?, words.join(" ")))
    });
    Ok(known.collect())
}

/// Reads a family's table, in the network namespace that it was opened in. Nothing is changed.
pub struct Reader {
    socket: Socket,
    names: Names,
}

impl Reader {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// There is none to be had.
    pub fn open(family: Family) -> io::Result<Self> {
        let sources = BTreeMap::new();
        Ok(Self {
            socket: nf_tables::open()?,
            names: Names { family, sources },
        })
    }

    /// The whole table; `None` if there is none. It is held once, and no more than a datagram of
    /// what the kernel says.
    ///
    /// # Errors
    /// The kernel does not permit it, or a list changed each time that it was read.
    pub fn table(&mut self) -> io::Result<Option<Dump>> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let before = nf_tables::generation(&mut self.socket)?;
            self.names.sources.clear();
            last = self.read()?;
            if nf_tables::generation(&mut self.socket)? == before {
                if let Some(dump) = &mut last {
                    dump.generation = Some(before);
                }
                break;
            }
        }
        Ok(last)
    }

    /// The ruleset's generation: another one means that something changed, in whatever table.
    ///
    /// # Errors
    /// The kernel does not permit it.
    pub fn generation(&mut self) -> io::Result<u32> {
        nf_tables::generation(&mut self.socket)
    }

    /// The table's flags; `None` if there is no table. A flag is none of ours.
    ///
    /// # Errors
    /// The kernel does not permit it.
    pub fn flags(&mut self) -> io::Result<Option<u32>> {
        let tables = self.list(libc::NFT_MSG_GETTABLE, |_| {}, nf_tables::Table::read)?;
        let table = tables.into_iter().find(|table| table.name == TABLE);
        Ok(table.map(|table| table.flags))
    }

    /// Whether a set is there, and is as we would make it: another version's may be another.
    ///
    /// # Errors
    /// The kernel does not permit it.
    pub fn has_set(&mut self, set: SetId) -> io::Result<bool> {
        let body = self.get(libc::NFT_MSG_GETSET, |out| {
            out.text(nfta::SET_TABLE, TABLE);
            out.text(nfta::SET_NAME, set.name());
        })?;
        let found = body.as_deref().and_then(nf_tables::Set::read);
        let family = self.names.family;
        Ok(found.is_some_and(|found| objects::is_like(&found, &objects::set(family, set, None))))
    }

    /// Those of a set's elements that are there, and what is foreign about them: as many requests
    /// as there are keys, whatever else the table holds.
    ///
    /// # Errors
    /// The kernel does not permit it.
    pub fn elements(
        &mut self,
        set: SetId,
        keys: impl IntoIterator<Item = Key>,
    ) -> io::Result<(Vec<Element>, Vec<Foreign>)> {
        let (mut found, mut foreign) = (Vec::new(), Vec::new());
        for key in keys {
            let Some(body) = self.element(set, &key)? else {
                continue;
            };
            for element in nf_tables::Element::list(&body) {
                self.learn_from_verdict(&element)?;
                match element::element(&self.names, set, &element) {
                    Some(element) => found.push(element),
                    None => foreign.push(self.foreign_element(set, &element)),
                }
            }
        }
        Ok((found, foreign))
    }

    /// A chain with its rules, and what is foreign about them; `None` if it is not there.
    ///
    /// # Errors
    /// The kernel does not permit it, or the rules changed each time that they were read.
    pub fn chain(&mut self, id: &ChainId) -> io::Result<Option<(Chain, Vec<Foreign>)>> {
        let name = id.to_string();
        let names = |out: &mut Writer| {
            out.text(nfta::CHAIN_TABLE, TABLE);
            out.text(nfta::CHAIN_NAME, &name);
        };
        let Some(body) = self.get(libc::NFT_MSG_GETCHAIN, names)? else {
            return Ok(None);
        };
        if let ChainId::Sources(set) = id {
            self.names.sources.insert(name.clone(), set.clone());
        }
        let mut dump = Dump::default();
        let rules = self.rules(Some(&name))?;
        if let Some(chain) = nf_tables::Chain::read(&body) {
            self.take_chain(&mut dump, chain, &rules);
        }
        let chain = dump.chains.remove(id);
        Ok(chain.map(|chain| (chain, dump.foreign)))
    }

    /// The table's rules by what the kernel calls them, as traces of packets do.
    ///
    /// # Errors
    /// The kernel does not permit it, or the rules changed each time that they were read.
    pub fn rules_by_handle(&mut self) -> io::Result<BTreeMap<u64, KnownRule>> {
        let mut chains: BTreeMap<String, Vec<nf_tables::Rule>> = BTreeMap::new();
        for rule in self.rules(None)? {
            chains.entry(rule.chain.clone()).or_default().push(rule);
        }
        for (name, rules) in &chains {
            let ranges = source::in_rules(&self.names, rules);
            self.names.learn(name, &ranges);
        }
        let mut known = BTreeMap::new();
        for (name, rules) in chains {
            let chain = self.names.chain(&name);
            for (position, rule) in rules.into_iter().enumerate() {
                let statements = statement::statements(&self.names, &rule.expressions);
                let rule_of = |statements| Some((chain.clone()?, Rule { statements }));
                let known_rule = KnownRule {
                    position,
                    text: rule.expressions.iter().map(ToString::to_string).collect(),
                    rule: statements.ok().and_then(rule_of),
                };
                known.extend(rule.handle.map(|handle| (handle, known_rule)));
            }
        }
        Ok(known)
    }

    fn read(&mut self) -> io::Result<Option<Dump>> {
        let tables = self.list(libc::NFT_MSG_GETTABLE, |_| {}, nf_tables::Table::read)?;
        let Some(table) = tables.into_iter().find(|table| table.name == TABLE) else {
            return Ok(None);
        };
        let mut dump = Dump::default();
        if table.flags != 0 {
            // NFT_TABLE_F_DORMANT is the one that nft can set: no rule is evaluated.
            dump.note(Place::Table, format!("flags {:#x}", table.flags));
        }
        // Names of sources first, then who refers to chains, then who refers to sets.
        let sets = self.sets(&mut dump)?;
        self.read_chains(&mut dump)?;
        for set in sets {
            match set.is_counting() {
                true => dump.connections = self.connections()?,
                false => self.take_elements(&mut dump, set)?,
            }
        }
        for object in self.objects()? {
            match counts::counter(&object) {
                Some((counter, counted)) => drop(dump.counters.insert(counter, counted)),
                None => dump.note(Place::Object(object.name), "not ours"),
            }
        }
        Ok(Some(dump))
    }

    /// Takes sets in that belong to single Services, with what they hold; the others are still
    /// empty.
    fn sets(&mut self, dump: &mut Dump) -> io::Result<Vec<SetId>> {
        let in_table = |out: &mut Writer| out.text(nfta::SET_TABLE, TABLE);
        let sets = self.list(libc::NFT_MSG_GETSET, in_table, nf_tables::Set::read)?;
        let family = self.names.family;
        let mut shared = Vec::new();
        for set in sets.into_iter().filter(|set| set.table == TABLE) {
            let is_like = |expected: nf_tables::Set| objects::is_like(&set, &expected);
            if let Some(id) = names::set(&set.name)
                && is_like(objects::set(family, id, None))
            {
                dump.sets.insert(id, (set.size, Vec::new()));
                shared.push(id);
            } else if let Some(id) = names::affinity_set(&set.name, family)
                && is_like(objects::affinity_set(family, &id))
            {
                let clients = self.clients(dump, &set.name)?;
                dump.affinity_sets.insert(id, clients);
            } else if is_like(objects::source_set(family, &set.name))
                && let ranges = self.ranges(&set.name)?
                && let Some(id) = self.names.learn(&set.name, &ranges)
            {
                dump.source_sets.insert(id);
            } else {
                let text = format!(
                    "flags {:#x}, key of type {:#x}, {} bytes",
                    set.flags, set.key_type, set.key_len
                );
                dump.note(Place::Set(set.name), text);
            }
        }
        Ok(shared)
    }

    fn clients(&mut self, dump: &mut Dump, set: &str) -> io::Result<Vec<Client>> {
        let kept: usize = dump.affinity_sets.values().map(Vec::len).sum();
        let mut room = CLIENTS.saturating_sub(kept);
        let mut more = 0;
        let clients = self.each_element(set, |element, clients: &mut Vec<Client>| {
            let Some((address, remaining)) = clients::client(element) else {
                return;
            };
            if room == 0 {
                more += 1;
                return;
            }
            room -= 1;
            clients.push(Client {
                address,
                timeout: element.timeout.unwrap_or(remaining),
                remaining,
            });
        })?;
        dump.more_clients += more;
        Ok(clients)
    }

    /// The ranges of an interval set.
    fn ranges(&mut self, set: &str) -> io::Result<Vec<IpNet>> {
        let bounds = self.each_element(set, |element, bounds| {
            bounds.extend(source::bound(element));
        })?;
        Ok(source::ranges(self.names.family, bounds))
    }

    fn take_elements(&mut self, dump: &mut Dump, set: SetId) -> io::Result<()> {
        let kind = nf_tables::message_kind(libc::NFT_MSG_GETSETELEM);
        let Self { socket, names } = self;
        let family = protocol_family(names.family);
        let read = |message: Message<'_>, all: &mut Vec<Result<Element, Foreign>>| {
            let list = nf_tables::Element::list(message.body(HEADER));
            all.extend(list.map(|found| {
                let element = element::element(names, set, &found);
                element.ok_or_else(|| foreign_element(names, set, &found))
            }));
        };
        let write = |out: &mut Writer| {
            nf_tables::header(out, family);
            nf_tables::Element::write_names(out, TABLE, set.name());
        };
        let all = unless_missing(socket.list_whole(kind, write, read))?;
        let mut elements = Vec::with_capacity(all.len());
        for one in all {
            match one {
                Ok(element) => elements.push(element),
                Err(Foreign { place, text }) => dump.note(place, text),
            }
        }
        if let Some((_, own)) = dump.sets.get_mut(&set) {
            *own = elements;
        }
        Ok(())
    }

    fn read_chains(&mut self, dump: &mut Dump) -> io::Result<()> {
        let in_table = |out: &mut Writer| out.text(nfta::CHAIN_TABLE, TABLE);
        let chains = self.list(libc::NFT_MSG_GETCHAIN, in_table, nf_tables::Chain::read)?;
        let chains = chains.into_iter().filter(|chain| chain.table == TABLE);
        let chains: Vec<nf_tables::Chain> = chains.collect();
        let mut rules: BTreeMap<String, Vec<nf_tables::Rule>> = BTreeMap::new();
        for rule in self.rules(None)? {
            rules.entry(rule.chain.clone()).or_default().push(rule);
        }
        for (name, rules) in &rules {
            let ranges = source::in_rules(&self.names, rules);
            self.names.learn(name, &ranges);
        }
        for chain in chains {
            let rules = rules.remove(&chain.name).unwrap_or_default();
            self.take_chain(dump, chain, &rules);
        }
        Ok(())
    }

    /// The rules of a chain, or of all.
    fn rules(&mut self, chain: Option<&str>) -> io::Result<Vec<nf_tables::Rule>> {
        let wanted = |out: &mut Writer| {
            out.text(nfta::RULE_TABLE, TABLE);
            if let Some(chain) = chain {
                out.text(nfta::RULE_CHAIN, chain);
            }
        };
        let mut rules = self.list(libc::NFT_MSG_GETRULE, wanted, nf_tables::Rule::read)?;
        let is_wanted = |name: &str| chain.is_none_or(|wanted| wanted == name);
        rules.retain(|rule| rule.table == TABLE && is_wanted(&rule.chain));
        Ok(rules)
    }

    fn take_chain(&self, dump: &mut Dump, chain: nf_tables::Chain, rules: &[nf_tables::Rule]) {
        let mut known = Vec::new();
        for (position, rule) in (1..).zip(rules) {
            match statement::statements(&self.names, &rule.expressions) {
                Ok(statements) => known.push(Rule { statements }),
                Err(statement::ForeignRule(text)) => {
                    let place = Place::Rule {
                        chain: chain.name.clone(),
                        position,
                        handle: rule.handle.unwrap_or(0),
                    };
                    dump.note(place, text);
                }
            }
        }
        let Some(id) = self.names.chain(&chain.name) else {
            let place = match chain.hook {
                Some(_) => Place::BaseChain(chain.name),
                None => Place::Chain(chain.name),
            };
            dump.note(place, "not ours");
            return;
        };
        let hook = chain.hook.as_ref().and_then(objects::hook_of);
        let is_like = hook.map(objects::hook) == chain.hook;
        if let Some(found) = chain.hook.as_ref().filter(|_| !is_like) {
            let nf_tables::Hook {
                number,
                priority,
                kind,
                policy,
            } = found;
            let policy = nf_tables::Data::Verdict {
                code: policy.cast_signed(),
                chain: None,
            };
            let text = format!("type {kind} hook {number} priority {priority}; policy {policy}");
            dump.note(Place::Chain(chain.name.clone()), text);
        }
        let text = userdata::comment_of(&chain.user_data).unwrap_or_default();
        let comment = names::comment(&text);
        if comment.is_none() {
            dump.note(Place::Chain(chain.name), format!("comment \"{text}\""));
        }
        let chain = Chain {
            id: id.clone(),
            hook,
            comment: comment.unwrap_or_default(),
            rules: known,
        };
        dump.chains.insert(id, chain);
    }

    /// Reads the sources that an element's verdict goes to, unless they are known.
    fn learn_from_verdict(&mut self, element: &nf_tables::Element<'_>) -> io::Result<()> {
        let Some(nf_tables::Data::Verdict {
            chain: Some(name), ..
        }) = &element.data
        else {
            return Ok(());
        };
        if !name.starts_with("sources-") || self.names.sources.contains_key(name) {
            return Ok(());
        }
        let ranges = self.ranges(name)?;
        if self.names.learn(name, &ranges).is_none() {
            let rules = self.rules(Some(name))?;
            let ranges = source::in_rules(&self.names, &rules);
            self.names.learn(name, &ranges);
        }
        Ok(())
    }

    fn foreign_element(&self, set: SetId, found: &nf_tables::Element<'_>) -> Foreign {
        foreign_element(&self.names, set, found)
    }

    /// The contents of the message that tells an element.
    fn element(&mut self, set: SetId, key: &Key) -> io::Result<Option<Vec<u8>>> {
        self.get(libc::NFT_MSG_GETSETELEM, |out| {
            nf_tables::Element::write_names(out, TABLE, set.name());
            out.nested(nfta::SET_ELEM_LIST_ELEMENTS, |out| {
                out.nested(nfta::LIST_ELEM, |out| write_key(out, key));
            });
        })
    }

    /// The contents of the message that tells one object; `None` if it is not there.
    fn get(
        &mut self,
        kind: libc::c_int,
        write: impl FnOnce(&mut Writer),
    ) -> io::Result<Option<Vec<u8>>> {
        let family = protocol_family(self.names.family);
        let answer = self
            .socket
            .request(nf_tables::message_kind(kind), 0, |out| {
                nf_tables::header(out, family);
                write(out);
            });
        match answer {
            Ok(answer) => Ok(Some(answer.get(HEADER..).unwrap_or_default().to_vec())),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list<T>(
        &mut self,
        kind: libc::c_int,
        write: impl Fn(&mut Writer),
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        let family = protocol_family(self.names.family);
        let with_header = |out: &mut Writer| {
            nf_tables::header(out, family);
            write(out);
        };
        let kind = nf_tables::message_kind(kind);
        let each = |message: Message<'_>, all: &mut Vec<T>| all.extend(read(message.body(HEADER)));
        unless_missing(self.socket.list_whole(kind, with_header, each))
    }

    fn each_element<T>(
        &mut self,
        set: &str,
        mut read: impl FnMut(&nf_tables::Element<'_>, &mut Vec<T>),
    ) -> io::Result<Vec<T>> {
        let family = protocol_family(self.names.family);
        let kind = nf_tables::message_kind(libc::NFT_MSG_GETSETELEM);
        let write = |out: &mut Writer| {
            nf_tables::header(out, family);
            nf_tables::Element::write_names(out, TABLE, set);
        };
        let each = |message: Message<'_>, all: &mut Vec<T>| {
            nf_tables::Element::list(message.body(HEADER)).for_each(|element| read(&element, all));
        };
        unless_missing(self.socket.list_whole(kind, write, each))
    }
}

/// What is not there has no list.
fn unless_missing<T>(found: io::Result<Vec<T>>) -> io::Result<Vec<T>> {
    match found {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Vec::new()),
        found => found,
    }
}

/// An element that we would not have made: its key as far as it is one, and what it yields.
fn foreign_element(names: &Names, set: SetId, found: &nf_tables::Element<'_>) -> Foreign {
    let key = match element::key(names.family, set, found.key) {
        Some(key) => print::key(&key),
        None => nf_tables::Data::Value(found.key.to_vec()).to_string(),
    };
    let value = found.data.as_ref().map(|data| {
        let known = element::value(names, data).map(|value| print::value(&value));
        format!(" : {}", known.unwrap_or_else(|| data.to_string()))
    });
    Foreign {
        place: Place::Element(set),
        text: format!("{key}{}", value.unwrap_or_default()),
    }
}

/// What a message's contents are if they are a rule or elements, in words.
#[cfg(feature = "fuzzing")]
pub(super) fn shown(body: &[u8], family: Family) -> Vec<String> {
    let names = Names {
        family,
        sources: BTreeMap::new(),
    };
    let mut shown = Vec::new();
    if let Some(rule) = nf_tables::Rule::read(body) {
        let statements = statement::statements(&names, &rule.expressions);
        shown.push(match statements {
            Ok(statements) => print::rule(&Rule { statements }, family),
            Err(statement::ForeignRule(text)) => text,
        });
    }
    let set = nft_wire::text_of(body, nfta::SET_ELEM_LIST_SET);
    if let Some(set) = set.and_then(|name| names::set(&name)) {
        let elements = nf_tables::Element::list(body);
        shown.extend(
            elements.map(|found| match element::element(&names, set, &found) {
                Some(element) => print::element(&element),
                None => foreign_element(&names, set, &found).to_string(),
            }),
        );
    }
    shown
}

#[cfg(test)]
mod tests;
