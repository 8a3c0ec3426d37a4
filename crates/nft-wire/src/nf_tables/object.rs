//! Tables, chains, rules, sets and elements: the contents of messages about them, behind
//! `struct nfgenmsg`.

use super::expression::{Data, Expression};
use super::nfta;
use crate::framing::{attribute, attributes, text_of};
use crate::writer::Writer;

/// `NFT_OBJECT_COUNTER`.
pub const OBJECT_COUNTER: u32 = 1;

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Unique in its family.
    pub name: String,
    /// `NFT_TABLE_F_*`.
    pub flags: u32,
    /// What the kernel calls it, once it is there: another number for another table of its name.
    pub handle: Option<u64>,
    /// Entries of [`user_data`](super::user_data); empty for none.
    pub user_data: Vec<u8>,
}

/// Where a base chain hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// One of `NF_INET_*`.
    pub number: u32,
    /// The order among the hook's chains, lowest first.
    pub priority: i32,
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// What becomes of packets that no rule decided: `NF_ACCEPT` or `NF_DROP`.
    pub policy: u32,
}

/// A chain, without its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Its table.
    pub table: String,
    /// Unique in its table.
    pub name: String,
    /// Set for base chains.
    pub hook: Option<Hook>,
    /// As a table's.
    pub user_data: Vec<u8>,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// What the kernel calls it, once it is there.
    pub handle: Option<u64>,
    /// What it is made of, in the order of evaluation.
    pub expressions: Vec<Expression>,
    /// What matches and targets of iptables are told of it; the kernel tells it to nobody.
    pub compat: Option<Compat>,
    /// As a table's.
    pub user_data: Vec<u8>,
}

/// What iptables' matches and targets ask for in a rule before they are willing to be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compat {
    /// The protocol that the rule is for (`IPPROTO_*`), 0 for any.
    pub protocol: u32,
    /// `NFT_RULE_COMPAT_F_*`.
    pub flags: u32,
}

/// A set or map, without its elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// Its table.
    pub table: String,
    /// Unique in its table.
    pub name: String,
    /// `NFT_SET_*`.
    pub flags: u32,
    /// What the key is, which the kernel keeps for nft.
    pub key_type: u32,
    /// The key's length, in bytes.
    pub key_len: u32,
    /// What a map's values are, and their length in bytes; 0 for verdicts.
    pub data: Option<(u32, u32)>,
    /// The name of the expression that each element has, as `counter`.
    pub expression: Option<String>,
    /// How many elements it may have; `None` for any number.
    pub size: Option<u32>,
    /// By which number rules of the same batch may call it; the kernel tells none.
    pub id: Option<u32>,
    /// As a table's.
    pub user_data: Vec<u8>,
}

/// An element of a set or map, as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// Its key, fields filled up to 32 bits each.
    pub key: &'a [u8],
    /// Of a map.
    pub data: Option<Data>,
    /// `NFT_SET_ELEM_*`.
    pub flags: u32,
    /// For how long it is there after it was put in, in milliseconds.
    pub timeout: Option<u64>,
    /// For how long it will be there from now on, in milliseconds.
    pub expiration: Option<u64>,
    /// What it counted, if it counts.
    pub counter: Option<Counted>,
    /// As a table's.
    pub user_data: &'a [u8],
}

/// What a counter counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many packets.
    pub packets: u64,
    /// Their lengths together, in bytes, with headers from the network layer on.
    pub bytes: u64,
}

impl Counted {
    /// Writes a counter's attributes; one begins at zero by itself.
    pub(super) fn write(self, out: &mut Writer) {
        if self != Self::default() {
            out.long(nfta::COUNTER_BYTES, self.bytes);
            out.long(nfta::COUNTER_PACKETS, self.packets);
        }
    }

    /// Reads a counter's attributes.
    fn read(data: &[u8]) -> Option<Self> {
        Some(Self {
            packets: long_of(data, nfta::COUNTER_PACKETS)?,
            bytes: long_of(data, nfta::COUNTER_BYTES)?,
        })
    }

    /// Reads an expression, if it is a counter.
    fn of_expression(bytes: &[u8]) -> Option<Self> {
        let name = text_of(bytes, nfta::EXPR_NAME)?;
        let data = attribute(bytes, nfta::EXPR_DATA).filter(|_| name == "counter")?;
        Self::read(data)
    }
}

/// A stateful object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// Its table.
    pub table: String,
    /// Unique in its table among those of its kind.
    pub name: String,
    /// One of `NFT_OBJECT_*`.
    pub kind: u32,
    /// What it counted, if it is a counter that is read.
    pub counted: Option<Counted>,
    /// As a table's.
    pub user_data: Vec<u8>,
}

