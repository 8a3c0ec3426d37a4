//! What a rule in a built-in chain means, whichever tool wrote it.

use nft_wire::nf_tables::{Data, Expression, Rule, user_data};
use nft_wire::u16_at;
use rules::iptables::rule::{self, Is, Match, State, Target};

/// A rule that leads to another chain, under no conditions but such as our jumps have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    to: String,
    comment: Option<String>,
    /// The states of connections that it is for, as bits of the kernel's; `None` for all.
    states: Option<u16>,
}

/// `NFTNL_UDATA_RULE_COMMENT`: where some versions of iptables keep comments.
const RULE_COMMENT: u8 = 0;

impl Found {
    /// A rule as it was read; `None` if it does something else, or has conditions of another kind: it
    /// is nobody's but who wrote it.
    pub(super) fn read(rule: &Rule) -> Option<Self> {
        let mut found = Self {
            comment: user_data::text_of(&rule.user_data, RULE_COMMENT),
            ..Self::default()
        };
        for expression in &rule.expressions {
            match expression {
                Expression::Counter(_) => {}
                Expression::Match {
                    name,
                    revision,
                    info,
                } => match name.as_str() {
                    "comment" => found.comment = Some(text(info)),
                    "conntrack" => found.states = Some(states(*revision, info)?),
                    _ => return None,
                },
                Expression::Immediate {
                    data:
                        Data::Verdict {
                            code: libc::NFT_JUMP,
                            chain,
                        },
                    ..
                } => found.to.clone_from(chain.as_ref()?),
                _ => return None,
            }
        }
        (!found.to.is_empty()).then_some(found)
    }

    /// Whether it means what a jump of ours does.
    pub(super) fn is(&self, jump: &rule::Rule) -> bool {
        let Some(Target::Jump(to)) = &jump.target else {
            return false;
        };
        let mut expected = Self {
            to: to.to_string(),
            ..Self::default()
        };
        for condition in &jump.matches {
            match condition {
                Match::Comment(comment) => expected.comment = Some(comment.as_str().to_owned()),
                Match::State(Is::So, [State::New]) => expected.states = Some(NEW),
                // There is no such jump.
                _ => return false,
            }
        }
        *self == expected
    }
}

/// `XT_CONNTRACK_STATE_BIT(IP_CT_NEW)`.
const NEW: u16 = 1 << 3;

/// `struct xt_conntrack_mtinfo1` to `3`, if it is about nothing but the state of connections.
fn states(revision: u32, info: &[u8]) -> Option<u16> {
    const FLAGS: usize = 146;
    const INVERTED: usize = 148;
    const STATES: usize = 150;
    /// `XT_CONNTRACK_STATE`.
    const STATE: u16 = 1;
    let about = (u16_at(info, FLAGS)?, u16_at(info, INVERTED)?);
    if about != (STATE, 0) {
        return None;
    }
    match revision {
        1 => info.get(STATES).copied().map(u16::from),
        2 | 3 => u16_at(info, STATES),
        _ => None,
    }
}

/// `struct xt_comment_info`, which ends with a NUL.
fn text(info: &[u8]) -> String {
    let text = info.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::super::encode;
    use super::*;
    use rules::iptables::setup::{Jump, jumps};
    use rules::model::Family;

    fn written(jump: &Jump) -> Rule {
        Rule {
            expressions: encode::expressions(Family::V4, &jump.rule),
            ..Rule::default()
        }
    }

    #[test]
    fn each_jump_is_known_again_and_no_other() {
        let jumps = jumps();
        for own in &jumps {
            let found = Found::read(&written(own)).expect("a jump");
            for other in &jumps {
                assert_eq!(
                    found.is(&other.rule),
                    own.rule == other.rule,
                    "{own:?} {other:?}"
                );
            }
        }
    }

    /// What is changed, and how.
    type Row<'a> = (&'a str, &'a dyn Fn(&mut Rule));

    #[test]
    fn a_rule_that_leads_there_for_reasons_of_its_own_is_not_ours() {
        let jump = &jumps()[0];
        let position = |rule: &Rule, name: &str| {
            let mut all = rule.expressions.iter();
            all.position(|own| {
                own.name() == name
                    || matches!(own, Expression::Match { name: own, .. } if own == name)
            })
            .expect("it is there")
        };
        let changed = |change: &dyn Fn(&mut Rule)| {
            let mut rule = written(jump);
            change(&mut rule);
            Found::read(&rule).is_some_and(|found| found.is(&jump.rule))
        };
        assert!(changed(&|_| {}));
        assert!(
            changed(&|rule| rule.expressions.swap(0, 1)),
            "the order of conditions says nothing"
        );
        let rows: [Row<'_>; 6] = [
            ("no comment", &|rule| {
                let at = position(rule, "comment");
                rule.expressions.remove(at);
            }),
            ("whatever the state", &|rule| {
                let at = position(rule, "conntrack");
                rule.expressions.remove(at);
            }),
            ("any state but that", &|rule| {
                let at = position(rule, "conntrack");
                if let Expression::Match { info, .. } = &mut rule.expressions[at] {
                    info[148] = 1;
                }
            }),
            ("one more condition", &|rule| {
                let expression = Expression::Cmp {
                    sreg: 8,
                    op: 0,
                    data: vec![6],
                };
                rule.expressions.insert(0, expression);
            }),
            ("a goto", &|rule| {
                let at = position(rule, "immediate");
                if let Expression::Immediate {
                    data: Data::Verdict { code, .. },
                    ..
                } = &mut rule.expressions[at]
                {
                    *code = libc::NFT_GOTO;
                }
            }),
            ("no verdict", &|rule| {
                rule.expressions.pop();
            }),
        ];
        for (what, change) in rows {
            assert!(!changed(change), "{what}");
        }
    }

    #[test]
    fn states_are_read_in_each_revision() {
        let mut info = vec![0; 168];
        info[146] = 1;
        info[150] = 8;
        for revision in [1, 2, 3] {
            assert_eq!(states(revision, &info), Some(NEW), "{revision}");
        }
        assert_eq!(states(9, &info), None);
        info[147] = 1;
        assert_eq!(states(3, &info), None, "about a status as well");
        assert_eq!(states(3, &info[..100]), None);
    }
}
