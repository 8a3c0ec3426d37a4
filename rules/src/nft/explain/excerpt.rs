//! The part of a table that is about one Service.

use crate::model::{EndpointAddr, Family, Frontend, ObjectName, Protocol};
use crate::nft::base;
use crate::nft::ruleset::{Chain, ChainId, Element, Header, Key, SetId, Statement, Value, Verdict};
use crate::nft::table::{Parts, Set, Table};
use crate::{Config, plan};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;

/// More endpoints of a frontend are not asked for.
const ENDPOINTS: u32 = 65_536;

/// Something that tells single elements and chains of a table.
pub trait Look {
    /// Why it could not.
    type Error;

    /// Those of the elements that are there.
    ///
    /// # Errors
    /// It cannot tell.
    fn elements(&mut self, set: SetId, keys: Vec<Key>) -> Result<Vec<Element>, Self::Error>;

    /// A chain, if it is there.
    ///
    /// # Errors
    /// It cannot tell.
    fn chain(&mut self, id: &ChainId) -> Result<Option<Chain>, Self::Error>;
}

impl Look for &Table {
    type Error = Infallible;

    fn elements(&mut self, set: SetId, keys: Vec<Key>) -> Result<Vec<Element>, Infallible> {
        let known = Table::elements(self, set);
        let found = keys.iter().filter_map(|key| known.get(key));
        Ok(found.cloned().collect())
    }

    fn chain(&mut self, id: &ChainId) -> Result<Option<Chain>, Infallible> {
        Ok(self.chains().get(id).cloned())
    }
}

/// What is asked of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Each once, whoever has it.
    pub frontends: Vec<Frontend>,
    /// Endpoints on this node, which may meet themselves.
    pub hairpin: Vec<(EndpointAddr, Protocol)>,
    /// The addresses that answer node ports; `None` if all local ones do.
    pub nodeport_addresses: Option<Vec<IpAddr>>,
}

impl Asked {
    /// All about a Service: its frontends of the family of `config`, also those that another one has.
    pub fn of(config: &Config, plan: &plan::ServicePlan, wanted: Vec<Frontend>) -> Self {
        let own = plan.ports.iter().flat_map(|port| port.frontends.iter());
        let mut frontends: Vec<Frontend> = own.map(|(frontend, _)| *frontend).collect();
        let of_family =
            |own: &Frontend| own.address.is_none_or(|ip| Family::of(ip) == config.family);
        frontends.extend(wanted.into_iter().filter(of_family));
        frontends.sort_unstable();
        frontends.dedup();
        let hairpin = plan.ports.iter().flat_map(|port| {
            let own = port.hairpin.iter();
            own.map(|backend| (*backend, port.protocol))
        });
        Self {
            frontends,
            hairpin: hairpin.collect(),
            nodeport_addresses: None,
        }
    }
}

/// What a table holds of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Sets with the elements that were asked for, and chains that they lead to.
    pub parts: Parts,
}

impl Excerpt {
    /// The element of a set.
    pub(super) fn element(&self, set: SetId, key: &Key) -> Option<&Element> {
        self.parts.sets.get(&set)?.elements.get(key)
    }

    /// As a table, to follow packets in.
    pub fn into_table(self) -> Table {
        Table::from_parts(self.parts)
    }
}

/// The Service that an element says it is of, and its port's name.
pub fn owner(element: &Element) -> Option<(ObjectName, String)> {
    let comment = element.comment.as_deref()?;
    let (name, port) = comment.split_once(':').unwrap_or((comment, ""));
    let (namespace, name) = name.split_once('/')?;
    Some((ObjectName::new(namespace, name), port.to_owned()))
}

/// Reads what is asked for.
///
/// # Errors
/// The table cannot be read.
pub fn excerpt<L: Look>(look: &mut L, asked: &Asked) -> Result<Excerpt, L::Error> {
    let mut reader = Reader {
        look,
        parts: Parts::default(),
        chains: BTreeSet::new(),
    };
    reader.fixed()?;
    for frontend in &asked.frontends {
        reader.frontend(frontend)?;
    }
    let hairpin = asked.hairpin.iter();
    let hairpin = hairpin.map(|(backend, protocol)| Key::Hairpin(*backend, *protocol));
    reader.elements(SetId::Hairpin, hairpin.collect())?;
    let listed = asked.nodeport_addresses.iter().flatten();
    let listed = listed.map(|ip| Key::Address(*ip));
    reader.elements(SetId::NodeportIps, listed.collect())?;
    let parts = reader.parts;
    Ok(Excerpt { parts })
}