fn user_data(out: &mut Writer, kind: u16, value: &[u8]) {
    if !value.is_empty() {
        out.attribute(kind, value);
    }
}

fn bytes_of(body: &[u8], kind: u16) -> Vec<u8> {
    attribute(body, kind).unwrap_or_default().to_vec()
}

fn number_of(body: &[u8], kind: u16) -> Option<u32> {
    Some(u32::from_be_bytes(attribute(body, kind)?.try_into().ok()?))
}

fn long_of(body: &[u8], kind: u16) -> Option<u64> {
    Some(u64::from_be_bytes(attribute(body, kind)?.try_into().ok()?))
}

impl Table {
    /// Writes a message's contents.
    pub fn write(&self, out: &mut Writer) {
        out.text(nfta::TABLE_NAME, &self.name);
        if self.flags != 0 {
            out.number(nfta::TABLE_FLAGS, self.flags);
        }
        user_data(out, nfta::TABLE_USERDATA, &self.user_data);
    }

    /// Reads a message's contents.
    pub fn read(body: &[u8]) -> Option<Self> {
        Some(Self {
            name: text_of(body, nfta::TABLE_NAME)?,
            flags: number_of(body, nfta::TABLE_FLAGS).unwrap_or(0),
            handle: long_of(body, nfta::TABLE_HANDLE),
            user_data: bytes_of(body, nfta::TABLE_USERDATA),
        })
    }
}

impl Chain {
    /// Writes a message's contents.
    pub fn write(&self, out: &mut Writer) {
        out.text(nfta::CHAIN_TABLE, &self.table);
        out.text(nfta::CHAIN_NAME, &self.name);
        if let Some(hook) = &self.hook {
            out.nested(nfta::CHAIN_HOOK, |out| {
                out.number(nfta::HOOK_HOOKNUM, hook.number);
                out.number(nfta::HOOK_PRIORITY, hook.priority.cast_unsigned());
            });
            out.number(nfta::CHAIN_POLICY, hook.policy);
            out.text(nfta::CHAIN_TYPE, &hook.kind);
        }
        user_data(out, nfta::CHAIN_USERDATA, &self.user_data);
    }

    /// Reads a message's contents.
    pub fn read(body: &[u8]) -> Option<Self> {
        let hook = match attribute(body, nfta::CHAIN_HOOK) {
            Some(hook) => Some(Hook {
                number: number_of(hook, nfta::HOOK_HOOKNUM)?,
                priority: number_of(hook, nfta::HOOK_PRIORITY)?.cast_signed(),
                kind: text_of(body, nfta::CHAIN_TYPE)?,
                policy: number_of(body, nfta::CHAIN_POLICY)?,
            }),
            None => None,
        };
        Some(Self {
            table: text_of(body, nfta::CHAIN_TABLE)?,
            name: text_of(body, nfta::CHAIN_NAME)?,
            hook,
            user_data: bytes_of(body, nfta::CHAIN_USERDATA),
        })
    }
}

impl Rule {
    /// Writes a message's contents.
    pub fn write(&self, out: &mut Writer) {
        out.text(nfta::RULE_TABLE, &self.table);
        out.text(nfta::RULE_CHAIN, &self.chain);
        if let Some(handle) = self.handle {
            out.long(nfta::RULE_HANDLE, handle);
        }
        if !self.expressions.is_empty() {
            out.nested(nfta::RULE_EXPRESSIONS, |out| {
                for expression in &self.expressions {
                    expression.write(out);
                }
            });
        }
        if let Some(compat) = self.compat {
            out.nested(nfta::RULE_COMPAT, |out| {
                out.number(nfta::COMPAT_PROTOCOL, compat.protocol);
                out.number(nfta::COMPAT_FLAGS, compat.flags);
            });
        }
        user_data(out, nfta::RULE_USERDATA, &self.user_data);
    }

    /// Reads a message's contents.
    pub fn read(body: &[u8]) -> Option<Self> {
        let list = attribute(body, nfta::RULE_EXPRESSIONS).unwrap_or_default();
        let expressions: Option<Vec<Expression>> = attributes(list)
            .map(|(_, one)| Expression::read(one))
            .collect();
        Some(Self {
            table: text_of(body, nfta::RULE_TABLE)?,
            chain: text_of(body, nfta::RULE_CHAIN)?,
            handle: long_of(body, nfta::RULE_HANDLE),
            expressions: expressions?,
            compat: None,
            user_data: bytes_of(body, nfta::RULE_USERDATA),
        })
    }
}

