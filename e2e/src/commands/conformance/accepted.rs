//! Differences that are kept on purpose: the rows of `docs/differences.md`.

use std::path::Path;

use anyhow::{Context, Result};
use wildmatch::WildMatch;

/// Patterns of case ids, in which `*` stands for any text.
pub(crate) struct Accepted(Vec<WildMatch>);

impl Accepted {
    /// Reads the checkout's `docs/differences.md`.
    pub(crate) fn read() -> Result<Self> {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/differences.md");
        let text =
            std::fs::read_to_string(&docs).with_context(|| format!("read {}", docs.display()))?;
        Ok(Self::parse(&text))
    }

    /// Every word in backticks in the first column of a table's row is a pattern.
    fn parse(text: &str) -> Self {
        let rows = text.lines().filter_map(|line| line.strip_prefix('|'));
        let cells = rows.filter_map(|row| row.split('|').next());
        let patterns = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        Self(patterns.map(WildMatch::new).collect())
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(id))
    }
}

#[cfg(test)]
mod tests {
    use super::Accepted;

    #[test]
    fn patterns_are_the_first_columns_words_in_backticks() {
        let text = "# `title`\n\n| case | why |\n|---|---|\n| `a/*/tcp`, `b` | is `better` |\n";
        let accepted = Accepted::parse(text);
        assert!(accepted.contains("a/pod/ipv4/tcp") && accepted.contains("b"));
        assert!(!accepted.contains("better") && !accepted.contains("title"));
    }

    #[test]
    fn a_star_stands_for_any_text() {
        let accepts = |pattern: &str, id| Accepted::parse(&format!("| `{pattern}` |")).contains(id);
        assert!(accepts("*", "") && accepts("a*c*", "abcd") && accepts("*d", "abcd"));
        assert!(!accepts("a*c", "abcd") && !accepts("b*", "abcd"));
    }
}
