//! In mode iptables: what `iptables-save` and `ip6tables-save` tell of both nodes, in every state.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::wait;

use crate::compare::difference::ensure_same;
use crate::conformance::rig::{Rig, Side};
use crate::conformance::run::Row;
use crate::conformance::spec::Family;
use crate::mode::Mode;
use crate::report::Kept;
use crate::saved::normalised;

/// Both have programmed the state when it is looked at; what was put to see that goes away at two
/// different moments.
const LIMIT: Duration = Duration::from_secs(10);
/// Lines of a difference that are shown of each side.
const SHOWN: usize = 6;

/// The program that tells a family's tables.
pub(crate) fn save(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables-save",
        Family::V6 => "ip6tables-save",
    }
}

/// A row for each family, named after the state; none in another mode.
pub(crate) fn compare(rig: &Rig, state: &str) -> Result<Vec<Row>> {
    match rig.mode {
        Mode::Nftables => Ok(Vec::new()),
        Mode::Iptables => Family::BOTH
            .into_iter()
            .map(|family| row(rig, state, family))
            .collect(),
    }
}

fn row(rig: &Rig, state: &str, family: Family) -> Result<Row> {
    let program = save(family);
    let [upstream, ours] = &rig.sides;
    let mut texts = <[String; 2]>::default();
    let same = wait::until(program, LIMIT, || {
        texts = [text(upstream, family)?, text(ours, family)?];
        ensure_same(&texts[0], &texts[1])
    });
    let seen = match same {
        Ok(_) => {
            let words = format!("{} rules, the same", texts[0].matches("\n-A ").count());
            [words.clone(), words]
        }
        Err(_) => {
            keep(rig, state, program, &texts);
            [alone(&texts[0], &texts[1]), alone(&texts[1], &texts[0])]
        }
    };
    Ok(Row::observed(
        format!("{state}/{program}"),
        "the text of all tables, where upstream's order is no chance",
        seen.map(Into::into),
    ))
}

/// What a node's tables say.
fn text(side: &Side, family: Family) -> Result<String> {
    let text = normalised(&side.node().namespace().exec(&[save(family)])?);
    ensure!(
        text.contains("KUBE-SERVICES"),
        "{}: {} knows no chain of kube-proxy's",
        side.name,
        save(family)
    );
    Ok(text)
}

fn keep(rig: &Rig, state: &str, program: &str, texts: &[String; 2]) {
    let kept = Kept::create(&rig.mode.directory("conformance"), "texts");
    for (side, text) in rig.sides.iter().zip(texts) {
        let file = format!("{}.{program}.{}", state.replace('/', "."), side.name);
        std::fs::write(kept.path().join(file), text).ok();
    }
}

/// Lines that only the first of two has, in short.
fn alone(text: &str, other: &str) -> String {
    let other: std::collections::BTreeSet<&str> = other.lines().collect();
    let lines: Vec<&str> = text.lines().filter(|line| !other.contains(line)).collect();
    if lines.is_empty() {
        return "no line that the other has not, or another order".to_owned();
    }
    let shown = lines.iter().take(SHOWN).copied().collect::<Vec<_>>();
    format!("{} lines alone: {}", lines.len(), shown.join(" / "))
}

#[cfg(test)]
mod tests {
    use super::alone;

    #[test]
    fn each_side_is_told_by_its_own_lines() {
        assert_eq!(alone("a\nb\n", "b\nc\n"), "1 lines alone: a");
        assert!(alone("b\n", "b\nc\n").starts_with("no line"));
    }
}
