//! The reports' JSON Schemas in `docs/schemas`: a file for each kind is what the types say, and golden reports keep to it.
//! A new kind is a line in [`kinds`].

use crate::report::{Data, Report};
use schemars::JsonSchema;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Every kind with its schema.
fn kinds() -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        report::<crate::advise::advice::Advice>(),
        report::<crate::advise::all::AdviceForAll>(),
        report::<crate::check::Check>(),
        report::<crate::explain::Explanations>(),
        report::<crate::plugin::NodeReports>(),
        report::<crate::probe::Probe>(),
        report::<crate::top::Top>(),
        report::<crate::trace::Traced>(),
        schema::<crate::echo::Echo>(crate::echo::Echo::KIND),
    ])
}

fn report<D: Data>() -> (&'static str, Value) {
    schema::<Report<D>>(D::KIND)
}

/// Of what says its kind and version itself.
fn schema<T: JsonSchema>(kind: &'static str) -> (&'static str, Value) {
    let mut schema = schemars::schema_for!(T).to_value();
    schema["title"] = kind.into();
    schema["properties"]["kind"]["const"] = kind.into();
    schema["properties"]["apiVersion"]["const"] = crate::report::API_VERSION.into();
    (kind, schema)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn committed(kind: &str) -> PathBuf {
    root().join(format!("docs/schemas/{kind}.json"))
}

/// `UPDATE_SCHEMAS=1 cargo test -p kube-proxy-rs --lib schemas` writes them.
#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let write = std::env::var_os("UPDATE_SCHEMAS").is_some();
    let kinds = kinds();
    for (kind, schema) in &kinds {
        let text = format!("{schema:#}\n");
        let path = committed(kind);
        if write {
            std::fs::write(&path, &text).expect("a schema is written");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "{}: UPDATE_SCHEMAS=1 writes it",
            path.display()
        );
    }
    let files = std::fs::read_dir(root().join("docs/schemas")).expect("docs/schemas");
    assert_eq!(
        files.count(),
        kinds.len(),
        "docs/schemas has one file for each kind"
    );
}

/// Reports in the snapshots of tests, but for what the tests of reports themselves make up.
fn goldens() -> Vec<(PathBuf, Value)> {
    let mut found = Vec::new();
    for entry in WalkDir::new(root().join("src")) {
        let path = entry.expect("a readable checkout").into_path();
        let is_made_up = path.starts_with(root().join("src/report"));
        if is_made_up || path.extension().is_none_or(|own| own != "snap") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a snapshot");
        let Some((_, body)) = text.split_once("\n---\n") else {
            continue;
        };
        let Ok(report) = serde_json::from_str::<Value>(body) else {
            continue;
        };
        if report["apiVersion"] == crate::report::API_VERSION {
            found.push((path, report));
        }
    }
    found
}

#[test]
fn golden_reports_keep_to_their_schemas() {
    let kinds = kinds();
    let mut seen = Vec::new();
    for (path, report) in goldens() {
        let kind = report["kind"].as_str().unwrap_or_default().to_owned();
        let schema = kinds.get(&*kind);
        let schema = schema.unwrap_or_else(|| panic!("{kind} has no line in kinds()"));
        let validator = jsonschema::validator_for(schema).expect("a schema");
        let errors: Vec<String> = validator
            .iter_errors(&report)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
        // A schema that lets everything pass would be none.
        let required = schema["required"].as_array().expect("required keys");
        assert!(required.contains(&"kind".into()), "{kind}");
        for key in required.iter().filter_map(Value::as_str) {
            let mut without = report.clone();
            without.as_object_mut().expect("an object").remove(key);
            assert!(
                !validator.is_valid(&without),
                "{kind}: {key} may be missing"
            );
        }
        seen.push(kind);
    }
    for kind in kinds.keys() {
        assert!(
            seen.iter().any(|own| own == kind),
            "no golden report is a {kind}"
        );
    }
}
