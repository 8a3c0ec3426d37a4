//! One message of a trace.

use super::super::routes::interface_name;
use nft_wire::nf_tables::{self, Data, HEADER};
use nft_wire::{Message, attribute, ip, text_of};
use rules::model::Protocol;
use std::net::IpAddr;

/// `NFTA_TRACE_*`.
mod kernel {
    pub(super) const TABLE: u16 = 1;
    pub(super) const CHAIN: u16 = 2;
    pub(super) const RULE_HANDLE: u16 = 3;
    pub(super) const TYPE: u16 = 4;
    pub(super) const VERDICT: u16 = 5;
    pub(super) const ID: u16 = 6;
    pub(super) const NETWORK_HEADER: u16 = 8;
    pub(super) const TRANSPORT_HEADER: u16 = 9;
    pub(super) const IIF: u16 = 10;
    pub(super) const OIF: u16 = 12;
    pub(super) const MARK: u16 = 14;
    pub(super) const POLICY: u16 = 16;
    /// `NFTA_VERDICT_CODE` and `NFTA_VERDICT_CHAIN`.
    pub(super) const VERDICT_CODE: u16 = 1;
    pub(super) const VERDICT_CHAIN: u16 = 2;
    /// `NFT_TRACETYPE_*`.
    pub(super) const POLICY_TYPE: u32 = 1;
    pub(super) const RETURN_TYPE: u32 = 2;
    pub(super) const RULE_TYPE: u32 = 3;
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A rule that matched.
    Rule {
        /// What the kernel calls it.
        handle: u64,
    },
    /// The end of a chain that was jumped to.
    Return,
    /// The end of a base chain, whose policy decides.
    Policy,
}

/// What the packet says of itself when it comes to a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Source address.
    pub source: IpAddr,
    /// Destination address, as it is by then.
    pub destination: IpAddr,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Source port.
    pub source_port: u16,
    /// Destination port, as it is by then.
    pub port: u16,
}

/// A message about a marked packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Of the packet: the same one while it goes through the hooks.
    pub id: u32,
    /// The table's family, `NFPROTO_*`.
    pub family: u8,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// What happened.
    pub kind: Kind,
    /// Where the packet goes on: a verdict's code and chain, or a policy's code.
    pub verdict: Option<(i32, Option<String>)>,
    /// The packet, where a base chain begins.
    pub headers: Option<Headers>,
    /// The interface that it came in by.
    pub input: Option<String>,
    /// The interface that it goes out by.
    pub output: Option<String>,
    /// Its mark.
    pub mark: u32,
}

impl Event {
    /// Reads a message; `None` of another kind, or one that makes no sense.
    pub fn read(message: Message<'_>) -> Option<Self> {
        let (kind, family) = nf_tables::kind_of(message)?;
        if kind != libc::NFT_MSG_TRACE {
            return None;
        }
        Self::body(message.body(HEADER), family)
    }

    fn body(body: &[u8], family: u8) -> Option<Self> {
        let number = |kind| Some(u32::from_be_bytes(attribute(body, kind)?.try_into().ok()?));
        let handle = attribute(body, kernel::RULE_HANDLE);
        let handle = handle.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
        let kind = match number(kernel::TYPE)? {
            kernel::RULE_TYPE => Kind::Rule { handle: handle? },
            kernel::RETURN_TYPE => Kind::Return,
            kernel::POLICY_TYPE => Kind::Policy,
            _ => return None,
        };
        let policy = number(kernel::POLICY).map(|code| (code.cast_signed(), None));
        let interface = |kind| number(kind).and_then(interface_name);
        Some(Self {
            id: number(kernel::ID)?,
            family,
            table: text_of(body, kernel::TABLE)?,
            chain: text_of(body, kernel::CHAIN)?,
            kind,
            verdict: attribute(body, kernel::VERDICT)
                .and_then(verdict)
                .or(policy),
            headers: headers(body),
            input: interface(kernel::IIF),
            output: interface(kernel::OIF),
            mark: number(kernel::MARK).unwrap_or(0),
        })
    }

    /// Whether the packet's way ends here.
    pub fn drops(&self) -> bool {
        self.verdict
            .as_ref()
            .is_some_and(|(code, _)| *code == libc::NF_DROP)
    }
}

/// A verdict stands by itself, or as an element's does.
fn verdict(bytes: &[u8]) -> Option<(i32, Option<String>)> {
    let plain = attribute(bytes, kernel::VERDICT_CODE).filter(|own| own.len() == 4);
    if let Some(code) = plain {
        let code = u32::from_be_bytes(code.try_into().ok()?).cast_signed();
        return Some((code, text_of(bytes, kernel::VERDICT_CHAIN)));
    }
    match Data::read(bytes)? {
        Data::Verdict { code, chain } => Some((code, chain)),
        Data::Value(_) => None,
    }
}

fn headers(body: &[u8]) -> Option<Headers> {
    let network = attribute(body, kernel::NETWORK_HEADER)?;
    let transport = attribute(body, kernel::TRANSPORT_HEADER)?;
    let part = |from: usize, to: usize| ip(network.get(from..to)?);
    let (source, destination, protocol) = match network.first()? >> 4 {
        4 => (part(12, 16)?, part(16, 20)?, *network.get(9)?),
        // Without extension headers, which connections to Services have none of.
        6 => (part(8, 24)?, part(24, 40)?, *network.get(6)?),
        _ => return None,
    };
    let all = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    let protocol = all.into_iter().find(|own| own.number() == protocol)?;
    let port = |at: usize| {
        let bytes = transport.get(at..at + 2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    };
    Some(Headers {
        source,
        destination,
        protocol,
        source_port: port(0)?,
        port: port(2)?,
    })
}
