//! What upstream's kube-proxy makes of command lines, as `e2e/controlplane/flags` asked it.

use crate::cli::{self, Request};
use crate::options::{Options, all};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct Table {
    flags: Vec<Flag>,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flag {
    name: String,
    #[serde(default)]
    short: String,
    r#type: String,
    #[serde(default)]
    default: String,
    #[serde(default)]
    bare: String,
    #[serde(default)]
    deprecated: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    words: Vec<String>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    help: bool,
    #[serde(default)]
    set: BTreeMap<String, String>,
}

/// Where ours is another answer on purpose, and why.
const DIFFERENT: &[(&[&str], &str)] = &[
    (&["render"], "it is a command"),
    (&["--manifests=x"], "it is a flag"),
    (&["--bind-address="], "the address that counts is shown"),
    (
        &["--bind-address=1.2.3.4", "--bind-address="],
        "the address that counts is shown",
    ),
    (
        &["--metrics-bind-address="],
        "the address that counts is shown",
    ),
    (
        &["--log-json-info-buffer-size=+1"],
        "shown without its sign",
    ),
    (&["--kube-api-qps=0x1p-2"], "no numbers of base 16"),
    (&["--kube-api-qps=0X1.8p1"], "no numbers of base 16"),
    (&["--kube-api-qps=0x_1p4"], "no numbers of base 16"),
];

/// Flags that upstream does not have.
const OWN: &[&str] = &["manifests", "service-metrics", "service-metrics-limit"];

fn table() -> Table {
    serde_json::from_str(include_str!("upstream.json")).expect("the table")
}

#[test]
fn command_lines_come_to_what_they_come_to_upstream() {
    let mut wrong = Vec::new();
    let mut different = BTreeSet::new();
    for line in table().lines {
        let ours = answer(&line.words);
        let upstreams = if !line.error.is_empty() {
            Err(line.error.clone())
        } else if line.help {
            Ok(None)
        } else {
            Ok(Some(line.set.clone()))
        };
        let on_purpose = DIFFERENT.iter().position(|(words, _)| *words == line.words);
        if let Some(row) = on_purpose {
            different.insert(row);
        }
        if (ours == upstreams) == on_purpose.is_some() {
            wrong.push(format!(
                "{:?}\n ours      {ours:?}\n upstream's {upstreams:?}",
                line.words
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(different.len(), DIFFERENT.len(), "a row that is gone");
}

/// The flags that are set, with their values; nothing where help is printed.
fn answer(words: &[String]) -> Result<Option<BTreeMap<String, String>>, String> {
    let matches = match cli::parse(words).1.map_err(|error| error.message)? {
        Request::Help(_) => return Ok(None),
        Request::Run(matches) => matches,
    };
    let options = Options::new(&matches);
    let given = options
        .values()
        .into_iter()
        .filter(|(name, _)| options.is_set(name) || *name == "help" && matches.contains_id("help"));
    Ok(Some(
        given
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    ))
}

#[test]
fn the_flags_are_those_of_upstream() {
    let defaults = Options::default();
    let values: BTreeMap<&str, String> = defaults.values().into_iter().collect();
    let upstreams = table().flags;
    for flag in &upstreams {
        let name = flag.name.as_str();
        assert_eq!(values.get(name), Some(&flag.default), "{name}");
        let Some(ours) = all().find(|ours| ours.name == name) else {
            assert_eq!(
                (name, flag.short.as_str()),
                ("help", "h"),
                "it is not there"
            );
            continue;
        };
        let short = ours.short.map(String::from).unwrap_or_default();
        assert_eq!(short, flag.short, "{name}");
        assert_eq!(ours.bare.unwrap_or_default(), flag.bare, "{name}");
        assert_eq!(ours.instead.is_some(), flag.deprecated, "{name}");
        let kind = match flag.r#type.as_str() {
            // As pflag's usage calls it.
            "stringSlice" => "strings",
            "LocalMode" | "ProxyMode" => "string",
            kind => kind,
        };
        assert_eq!(ours.kind, kind, "{name}");
    }
    let names: BTreeSet<&str> = upstreams.iter().map(|flag| flag.name.as_str()).collect();
    let own: Vec<&str> = values
        .into_keys()
        .filter(|name| !names.contains(name))
        .collect();
    assert_eq!(own, OWN);
}