struct Reader<'a, L> {
    look: &'a mut L,
    parts: Parts,
    /// Those that were asked for.
    chains: BTreeSet<ChainId>,
}

impl<L: Look> Reader<'_, L> {
    fn fixed(&mut self) -> Result<(), L::Error> {
        for id in fixed() {
            self.chain(&id)?;
        }
        Ok(())
    }

    /// Everything about a frontend.
    fn frontend(&mut self, frontend: &Frontend) -> Result<(), L::Error> {
        let key = Key::Frontend(*frontend);
        let sets: &[SetId] = match frontend.address {
            Some(_) => &[SetId::Services, SetId::NoEndpoints, SetId::SourceChecked],
            None => &[
                SetId::Nodeports,
                SetId::NodeportNoEndpoints,
                SetId::LocalhostNodeports,
            ],
        };
        if let Some(address) = frontend.address {
            self.elements(SetId::ClusterIps, vec![Key::Address(address)])?;
        }
        for set in sets {
            for element in self.elements(*set, vec![key])? {
                let verdict = match element.value {
                    Some(Value::Verdict(verdict)) => verdict,
                    _ => continue,
                };
                if let Verdict::Goto(chain) | Verdict::Jump(chain) = verdict {
                    self.follow(&chain, frontend)?;
                }
            }
        }
        Ok(())
    }

    /// A chain, those that it leads to, and the endpoints that they choose from.
    fn follow(&mut self, id: &ChainId, frontend: &Frontend) -> Result<(), L::Error> {
        let mut next = vec![id.clone()];
        let mut seen = BTreeSet::new();
        while let Some(id) = next.pop() {
            if !seen.insert(id.clone()) {
                continue;
            }
            self.chain(&id)?;
            let Some(chain) = self.parts.chains.get(&id) else {
                continue;
            };
            let statements = chain.rules.iter().flat_map(|rule| rule.statements.clone());
            for statement in statements.collect::<Vec<Statement>>() {
                match statement {
                    Statement::Verdict(Verdict::Goto(to) | Verdict::Jump(to)) => next.push(to),
                    Statement::Dnat { key, modulus, map } => {
                        let frontend = masked(frontend, key);
                        let keys = 0..modulus.min(ENDPOINTS);
                        let keys = keys.map(|index| Key::Indexed(frontend, index));
                        self.elements(map, keys.collect())?;
                    }
                    Statement::DnatListed { count, first, .. } => {
                        let keys = (first..).take(count.min(ENDPOINTS) as usize);
                        self.elements(SetId::PortEndpoints, keys.map(Key::Listed).collect())?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn chain(&mut self, id: &ChainId) -> Result<(), L::Error> {
        if self.chains.insert(id.clone())
            && let Some(chain) = self.look.chain(id)?
        {
            self.parts.chains.insert(id.clone(), chain);
        }
        Ok(())
    }

    /// Those that are there are kept and handed back.
    fn elements(&mut self, set: SetId, keys: Vec<Key>) -> Result<Vec<Element>, L::Error> {
        let own = self.parts.sets.entry(set).or_insert_with(|| Set {
            size: None,
            elements: BTreeMap::new(),
        });
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.look.elements(set, keys)?;
        let keyed = found.iter().map(|element| (element.key, element.clone()));
        own.elements.extend(keyed);
        Ok(found)
    }
}

/// A frontend as a chain looks it up: with its address, or without.
fn masked(frontend: &Frontend, key: &[Header]) -> Frontend {
    let with_address = key
        .iter()
        .any(|header| matches!(header, Header::Address(_)));
    Frontend {
        address: frontend.address.filter(|_| with_address),
        ..*frontend
    }
}

/// The chains that are always there.
pub(super) fn fixed() -> Vec<ChainId> {
    let chains = base::chains(&Config::new(Family::V4, ""), &[]);
    chains.into_iter().map(|chain| chain.id).collect()
}
