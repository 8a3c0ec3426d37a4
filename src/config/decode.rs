//! From the file's text to its fields.
//!
//! Upstream decodes strictly first: an unknown field or one that occurs twice is an error. It
//! then goes on leniently and tells what it did, so those are complaints here, not errors.

use super::tree::Tree;
use super::{API_VERSION, KIND, KubeProxyConfiguration};
use serde_ignored::Path;

/// A file's content.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Its fields, without defaults.
    pub config: KubeProxyConfiguration,
    /// What a strict decoder refuses: unknown fields, and fields that occur twice.
    pub complaints: Vec<String>,
}

/// Decodes a file.
///
/// # Errors
/// It is not YAML or JSON, not a KubeProxyConfiguration, or a field's value is not what the
/// field takes.
pub fn decode(text: &str) -> Result<Decoded, String> {
    let mut tree = Tree::parse(text).map_err(|error| format!("yaml: {error}"))?;
    let mut duplicates = Vec::new();
    tree.remove_duplicates("", &mut duplicates);
    let mut fields = match tree {
        Tree::Map(fields) => fields,
        Tree::Null => Vec::new(),
        other => {
            return Err(format!(
                "couldn't get version/kind: the file is a {}, not an object",
                other.kind()
            ));
        }
    };
    check_type(&mut fields)?;
    let twice = |path: &String| format!("key {path:?} already set in map");
    let mut complaints: Vec<String> = duplicates.iter().map(twice).collect();
    let mut ignored = |path: Path<'_>| complaints.push(format!("unknown field {:?}", name(&path)));
    let fields = serde_ignored::Deserializer::new(Tree::Map(fields), &mut ignored);
    let config = serde_path_to_error::deserialize(fields)
        .map_err(|error| format!("{KIND}.{}: {}", error.path(), error.inner()))?;
    Ok(Decoded { config, complaints })
}

/// Takes `apiVersion` and `kind` out.
fn check_type(fields: &mut Vec<(String, Tree)>) -> Result<(), String> {
    let mut take = |name: &str| match fields.iter().position(|(key, _)| key == name) {
        None => Ok(String::new()),
        Some(at) => match fields.remove(at).1 {
            Tree::Text(text) => Ok(text),
            Tree::Null => Ok(String::new()),
            other => Err(format!(
                "couldn't get version/kind: {name} is a {}",
                other.kind()
            )),
        },
    };
    let (api_version, kind) = (take("apiVersion")?, take("kind")?);
    if kind.is_empty() {
        return Err(format!("Object 'Kind' is missing; allowed: {KIND}"));
    }
    if api_version.is_empty() {
        return Err(format!(
            "Object 'apiVersion' is missing; allowed: {API_VERSION}"
        ));
    }
    if (api_version.as_str(), kind.as_str()) != (API_VERSION, KIND) {
        return Err(format!(
            "no kind {kind:?} is registered for version {api_version:?}; \
             allowed: kind {KIND} of version {API_VERSION}"
        ));
    }
    Ok(())
}

/// A field's path as upstream writes it: `logging.vmodule[0].level`.
fn name(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", name(parent)),
        Path::Map {
            parent: Path::Root,
            key,
        } => key.clone(),
        Path::Map { parent, key } => format!("{}.{key}", name(parent)),
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => name(parent),
    }
}
