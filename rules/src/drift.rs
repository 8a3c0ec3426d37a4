//! What others do to the table, and how soon it is mended: at once, unless somebody does it
//! again and again.

use crate::backoff::doubled;
use crate::model::Family;
use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// What is told about the ruleset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Somebody else changed our table.
    Changed(ForeignChange),
    /// More happened than could be told: it may have been our table.
    Lost,
}

/// One transaction of somebody else, as far as it is about our table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignChange {
    /// The ruleset's generation that it made.
    pub generation: u32,
    /// The process's number, as the first process namespace counts; 0 if it was not told.
    pub pid: u32,
    /// The process's name (`comm`), or that of the thread.
    pub process: String,
    /// What it did, one for each kind.
    pub edits: Vec<Edit>,
    /// Objects that only upstream's kube-proxy makes are among them.
    pub upstream: bool,
}

/// Changes of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Edit {
    /// The table's family.
    pub family: Family,
    /// The table, where rules of kube-proxy are in several, or beside those of others.
    pub table: Option<&'static str>,
    /// Added or changed, rather than deleted.
    pub added: bool,
    /// What.
    pub what: What,
    /// The first one's name; for a rule its chain's, for an element its set's.
    pub name: String,
    /// How many.
    pub count: usize,
}

/// A kind of nftables object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// The table itself, or its flags.
    Table,
    /// A chain, or its policy.
    Chain,
    /// A rule.
    Rule,
    /// A rule of ours in a chain that is everybody's.
    Jump,
    /// A set or map.
    Set,
    /// An element of a set or map.
    Element,
    /// A stateful object or a flow table.
    Other,
}

impl ForeignChange {
    /// Whether it touched the family's table.
    pub fn touches(&self, family: Family) -> bool {
        self.edits.iter().any(|edit| edit.family == family)
    }

    /// What has to be mended.
    pub fn damage(&self) -> Damage {
        match self.edits.iter().all(|edit| edit.what == What::Jump) {
            true => Damage::Jumps,
            false => Damage::Rules,
        }
    }

    /// Whether it is another kube-proxy's work, ours or upstream's.
    pub fn is_by_a_proxy(&self) -> bool {
        self.upstream || self.process == "kube-proxy"
    }

    /// The same for edits that do the same.
    fn signature(&self) -> u64 {
        if self.is_by_a_proxy() {
            return PROXY;
        }
        let mut hasher = foldhash::fast::FixedState::default().build_hasher();
        for edit in &self.edits {
            (edit.family, edit.table, edit.added, edit.what, &edit.name).hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// What others' changes leave to mend, the less first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// What leads to our rules from chains that are everybody's.
    Jumps,
    /// Any rules of ours.
    Rules,
}

impl fmt::Display for ForeignChange {
    /// For example `nft (pid 42): deleted 3 ip rules (services)`, or `iptables (pid 42): deleted 1 ip
    /// nat jump (PREROUTING)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_by_a_proxy() {
            f.write_str("another kube-proxy, ")?;
        }
        write!(f, "{} (pid {})", self.process.escape_debug(), self.pid)?;
        let mut between = ": ";
        for edit in &self.edits {
            write!(f, "{between}{edit}")?;
            between = ", ";
        }
        Ok(())
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.added { "set" } else { "deleted" };
        let what = match self.what {
            What::Table => "table",
            What::Chain => "chain",
            What::Rule => "rule",
            What::Jump => "jump",
            What::Set => "set",
            What::Element => "element",
            What::Other => "object",
        };
        let plural = if self.count == 1 { "" } else { "s" };
        let family = self.family.nft();
        let count = self.count;
        write!(f, "{verb} {count} {family} ")?;
        if let Some(table) = self.table {
            write!(f, "{table} ")?;
        }
        write!(f, "{what}{plural}")?;
        if self.what != What::Table {
            write!(f, " ({})", self.name.escape_debug())?;
        }
        Ok(())
    }
}

const PROXY: u64 = 1;
const LOST: u64 = 2;
const REFUSED: u64 = 3;

/// Repairs further back count no more.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// So many repairs of the same edit are made at once.
const SAME: usize = 8;
/// So many of whatever edits.
const ALL: usize = 100;
/// The first pause, from the last repair on. Each further one is twice as long.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);
/// The same while changes wait that need the table.
const LONGEST_REFUSED: Duration = Duration::from_secs(5);
/// Who edits often does so in several transactions: they are mended together.
const SETTLE: Duration = Duration::from_millis(30);
/// Another proxy has the same in mind: there is no haste.
const SETTLE_PROXY: Duration = Duration::from_millis(300);

/// When a family's table is mended.
#[derive(Debug, Default)]
pub struct Contest {
    repairs: VecDeque<(Instant, u64)>,
}

/// Rules that have to be mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// What has to be.
    pub damage: Damage,
    /// Not before.
    pub due: Instant,
    signature: u64,
    /// How many repairs of the same kind there were of late.
    pub before: usize,
    /// It has to wait because of those.
    pub paused: bool,
}

impl Suspicion {
    /// Both together: all that is to be mended, when the sooner of them says.
    pub fn and(self, other: Self) -> Self {
        let damage = self.damage.max(other.damage);
        let sooner = if self.due <= other.due { self } else { other };
        Self { damage, ..sooner }
    }
}

impl Contest {
    /// Somebody changed the table.
    pub fn changed(&self, change: &ForeignChange, now: Instant) -> Suspicion {
        let proxy = change.is_by_a_proxy();
        let settle = if proxy { SETTLE_PROXY } else { SETTLE };
        let free = if proxy { 0 } else { SAME };
        let damage = change.damage();
        let suspicion = self.suspicion(change.signature(), free, LONGEST, settle, now);
        Suspicion {
            damage,
            ..suspicion
        }
    }

    /// Somebody may have.
    pub fn lost(&self, now: Instant) -> Suspicion {
        self.suspicion(LOST, SAME, LONGEST, SETTLE, now)
    }

    /// A change of ours was refused, as the table differs.
    pub fn refused(&self, now: Instant) -> Suspicion {
        self.suspicion(REFUSED, SAME, LONGEST_REFUSED, Duration::ZERO, now)
    }

    fn suspicion(
        &self,
        signature: u64,
        free: usize,
        longest: Duration,
        settle: Duration,
        now: Instant,
    ) -> Suspicion {
        let recent = || {
            let repairs = self.repairs.iter();
            repairs.filter(|(at, _)| now.saturating_duration_since(*at) < WINDOW)
        };
        let same = recent().filter(|(_, own)| *own == signature).count();
        let excess = (same.saturating_sub(free)).max(recent().count().saturating_sub(ALL));
        let pause = match u32::try_from(excess).unwrap_or(u32::MAX) {
            0 => Duration::ZERO,
            n => doubled(FIRST, n - 1).min(longest),
        };
        let last = self.repairs.back().map_or(now, |(at, _)| *at + pause);
        Suspicion {
            damage: Damage::Rules,
            due: (now + settle).max(last),
            signature,
            before: same,
            paused: last > now + settle,
        }
    }

    /// The table was replaced because of that.
    pub fn repaired(&mut self, suspicion: &Suspicion, now: Instant) {
        // More than count.
        if self.repairs.len() > ALL + 32 {
            self.repairs.pop_front();
        }
        self.repairs.push_back((now, suspicion.signature));
    }
}

#[cfg(test)]
mod tests;
