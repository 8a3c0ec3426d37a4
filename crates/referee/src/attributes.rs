//! Attributes as a tree, whose order counts only where it means something.

/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;

/// An attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// `nla_type` without flags.
    pub kind: u16,
    /// What it holds.
    pub contents: Contents,
}

/// What an attribute holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Bytes.
    Bytes(Vec<u8>),
    /// Others.
    Attributes(Vec<Attribute>),
    /// No attribute: what is left where the next one should be.
    Broken(Vec<u8>),
}

/// Reads attributes by their flags. Those of different types are sorted; those of one type, as a
/// rule's expressions, stay in their order.
pub fn attributes(mut bytes: &[u8]) -> Vec<Attribute> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let Some((kind, value, rest)) = first(bytes) else {
            let contents = Contents::Broken(bytes.to_vec());
            found.push(Attribute {
                kind: u16::MAX,
                contents,
            });
            break;
        };
        let contents = match kind & NESTED {
            0 => Contents::Bytes(value.to_vec()),
            _ => Contents::Attributes(attributes(value)),
        };
        let kind = kind & !NESTED;
        found.push(Attribute { kind, contents });
        bytes = rest;
    }
    found.sort_by_key(|attribute| attribute.kind);
    found
}

/// Type, contents and what is behind.
fn first(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (kind, _) = rest.split_first_chunk()?;
    let length = usize::from(u16::from_ne_bytes(*length));
    let value = bytes.get(4..length)?;
    let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((u16::from_ne_bytes(*kind), value, rest))
}
