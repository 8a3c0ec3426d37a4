//! `--help`.

use super::Options;
use super::flags::FLAGS;
use std::fmt::Write;

const HEAD: &str = "\
Keeps this node's nftables rules in line with the cluster's Services.

Usage:
  kube-proxy [flags]
  kube-proxy render --manifests DIR [flags]   prints the rules instead of loading them

Flags:
";

/// What follows on a flag that is none, and what `--help` prints.
pub fn usage() -> String {
    let defaults = Options::default();
    let mut rows: Vec<(&str, String, String)> = FLAGS
        .iter()
        // These two are gone from upstream's help as well.
        .filter(|flag| flag.instead.is_none())
        .map(|flag| {
            let dashes = match flag.short {
                Some(short) => format!("-{short}, --{}", flag.name),
                None => format!("    --{}", flag.name),
            };
            let left = format!("  {dashes} {}", flag.kind);
            let default = (flag.show)(&defaults);
            let help = match default.as_str() {
                "" | "false" | "0" | "0s" | "[]" => flag.help.to_owned(),
                _ => format!("{} (default {default})", flag.help),
            };
            (flag.name, left, help)
        })
        .collect();
    rows.push(("help", "  -h, --help".to_owned(), "Print this.".to_owned()));
    rows.push((
        "version",
        "      --version version[=true]".to_owned(),
        "Print the version and exit; --version=raw prints more.".to_owned(),
    ));
    rows.sort();
    let width = rows
        .iter()
        .map(|(_, left, _)| left.len())
        .max()
        .unwrap_or(0)
        + 2;
    let mut text = HEAD.to_owned();
    for (_, left, help) in rows {
        let _ = writeln!(text, "{left:width$}{help}");
    }
    text
}
