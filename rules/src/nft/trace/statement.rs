//! What single statements do to a packet.

use super::walk::{After, Say, Walk};
use crate::model::{EndpointAddr, Frontend};
use crate::nft::ruleset::{Element, Header, Key, SetId, Side, Statement, Value, Verdict};
use std::net::IpAddr;

impl<'a> Walk<'a, '_> {
    /// Evaluates a statement; `None` if it does not match, which ends its
    /// rule. The element that a set or map has for the packet is left in `found`.
    pub(super) fn statement(
        &mut self,
        statement: &'a Statement,
        found: &mut Option<(SetId, &'a Element)>,
    ) -> Option<After<'a>> {
        let go_on = |matches: bool| matches.then_some(After::Next);
        match statement {
            // Only first packets are traced.
            Statement::CtStateNew => go_on(true),
            Statement::CtStatusDnat => go_on(self.translated),
            Statement::FibLocal(side) => go_on(self.tracer.is_local(self.address(*side))),
            Statement::Address {
                side,
                prefix,
                negated,
            } => go_on(prefix.contains(&self.address(*side)) != *negated),
            Statement::InputInterface {
                name,
                wildcard,
                negated,
            } => {
                // The kernel compares with an empty name where there is none.
                let input = self.input.unwrap_or_default();
                let same = input == &**name || (*wildcard && input.starts_with(&**name));
                go_on(same != *negated)
            }
            Statement::InSet { key, set, negated } => {
                let key = self.key(key);
                let element = key.and_then(|key| self.look_up(*set, key));
                if let Some(element) = element {
                    *found = Some((*set, element));
                }
                go_on(element.is_some() != *negated)
            }
            Statement::NotFrom(set) => go_on(!set.holds(self.source)),
            Statement::InAffinity(set) => go_on(self.tracer.remembers(set, self.source)),
            Statement::UpdateAffinity { set, .. } => {
                self.remembered.push(set.clone());
                go_on(true)
            }
            Statement::Count(_) | Statement::CountIn { .. } => go_on(true),
            Statement::OneIn(count) => go_on(self.choices.one_in(*count)),
            Statement::VerdictMap { key, map } => {
                let key = self.key(key)?;
                let element = self.look_up(*map, key)?;
                *found = Some((*map, element));
                match element.value.as_ref()? {
                    Value::Verdict(verdict) => Some(after(verdict)),
                    Value::Endpoint(_) => None,
                }
            }
            Statement::MarkHas(bit) => go_on(self.mark & bit != 0),
            Statement::MarkOr(bit) => {
                self.mark |= bit;
                go_on(true)
            }
            Statement::MarkXor(bit) => {
                self.mark ^= bit;
                go_on(true)
            }
            Statement::Masquerade => {
                self.masquerade = true;
                self.source_decided = true;
                Some(After::Done(Say::Accept))
            }
            Statement::Reject => Some(After::Done(Say::Reject)),
            Statement::Dnat { key, modulus, map } => {
                let Some(Key::Frontend(frontend)) = self.key(key) else {
                    return None;
                };
                let index = self.choices.choose(*modulus);
                let element = self.look_up(*map, Key::Indexed(frontend, index))?;
                *found = Some((*map, element));
                match element.value.as_ref()? {
                    Value::Endpoint(backend) => Some(self.translate(*backend)),
                    Value::Verdict(_) => None,
                }
            }
            Statement::DnatListed {
                protocol,
                count,
                first,
                ..
            } => {
                if *protocol != self.protocol {
                    return None;
                }
                // Which one a hash yields is not modelled: it may be any.
                let key = Key::Listed(first + self.choices.choose(*count));
                let element = self.look_up(SetId::PortEndpoints, key)?;
                *found = Some((SetId::PortEndpoints, element));
                match element.value.as_ref()? {
                    Value::Endpoint(backend) => Some(self.translate(*backend)),
                    Value::Verdict(_) => None,
                }
            }
            Statement::DnatTo { protocol, backend } => {
                (*protocol == self.protocol).then(|| self.translate(*backend))
            }
            Statement::Verdict(verdict) => Some(after(verdict)),
        }
    }

    fn translate(&mut self, to: EndpointAddr) -> After<'a> {
        // A translation that changes nothing does not set ct status dnat.
        self.translated = (self.destination, self.port) != (to.address, to.port);
        self.destination = to.address;
        self.port = to.port;
        self.destination_decided = true;
        After::Done(Say::Accept)
    }

    fn address(&self, side: Side) -> IpAddr {
        match side {
            Side::Source => self.source,
            Side::Destination => self.destination,
        }
    }

    /// The packet's fields as a key; `None` if no element's key can equal it.
    fn key(&self, fields: &[Header]) -> Option<Key> {
        use Header::{Address, Port, Protocol};
        let frontend = |address| Frontend {
            address,
            protocol: self.protocol,
            port: self.port,
        };
        match *fields {
            [Address(side)] => Some(Key::Address(self.address(side))),
            [Protocol, Port] => Some(Key::Frontend(frontend(None))),
            [Address(side), Protocol, Port] => {
                Some(Key::Frontend(frontend(Some(self.address(side)))))
            }
            [Address(_), Address(_), Protocol, Port] if self.source == self.destination => {
                let backend = EndpointAddr {
                    address: self.destination,
                    port: self.port,
                };
                Some(Key::Hairpin(backend, self.protocol))
            }
            _ => None,
        }
    }

    fn look_up(&mut self, set: SetId, key: Key) -> Option<&'a Element> {
        if let Some(record) = &mut self.record {
            record.lookups.push((set, key));
        }
        self.tracer.table.elements(set).get(&key)
    }
}

fn after(verdict: &Verdict) -> After<'_> {
    match verdict {
        Verdict::Drop => After::Done(Say::Drop),
        Verdict::Goto(chain) => After::Goto(chain),
        Verdict::Jump(chain) => After::Jump(chain),
    }
}
