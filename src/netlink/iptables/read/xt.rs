//! The structures of iptables' matches and targets, read: `None` for what kube-proxy does not write.

use rules::iptables::names::ChainName;
use rules::iptables::rule::{Comment, Is, Match, State, Target};
use rules::iptables::top::{INVALID_DROPPED, LOCALHOST_ACCEPTED};
use rules::model::{EndpointAddr, Family, Protocol};
use std::net::IpAddr;

fn short(info: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(info.get(at..at + 2)?.try_into().ok()?))
}

fn number(info: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?))
}

/// Text up to a NUL, in at most so many bytes.
fn text(info: &[u8], at: usize, length: usize) -> Option<&str> {
    let bytes = info.get(at..at + length)?;
    str::from_utf8(bytes.split(|byte| *byte == 0).next()?).ok()
}

/// The protocol's own match, with its destination port if it asks for one.
pub(super) fn ports(name: &str, info: &[u8]) -> Option<(Protocol, Option<u16>)> {
    const ANY: (u16, u16) = (0, u16::MAX);
    let range = |at| Some((short(info, at)?, short(info, at + 2)?));
    let zeros = |from: usize, to: usize| {
        info.get(from..to)?
            .iter()
            .all(|own| *own == 0)
            .then_some(())
    };
    let (protocol, destination) = match name {
        // `struct xt_tcp`: source ports, destination ports, option, flags, inversions.
        "tcp" => {
            zeros(8, 12)?;
            (range(0)? == ANY).then_some(())?;
            (Protocol::Tcp, range(4)?)
        }
        // `struct xt_udp`: the same without options and flags.
        "udp" => {
            zeros(8, 9)?;
            (range(0)? == ANY).then_some(())?;
            (Protocol::Udp, range(4)?)
        }
        // `struct xt_sctp_info`: destination ports, source ports, chunks, and which of them count.
        _ => {
            const FLAGS: usize = 284;
            const INVERTED: usize = 288;
            const DESTINATION: u32 = 2;
            zeros(INVERTED, INVERTED + 4)?;
            let ports = match number(info, FLAGS)? {
                0 => ANY,
                DESTINATION => range(0)?,
                _ => return None,
            };
            (Protocol::Sctp, ports)
        }
    };
    match destination {
        ANY => Some((protocol, None)),
        (least, most) if least == most => Some((protocol, Some(least))),
        _ => None,
    }
}

/// Any other match.
pub(super) fn matched(name: &str, revision: u32, info: &[u8]) -> Option<Match> {
    Some(match (name, revision) {
        ("comment", 0) => Match::Comment(Comment::new(text(info, 0, 256)?)),
        ("mark", 1) => {
            // `struct xt_mark_mtinfo1`
            let (mark, mask) = (number(info, 0)?, number(info, 4)?);
            (mark == mask).then_some(())?;
            Match::Mark(inverted(*info.get(8)?), mark)
        }
        ("conntrack", 3) => conntrack(info)?,
        ("addrtype", 1) => {
            // `struct xt_addrtype_info_v1`
            const LOCAL: u16 = 1 << 2;
            match (short(info, 0)?, short(info, 2)?, number(info, 4)?) {
                (LOCAL, 0, 0) => Match::SourceIsLocal,
                (0, LOCAL, 0) => Match::DestinationIsLocal,
                _ => return None,
            }
        }
        ("statistic", 0) => {
            // `struct xt_statistic_info`: at random, and not inverted.
            (short(info, 0)? == 0 && short(info, 2)? == 0).then_some(())?;
            Match::OneOf(one_of(number(info, 4)?)?)
        }
        ("recent", 0 | 1) => recent(info)?,
        ("nfacct", 0 | 1) => {
            let name = text(info, 0, 32)?;
            let known = [INVALID_DROPPED, LOCALHOST_ACCEPTED];
            Match::Count(known.into_iter().find(|own| *own == name)?)
        }
        _ => return None,
    })
}

fn inverted(flag: u8) -> Is {
    match flag {
        0 => Is::So,
        _ => Is::Not,
    }
}

