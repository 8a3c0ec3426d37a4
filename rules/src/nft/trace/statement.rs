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
            Statement::CtStateInvalid => go_on(false),
            Statement::CtStatusDnat => go_on(self.flight.translated),
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
            } => go_on(self.flight.came_by(name, *wildcard) != *negated),
            Statement::InSet { key, set, negated } => {
                let key = self.key(key);
                let element = key.and_then(|key| self.look_up(*set, key));
                if let Some(element) = element {
                    *found = Some((*set, element));
                }
                go_on(element.is_some() != *negated)
            }
            Statement::NotFrom(set) => go_on(!set.holds(self.flight.source)),
            Statement::InAffinity(set) => go_on(self.tracer.remembers(set, self.flight.source)),
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
            Statement::MarkHas(bit) => go_on(self.flight.mark & bit != 0),
            Statement::MarkOr(bit) => {
                self.flight.mark |= bit;
                go_on(true)
            }
            Statement::MarkXor(bit) => {
                self.flight.mark ^= bit;
                go_on(true)
            }
            Statement::Masquerade => {
                self.flight.masquerade();
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
                if *protocol != self.flight.protocol {
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
                (*protocol == self.flight.protocol).then(|| self.translate(*backend))
            }
            Statement::Verdict(verdict) => Some(after(verdict)),
        }
    }

    fn translate(&mut self, to: EndpointAddr) -> After<'a> {
        self.flight.translate(to);
        After::Done(Say::Accept)
    }

    fn address(&self, side: Side) -> IpAddr {
        match side {
            Side::Source => self.flight.source,
            Side::Destination => self.flight.destination,
        }
    }

    /// The packet's fields as a key; `None` if no element's key can equal it.
    fn key(&self, fields: &[Header]) -> Option<Key> {
        use Header::{Address, Port, Protocol};
        let frontend = |address| Frontend {
            address,
            protocol: self.flight.protocol,
            port: self.flight.port,
        };
        match *fields {
            [Address(side)] => Some(Key::Address(self.address(side))),
            [Protocol, Port] => Some(Key::Frontend(frontend(None))),
            [Address(side), Protocol, Port] => {
                Some(Key::Frontend(frontend(Some(self.address(side)))))
            }
            [Address(_), Address(_), Protocol, Port]
                if self.flight.source == self.flight.destination =>
            {
                let backend = EndpointAddr {
                    address: self.flight.destination,
                    port: self.flight.port,
                };
                Some(Key::Hairpin(backend, self.flight.protocol))
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
