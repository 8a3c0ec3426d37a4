//! Where two texts differ.

use anyhow::{Result, bail};
use similar::{ChangeTag, TextDiff};

/// That both are the same.
///
/// # Errors
/// The lines that only one of them has: `-` upstream's, `+` ours.
pub fn ensure_same(upstream: &str, ours: &str) -> Result<()> {
    if upstream == ours {
        return Ok(());
    }
    let diff = TextDiff::from_lines(upstream, ours);
    let changes = diff.iter_all_changes();
    let changes = changes.filter(|change| change.tag() != ChangeTag::Equal);
    let lines = changes.map(|change| {
        // Where both have none that's no difference.
        let lacks = change.missing_newline() && upstream.ends_with('\n') != ours.ends_with('\n');
        let end = if lacks { " (no line end)" } else { "" };
        let line = change.value().trim_end_matches('\n').replace('\r', "\\r");
        format!("{} {line}{end}", change.tag())
    });
    bail!("{}", lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::ensure_same;

    #[test]
    fn only_what_differs_is_shown() {
        let difference = |upstream, ours| {
            let error = ensure_same(upstream, ours).expect_err("they differ");
            error.to_string()
        };
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc\n"), "- b\n+ x");
        assert_eq!(difference("a\r\n", "a\n"), "- a\\r\n+ a");
        assert_eq!(difference("a\n", "a"), "- a\n+ a (no line end)");
        ensure_same("a\n", "a\n").expect("the same");
    }
}