/// `struct xt_conntrack_mtinfo3`, of states alone.
fn conntrack(info: &[u8]) -> Option<Match> {
    const STATE: u16 = 1;
    /// As kube-proxy asks for them.
    const KNOWN: [(u16, &[State]); 4] = [
        (1, &[State::Invalid]),
        (8, &[State::New]),
        (2 | 4, &[State::Related, State::Established]),
        (
            2 | 4 | 128,
            &[State::Related, State::Established, State::Dnat],
        ),
    ];
    (short(info, 146)? == STATE).then_some(())?;
    let is = match short(info, 148)? {
        0 => Is::So,
        STATE => Is::Not,
        _ => return None,
    };
    let bits = short(info, 150)?;
    let (_, states) = KNOWN.iter().find(|(own, _)| *own == bits)?;
    Some(Match::State(is, states))
}

/// Out of how many: the kernel has the chance in 2³¹ parts.
fn one_of(chance: u32) -> Option<usize> {
    const WHOLE: f64 = 2_147_483_648.0;
    if chance == 0 {
        return None;
    }
    let count = (WHOLE / f64::from(chance)).round();
    // Whole, positive and below 2³².
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as said"
    )]
    let count = count as u32;
    usize::try_from(count).ok()
}

/// `struct xt_recent_mtinfo_v1`; its first version is the same without the mask.
fn recent(info: &[u8]) -> Option<Match> {
    const CHECK_AND_REAP: u8 = 1 | 32;
    const CHECK: u8 = 1;
    const SET: u8 = 2;
    let (seconds, hits, flags) = (number(info, 0)?, number(info, 4)?, *info.get(8)?);
    // Neither inverted nor by the destination.
    (hits == 0 && *info.get(9)? == 0 && *info.get(210)? == 0).then_some(())?;
    let list = ChainName::read(text(info, 10, 200)?)?;
    match flags {
        CHECK | CHECK_AND_REAP => Some(Match::SeenAt(list, seconds)),
        SET => Some(Match::Remember(list)),
        _ => None,
    }
}

/// What a target does.
pub(super) fn target(family: Family, name: &str, revision: u32, info: &[u8]) -> Option<Target> {
    Some(match (name, revision) {
        // `struct xt_mark_tginfo2`: `mark ^ (old & !mask)`.
        ("MARK", 2) => match (number(info, 0)?, number(info, 4)?) {
            (mark, 0) => Target::MarkXor(mark),
            (mark, mask) if mark == mask => Target::MarkOr(mark),
            _ => return None,
        },
        ("MASQUERADE", 0) => {
            const RANDOM_FULLY: u32 = 0x10;
            let flags = match family {
                Family::V4 => number(info, 4)?,
                Family::V6 => number(info, 0)?,
            };
            (flags == RANDOM_FULLY).then_some(())?;
            Target::Masquerade
        }
        ("DNAT", 2) => Target::Dnat(endpoint(family, info)?),
        ("REJECT", 0) => {
            let with = match family {
                Family::V4 => 3,
                Family::V6 => 4,
            };
            (number(info, 0)? == with).then_some(())?;
            Target::Reject
        }
        _ => return None,
    })
}

/// `struct nf_nat_range2` of one address and one port.
fn endpoint(family: Family, info: &[u8]) -> Option<EndpointAddr> {
    const ADDRESS_AND_PORT: u32 = 1 | 2;
    (number(info, 0)? == ADDRESS_AND_PORT).then_some(())?;
    let (least, most) = (info.get(4..20)?, info.get(20..36)?);
    let ports = (info.get(36..38)?, info.get(38..40)?);
    (least == most && ports.0 == ports.1).then_some(())?;
    let address: IpAddr = match family {
        Family::V4 => <[u8; 4]>::try_from(&least[..4]).ok()?.into(),
        Family::V6 => <[u8; 16]>::try_from(least).ok()?.into(),
    };
    Some(EndpointAddr {
        address,
        port: u16::from_be_bytes(ports.0.try_into().ok()?),
    })
}