impl Set {
    /// Writes a message's contents.
    pub fn write(&self, out: &mut Writer) {
        out.text(nfta::SET_TABLE, &self.table);
        out.text(nfta::SET_NAME, &self.name);
        if self.flags != 0 {
            out.number(nfta::SET_FLAGS, self.flags);
        }
        out.number(nfta::SET_KEY_TYPE, self.key_type);
        out.number(nfta::SET_KEY_LEN, self.key_len);
        if let Some((kind, len)) = self.data {
            out.number(nfta::SET_DATA_TYPE, kind);
            out.number(nfta::SET_DATA_LEN, len);
        }
        if let Some(id) = self.id {
            out.number(nfta::SET_ID, id);
        }
        if let Some(size) = self.size {
            out.nested(nfta::SET_DESC, |out| out.number(nfta::SET_DESC_SIZE, size));
        }
        user_data(out, nfta::SET_USERDATA, &self.user_data);
        if let Some(name) = &self.expression {
            out.nested(nfta::SET_EXPR, |out| {
                out.text(nfta::EXPR_NAME, name);
                out.nested(nfta::EXPR_DATA, |_| {});
            });
        }
    }

    /// Reads a message's contents.
    pub fn read(body: &[u8]) -> Option<Self> {
        let length = number_of(body, nfta::SET_DATA_LEN).unwrap_or(0);
        let data = number_of(body, nfta::SET_DATA_TYPE).map(|kind| (kind, length));
        let description = attribute(body, nfta::SET_DESC).unwrap_or_default();
        Some(Self {
            table: text_of(body, nfta::SET_TABLE)?,
            name: text_of(body, nfta::SET_NAME)?,
            flags: number_of(body, nfta::SET_FLAGS).unwrap_or(0),
            key_type: number_of(body, nfta::SET_KEY_TYPE)?,
            key_len: number_of(body, nfta::SET_KEY_LEN)?,
            data,
            expression: attribute(body, nfta::SET_EXPR)
                .and_then(|expression| text_of(expression, nfta::EXPR_NAME)),
            size: number_of(description, nfta::SET_DESC_SIZE),
            id: number_of(body, nfta::SET_ID),
            user_data: bytes_of(body, nfta::SET_USERDATA),
        })
    }
}

impl Object {
    /// Writes a message's contents; a counter begins at zero.
    pub fn write(&self, out: &mut Writer) {
        out.text(nfta::OBJECT_TABLE, &self.table);
        out.text(nfta::OBJECT_NAME, &self.name);
        out.number(nfta::OBJECT_TYPE, self.kind);
        out.nested(nfta::OBJECT_DATA, |_| {});
        user_data(out, nfta::OBJECT_USERDATA, &self.user_data);
    }

    /// Reads a message's contents.
    pub fn read(body: &[u8]) -> Option<Self> {
        let kind = number_of(body, nfta::OBJECT_TYPE)?;
        let data = attribute(body, nfta::OBJECT_DATA).filter(|_| kind == OBJECT_COUNTER);
        Some(Self {
            table: text_of(body, nfta::OBJECT_TABLE)?,
            name: text_of(body, nfta::OBJECT_NAME)?,
            kind,
            counted: data.and_then(Counted::read),
            user_data: bytes_of(body, nfta::OBJECT_USERDATA),
        })
    }
}

