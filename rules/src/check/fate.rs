//! What becomes of packets in a chain that is not ours, as far as that can be told without knowing
//! what each rule compares: which rules may drop, and whether what no rule lets pass is dropped.

use super::owner::is_proxy_chain;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// So many dropping rules are told, the others counted.
const TOLD: usize = 8;
/// The kernel's own limit for jumps in jumps (`NFT_JUMP_STACK_SIZE`) is 16.
const DEPTH: usize = 16;

/// A rule, without what it compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleDigest {
    /// What the kernel calls it.
    pub handle: u64,
    /// It holds for every packet.
    pub always: bool,
    /// What it does with packets.
    pub step: Step,
    /// Its comment.
    pub comment: Option<String>,
}

/// What a rule does with packets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Lets them pass this hook's chain.
    Accept,
    /// Ends their way.
    Drop(DropKind),
    /// Back to where they came from.
    Return,
    /// To another chain, and back.
    Jump(String),
    /// To another chain, and not back.
    Goto(String),
    /// One of these, or none.
    Choice(Vec<Step>),
}

/// How a packet's way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DropKind {
    /// Silently.
    Drop,
    /// With an answer.
    Reject,
    /// A program decides; if none listens, it is dropped.
    Queue,
}

impl fmt::Display for DropKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drop => "drops",
            Self::Reject => "rejects",
            Self::Queue => "queues to a program",
        })
    }
}

/// A rule that may end a packet's way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DroppingRule {
    /// The chain that it is in.
    pub chain: String,
    /// What the kernel calls it, as in `nft -a list chain`.
    pub handle: u64,
    /// What it does.
    pub does: DropKind,
    /// It does so with all packets that come to it.
    pub always: bool,
    /// Its comment.
    pub comment: Option<String>,
}

/// What becomes of packets in a base chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fate {
    /// Rules of the chain and of those that it leads to.
    pub rules: usize,
    /// Rules that may end a packet's way: the first ones.
    pub drops: Vec<DroppingRule>,
    /// How many more there are.
    pub more_drops: usize,
    /// Packets may get through.
    pub lets_pass: bool,
    /// What no rule lets pass ends here, by policy or by a rule without condition.
    pub drops_rest: bool,
    /// There is more than was read.
    pub unread: bool,
}

impl Fate {
    /// How many rules may end a packet's way, but those of kube-proxy.
    pub fn drop_count(&self) -> usize {
        let others = self
            .drops
            .iter()
            .filter(|rule| !is_proxy_chain(&rule.chain));
        others.count() + self.more_drops
    }

    /// Nothing gets through.
    pub fn drops_all(&self) -> bool {
        self.drops_rest && !self.lets_pass && !self.unread
    }
}

/// A chain's rules, as far as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Those that decide where packets go, in their order.
    pub deciding: Vec<RuleDigest>,
    /// How many there are, with those that decide nothing.
    pub count: usize,
    /// There are more.
    pub unread: bool,
}

/// What becomes of packets in a base chain; `read` gives the rules of a chain of that table, and
/// is asked once for each that is led to.
///
/// # Errors
/// What `read` says.
pub fn fate<E>(
    chain: &str,
    policy_drop: bool,
    read: &mut dyn FnMut(&str) -> Result<Rules, E>,
) -> Result<Fate, E> {
    let mut walk = Walk {
        read,
        known: BTreeMap::new(),
    };
    let way = walk.chain(chain, 0)?;
    let mut fate = Fate {
        rules: walk.known.values().map(|(_, count)| count).sum(),
        lets_pass: way.accepts || (!policy_drop && (way.falls_through || way.returns)),
        drops_rest: way.ends_in_drop || (policy_drop && (way.falls_through || way.returns)),
        unread: way.unread,
        ..Fate::default()
    };
    fate.more_drops = way.more_drops + way.drops.len().saturating_sub(TOLD);
    fate.drops = way.drops;
    fate.drops.truncate(TOLD);
    Ok(fate)
}

/// What may happen on the way through a chain.
#[derive(Clone, Debug, Default)]
struct Way {
    drops: Vec<DroppingRule>,
    more_drops: usize,
    accepts: bool,
    /// Some rule leads back before the end.
    returns: bool,
    /// Packets come to the end.
    falls_through: bool,
    /// All that come to some place of it are dropped there.
    ends_in_drop: bool,
    unread: bool,
}

impl Way {
    fn drops(&mut self, drop: DroppingRule) {
        match self.drops.contains(&drop) {
            true => {}
            false if self.drops.len() < TOLD => self.drops.push(drop),
            false => self.more_drops += 1,
        }
    }

    /// What happens in a chain that is led to happens here.
    fn adds(&mut self, below: Self, always: bool) {
        for drop in below.drops {
            self.drops(DroppingRule {
                always: drop.always && always,
                ..drop
            });
        }
        self.more_drops += below.more_drops;
        self.accepts |= below.accepts;
        self.unread |= below.unread;
        self.ends_in_drop |= below.ends_in_drop && always && !below.returns;
    }
}

struct Walk<'a, E> {
    read: &'a mut dyn FnMut(&str) -> Result<Rules, E>,
    /// Chains that were walked through, and how many rules each has.
    known: BTreeMap<String, (Way, usize)>,
}

impl<E> Walk<'_, E> {
    fn chain(&mut self, name: &str, depth: usize) -> Result<Way, E> {
        if let Some((way, _)) = self.known.get(name) {
            return Ok(way.clone());
        }
        if depth > DEPTH {
            return Ok(Way {
                unread: true,
                falls_through: true,
                ..Way::default()
            });
        }
        let rules = (self.read)(name)?;
        let mut way = Way {
            unread: rules.unread,
            falls_through: true,
            ..Way::default()
        };
        for rule in &rules.deciding {
            let goes_on = self.rule(name, rule, &rule.step, rule.always, &mut way, depth)?;
            if !goes_on {
                break;
            }
        }
        self.known
            .insert(name.to_owned(), (way.clone(), rules.count));
        Ok(way)
    }

    /// Takes in what a rule does; false if no packet comes to the next one.
    fn rule(
        &mut self,
        chain: &str,
        rule: &RuleDigest,
        step: &Step,
        always: bool,
        way: &mut Way,
        depth: usize,
    ) -> Result<bool, E> {
        match step {
            Step::Accept => {
                way.accepts = true;
                way.falls_through &= !always;
            }
            Step::Drop(does) => {
                way.drops(DroppingRule {
                    chain: chain.to_owned(),
                    handle: rule.handle,
                    does: *does,
                    always,
                    comment: rule.comment.clone(),
                });
                way.ends_in_drop |= always;
                way.falls_through &= !always;
            }
            Step::Return => {
                way.returns = true;
                way.falls_through &= !always;
            }
            Step::Jump(target) => {
                let below = self.chain(target, depth + 1)?;
                way.falls_through &= !always || below.falls_through || below.returns;
                way.adds(below, always);
            }
            Step::Goto(target) => {
                // Who comes to its end is led back from here as well.
                let below = self.chain(target, depth + 1)?;
                way.returns |= below.falls_through || below.returns;
                way.falls_through &= !always;
                way.adds(below, always);
            }
            Step::Choice(steps) => {
                for step in steps {
                    self.rule(chain, rule, step, false, way, depth)?;
                }
            }
        }
        Ok(way.falls_through)
    }
}

#[cfg(test)]
mod tests;
