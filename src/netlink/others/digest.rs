//! Rules of others, as far as where they send packets goes: whether there is a condition, not
//! which.

use nft_wire::nf_tables::user_data;
use nft_wire::nf_tables::{Data, Expression, Rule, VERDICT_REGISTER, nfta};
use nft_wire::{attribute, read_text};
use rules::check::{DropKind, RuleDigest, Step};

/// A comment's first characters are enough.
const COMMENT_MAX: usize = 80;
/// `NFTNL_UDATA_RULE_COMMENT`.
const RULE_COMMENT: u8 = 0;
/// `NF_VERDICT_MASK`: above it is what a verdict has with it.
const VERDICT_MASK: i32 = 0xff;

/// What a rule does.
pub(super) struct Digest {
    /// Its step is a choice of nothing if a map tells.
    pub(super) rule: RuleDigest,
    /// The map that tells where packets go.
    pub(super) map: Option<String>,
}

/// What the rule does; `None` if packets go on to the next rule whatever it finds.
pub(super) fn digest(rule: &Rule) -> Option<Digest> {
    let mut always = true;
    let mut step = None;
    let mut map = None;
    let mut comment = user_data::text_of(&rule.user_data, RULE_COMMENT);
    for expression in &rule.expressions {
        match effect(expression) {
            Effect::Nothing => {}
            Effect::Condition => always = false,
            Effect::Comment(words) => comment = comment.or(words),
            Effect::Step(found) => {
                step = Some(found);
                break;
            }
            Effect::Map(set) => {
                always = false;
                step = Some(Step::Choice(Vec::new()));
                map = Some(set);
                break;
            }
        }
    }
    let rule = RuleDigest {
        handle: rule.handle.unwrap_or(0),
        always,
        step: step?,
        comment: comment.map(|words| words.chars().take(COMMENT_MAX).collect()),
    };
    Some(Digest { rule, map })
}

/// What an element of a map of verdicts does; `None` for the next rule.
pub(super) fn step_of_element(element: &[u8]) -> Option<Step> {
    match Data::read(attribute(element, nfta::SET_ELEM_DATA)?)? {
        Data::Verdict { code, chain } => verdict(code, chain.as_ref()),
        Data::Value(_) => None,
    }
}

enum Effect {
    /// Packets go on, whatever they are.
    Nothing,
    /// Some do not.
    Condition,
    Comment(Option<String>),
    Step(Step),
    Map(String),
}

fn effect(expression: &Expression) -> Effect {
    match expression {
        Expression::Immediate {
            data: Data::Verdict { code, chain },
            ..
        } => match verdict(*code, chain.as_ref()) {
            Some(step) => Effect::Step(step),
            None => Effect::Nothing,
        },
        Expression::Immediate { .. }
        | Expression::Payload { .. }
        | Expression::Meta { .. }
        | Expression::Ct { .. }
        | Expression::Fib { .. }
        | Expression::Bitwise { .. }
        | Expression::Numgen { .. }
        | Expression::Objref { .. }
        | Expression::Hash { .. }
        | Expression::Counter(_) => Effect::Nothing,
        Expression::Lookup {
            set,
            dreg: Some(VERDICT_REGISTER),
            ..
        } => Effect::Map(set.clone()),
        Expression::Cmp { .. } | Expression::Lookup { .. } | Expression::Dynset { .. } => {
            Effect::Condition
        }
        // Translated packets pass this chain.
        Expression::Nat { .. } | Expression::Masq { .. } => Effect::Step(Step::Accept),
        Expression::Reject { .. } => Effect::Step(Step::Drop(DropKind::Reject)),
        Expression::Match { name, info, .. } => match name.as_str() {
            "comment" => Effect::Comment(xt_comment(info)),
            _ => Effect::Condition,
        },
        Expression::Target { name, .. } => match name.as_str() {
            "REJECT" => Effect::Step(Step::Drop(DropKind::Reject)),
            "NFQUEUE" => Effect::Step(Step::Drop(DropKind::Queue)),
            "DNAT" | "SNAT" | "MASQUERADE" | "REDIRECT" | "NETMAP" | "TPROXY" => {
                Effect::Step(Step::Accept)
            }
            _ => Effect::Nothing,
        },
        Expression::Other { name, .. } => other(name),
    }
}

fn other(name: &str) -> Effect {
    match name {
        "reject" => Effect::Step(Step::Drop(DropKind::Reject)),
        "queue" => Effect::Step(Step::Drop(DropKind::Queue)),
        "nat" | "masq" | "redir" | "tproxy" => Effect::Step(Step::Accept),
        "counter" | "log" | "last" | "notrack" | "objref" | "byteorder" | "exthdr" | "rt"
        | "socket" | "osf" | "dup" | "flow_offload" | "ct" | "meta" | "payload" | "bitwise"
        | "fib" | "hash" | "numgen" | "immediate" | "xfrm" | "tunnel" | "secmark" => {
            Effect::Nothing
        }
        "target" => Effect::Nothing,
        _ => Effect::Condition,
    }
}

/// The text of iptables' match `comment`, which ends with a zero.
fn xt_comment(info: &[u8]) -> Option<String> {
    let text = info.split(|byte| *byte == 0).next()?;
    read_text(text)
}

fn verdict(code: i32, chain: Option<&String>) -> Option<Step> {
    Some(match (code, chain) {
        (libc::NFT_JUMP, Some(chain)) => Step::Jump(chain.clone()),
        (libc::NFT_GOTO, Some(chain)) => Step::Goto(chain.clone()),
        (libc::NFT_RETURN, _) => Step::Return,
        (..0, _) => return None,
        _ => match code & VERDICT_MASK {
            libc::NF_DROP => Step::Drop(DropKind::Drop),
            libc::NF_QUEUE => Step::Drop(DropKind::Queue),
            _ => Step::Accept,
        },
    })
}