impl<'a> Element<'a> {
    /// Reads one of a list; `None` without a key, as a set's catch-all element.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let key = attribute(bytes, nfta::SET_ELEM_KEY)?;
        Some(Self {
            key: attribute(key, nfta::DATA_VALUE)?,
            data: attribute(bytes, nfta::SET_ELEM_DATA).and_then(Data::read),
            flags: number_of(bytes, nfta::SET_ELEM_FLAGS).unwrap_or(0),
            timeout: long_of(bytes, nfta::SET_ELEM_TIMEOUT),
            expiration: long_of(bytes, nfta::SET_ELEM_EXPIRATION),
            counter: attribute(bytes, nfta::SET_ELEM_EXPR).and_then(Counted::of_expression),
            user_data: attribute(bytes, nfta::SET_ELEM_USERDATA).unwrap_or_default(),
        })
    }

    /// The elements in the contents of a message with a list of them.
    pub fn list(body: &'a [u8]) -> impl Iterator<Item = Self> {
        let list = attribute(body, nfta::SET_ELEM_LIST_ELEMENTS).unwrap_or_default();
        attributes(list).filter_map(|(_, one)| Self::read(one))
    }

    /// Writes the names that a message with a list of elements begins with.
    pub fn write_names(out: &mut Writer, table: &str, set: &str) {
        out.text(nfta::SET_ELEM_LIST_TABLE, table);
        out.text(nfta::SET_ELEM_LIST_SET, set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nf_tables::expression::FIRST_REGISTER;

    fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut out = Writer::new();
        write(&mut out);
        out.finish().expect("short")
    }

    #[test]
    fn objects_are_read_as_they_were_written() {
        let table = Table {
            name: "t".to_owned(),
            flags: 1,
            handle: None,
            user_data: vec![0, 2, 65, 0],
        };
        assert_eq!(Table::read(&written(|out| table.write(out))), Some(table));
        let plain = Chain {
            table: "t".to_owned(),
            name: "c".to_owned(),
            ..Chain::default()
        };
        let base = Chain {
            hook: Some(Hook {
                number: 3,
                priority: -110,
                kind: "filter".to_owned(),
                policy: 1,
            }),
            user_data: vec![0, 1, 0],
            ..plain.clone()
        };
        for chain in [plain, base] {
            assert_eq!(Chain::read(&written(|out| chain.write(out))), Some(chain));
        }
        let rule = Rule {
            table: "t".to_owned(),
            chain: "c".to_owned(),
            handle: Some(7),
            expressions: vec![
                Expression::Ct {
                    dreg: FIRST_REGISTER,
                    key: 0,
                },
                Expression::Masq { flags: 16 },
            ],
            compat: None,
            user_data: vec![1],
        };
        assert_eq!(Rule::read(&written(|out| rule.write(out))), Some(rule));
        let set = Set {
            table: "t".to_owned(),
            name: "s".to_owned(),
            key_type: 7,
            key_len: 4,
            ..Set::default()
        };
        let map = Set {
            flags: 8,
            data: Some((13, 4)),
            size: Some(3 << 20),
            id: Some(9),
            user_data: vec![2],
            expression: Some("counter".to_owned()),
            ..set.clone()
        };
        for set in [set, map] {
            assert_eq!(Set::read(&written(|out| set.write(out))), Some(set));
        }
    }

    #[test]
    fn counters_are_read_with_what_they_counted() {
        let object = Object {
            table: "t".to_owned(),
            name: "c".to_owned(),
            kind: OBJECT_COUNTER,
            counted: None,
            user_data: vec![0, 1, 0],
        };
        let written_object = written(|out| object.write(out));
        assert_eq!(Object::read(&written_object), Some(object.clone()));
        let told = written(|out| {
            out.text(nfta::OBJECT_TABLE, "t");
            out.text(nfta::OBJECT_NAME, "c");
            out.number(nfta::OBJECT_TYPE, OBJECT_COUNTER);
            out.nested(nfta::OBJECT_DATA, |out| {
                out.long(nfta::COUNTER_BYTES, 180);
                out.long(nfta::COUNTER_PACKETS, 3);
            });
            out.attribute(nfta::OBJECT_USERDATA, &[0, 1, 0]);
        });
        let counted = Some(Counted {
            packets: 3,
            bytes: 180,
        });
        assert_eq!(Object::read(&told), Some(Object { counted, ..object }));
    }

    #[test]
    fn elements_are_read_from_a_list() {
        let body = written(|out| {
            Element::write_names(out, "t", "s");
            out.nested(nfta::SET_ELEM_LIST_ELEMENTS, |out| {
                out.nested(nfta::LIST_ELEM, |out| {
                    Data::Value(vec![10, 0, 0, 1]).write(out, nfta::SET_ELEM_KEY);
                    out.number(nfta::SET_ELEM_FLAGS, 1);
                    out.long(nfta::SET_ELEM_TIMEOUT, 5000);
                    out.long(nfta::SET_ELEM_EXPIRATION, 4000);
                    out.attribute(nfta::SET_ELEM_USERDATA, &[0, 1, 0]);
                    out.nested(nfta::SET_ELEM_EXPR, |out| {
                        out.text(nfta::EXPR_NAME, "counter");
                        out.nested(nfta::EXPR_DATA, |out| {
                            out.long(nfta::COUNTER_BYTES, 120);
                            out.long(nfta::COUNTER_PACKETS, 2);
                        });
                    });
                });
                // Any other address.
                out.nested(nfta::LIST_ELEM, |out| out.number(nfta::SET_ELEM_FLAGS, 2));
            });
        });
        let expected = Element {
            key: &[10, 0, 0, 1],
            data: None,
            flags: 1,
            timeout: Some(5000),
            expiration: Some(4000),
            counter: Some(Counted {
                packets: 2,
                bytes: 120,
            }),
            user_data: &[0, 1, 0],
        };
        assert_eq!(Element::list(&body).collect::<Vec<_>>(), [expected]);
    }
}
