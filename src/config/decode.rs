//! From the file's text to its fields.
//!
//! Upstream decodes strictly first: an unknown field or one that occurs twice is an error. It
//! then goes on leniently and tells what it did, so those are complaints here, not errors.

use super::schema::{Section, Visitor};
use super::tree::Tree;
use super::{API_VERSION, GoDuration, KIND, KubeProxyConfiguration, Quantity, VModuleItem};
use std::collections::{BTreeMap, BTreeSet};

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
    let tree = Tree::parse(text).map_err(|error| format!("yaml: {error}"))?;
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
    let mut config = KubeProxyConfiguration::default();
    let mut log = Log::default();
    read(&mut config, fields, "", &mut log);
    match log.error {
        Some(error) => Err(error),
        None => Ok(Decoded {
            config,
            complaints: log.complaints,
        }),
    }
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

#[derive(Default)]
struct Log {
    complaints: Vec<String>,
    /// The first value that its field does not take.
    error: Option<String>,
}

/// Fills a section; what is left of the fields is unknown.
fn read(section: &mut dyn Section, fields: Vec<(String, Tree)>, path: &str, log: &mut Log) {
    let mut seen = BTreeSet::new();
    for (key, _) in &fields {
        if !seen.insert(key.clone()) {
            log.complaints
                .push(format!("key {:?} already set in map", path_of(path, key)));
        }
    }
    // The last one of several counts.
    let fields = fields.into_iter().collect();
    let mut reader = Reader { fields, path, log };
    section.fields(&mut reader);
    for key in reader.fields.keys() {
        let message = format!("unknown field {:?}", path_of(path, key));
        log.complaints.push(message);
    }
}

fn path_of(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

struct Reader<'a> {
    fields: BTreeMap<String, Tree>,
    path: &'a str,
    log: &'a mut Log,
}

impl Reader<'_> {
    /// Takes a field out and sets the value; absent and null leave it alone.
    fn set<T>(
        &mut self,
        name: &str,
        target: &mut T,
        what: &str,
        convert: impl FnOnce(&Tree) -> Result<T, Option<String>>,
    ) {
        let Some(tree) = self.fields.remove(name) else {
            return;
        };
        if tree == Tree::Null {
            return;
        }
        match convert(&tree) {
            Ok(value) => *target = value,
            Err(reason) => {
                let path = path_of(self.path, name);
                let reason = reason.unwrap_or_else(|| {
                    let number = match tree {
                        Tree::Integer(number) => format!(" {number}"),
                        Tree::Float(number) => format!(" {number}"),
                        _ => String::new(),
                    };
                    format!("is a {}{number}, not {what}", tree.kind())
                });
                self.log
                    .error
                    .get_or_insert_with(|| format!("KubeProxyConfiguration.{path}: {reason}"));
            }
        }
    }
}

/// The reason `None` stands for a value of another type.
type Converted<T> = Result<T, Option<String>>;

fn text(tree: &Tree) -> Converted<String> {
    match tree {
        Tree::Text(text) => Ok(text.clone()),
        _ => Err(None),
    }
}

fn flag(tree: &Tree) -> Converted<bool> {
    match tree {
        Tree::Bool(value) => Ok(*value),
        // YAML 1.1, which upstream reads, has more words for these.
        Tree::Text(word) => match word.to_lowercase().as_str() {
            "y" | "yes" | "on" => Ok(true),
            "n" | "no" | "off" => Ok(false),
            _ => Err(None),
        },
        _ => Err(None),
    }
}

fn integer<T: TryFrom<i128>>(tree: &Tree) -> Converted<T> {
    match tree {
        Tree::Integer(value) => T::try_from(*value).map_err(|_| None),
        _ => Err(None),
    }
}

// Upstream's field has this precision as well.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn float(tree: &Tree) -> Converted<f32> {
    match tree {
        Tree::Integer(value) => Ok(*value as f32),
        Tree::Float(value) if value.is_finite() => Ok(*value as f32),
        _ => Err(None),
    }
}

fn duration(tree: &Tree) -> Converted<GoDuration> {
    text(tree)?.parse().map_err(Some)
}

fn texts(tree: &Tree) -> Converted<Vec<String>> {
    let Tree::List(items) = tree else {
        return Err(None);
    };
    let item = |item: &Tree| match item {
        Tree::Null => Ok(String::new()),
        other => text(other),
    };
    items
        .iter()
        .map(|tree| item(tree).map_err(|_| Some(format!("holds a {}, not a string", tree.kind()))))
        .collect()
}

impl Visitor for Reader<'_> {
    fn text(&mut self, name: &'static str, value: &mut String) {
        self.set(name, value, "a string", text);
    }

    fn flag(&mut self, name: &'static str, value: &mut bool) {
        self.set(name, value, "a bool", flag);
    }

    fn flag_or_absent(&mut self, name: &'static str, value: &mut bool) {
        self.flag(name, value);
    }

    fn optional_flag(&mut self, name: &'static str, value: &mut Option<bool>) {
        self.set(name, value, "a bool", |tree| flag(tree).map(Some));
    }

    fn integer(&mut self, name: &'static str, value: &mut i32) {
        self.set(name, value, "a whole number of 32 bits", integer);
    }

    fn optional_integer(&mut self, name: &'static str, value: &mut Option<i32>) {
        self.set(name, value, "a whole number of 32 bits", |tree| {
            integer(tree).map(Some)
        });
    }

    fn verbosity(&mut self, name: &'static str, value: &mut u32) {
        self.set(name, value, "a whole number from 0 on", integer);
    }

    fn float(&mut self, name: &'static str, value: &mut f32) {
        self.set(name, value, "a number", float);
    }

    fn duration(&mut self, name: &'static str, value: &mut GoDuration) {
        self.set(name, value, "a duration such as \"30s\"", duration);
    }

    fn optional_duration(&mut self, name: &'static str, value: &mut Option<GoDuration>) {
        self.set(name, value, "a duration such as \"30s\"", |tree| {
            duration(tree).map(Some)
        });
    }

    fn duration_or_nanos(
        &mut self,
        name: &'static str,
        value: &mut GoDuration,
        is_number: &mut bool,
    ) {
        let what = "a duration such as \"5s\" or a number of nanoseconds";
        self.set(name, value, what, |tree| match tree {
            Tree::Integer(_) => {
                *is_number = true;
                integer(tree).map(GoDuration::from_nanos)
            }
            _ => duration(tree),
        });
    }

    fn texts(&mut self, name: &'static str, value: &mut Option<Vec<String>>) {
        self.set(name, value, "a list of strings", |tree| {
            texts(tree).map(Some)
        });
    }

    fn joined(&mut self, name: &'static str, value: &mut Vec<String>) {
        self.set(name, value, "a string", |tree| {
            let text = text(tree)?;
            let parts = text.split(',').map(str::to_owned);
            Ok(if text.is_empty() {
                Vec::new()
            } else {
                parts.collect()
            })
        });
    }

    fn gates(&mut self, name: &'static str, value: &mut BTreeMap<String, bool>) {
        self.set(name, value, "an object of bools", |tree| match tree {
            Tree::Map(fields) => {
                let gate = |(name, value): &(String, Tree)| match flag(value) {
                    Ok(value) => Ok((name.clone(), value)),
                    Err(_) => Err(Some(format!("{name} is a {}, not a bool", value.kind()))),
                };
                fields.iter().map(gate).collect()
            }
            _ => Err(None),
        });
    }

    fn vmodule(&mut self, name: &'static str, value: &mut Vec<VModuleItem>) {
        let path = path_of(self.path, name);
        let mut inner = Log::default();
        self.set(name, value, "a list of objects", |tree| {
            let Tree::List(items) = tree else {
                return Err(None);
            };
            let mut modules = Vec::new();
            for (at, item) in items.iter().enumerate() {
                let Tree::Map(fields) = item else {
                    return Err(Some(format!("[{at}] is a {}, not an object", item.kind())));
                };
                let mut module = VModuleItem::default();
                read(
                    &mut module,
                    fields.clone(),
                    &format!("{path}[{at}]"),
                    &mut inner,
                );
                modules.push(module);
            }
            Ok(modules)
        });
        self.log.complaints.append(&mut inner.complaints);
        if self.log.error.is_none() {
            self.log.error = inner.error;
        }
    }

    fn quantity(&mut self, name: &'static str, value: &mut Quantity) {
        self.set(
            name,
            value,
            "a quantity such as \"1Ki\"",
            |tree| match tree {
                Tree::Integer(number) => number.to_string().parse().map_err(Some),
                _ => text(tree)?.parse().map_err(Some),
            },
        );
    }

    fn section(&mut self, name: &'static str, value: &mut dyn Section) {
        let path = path_of(self.path, name);
        match self.fields.remove(name) {
            None | Some(Tree::Null) => {}
            Some(Tree::Map(fields)) => read(value, fields, &path, self.log),
            Some(other) => {
                let kind = other.kind();
                self.log.error.get_or_insert_with(|| {
                    format!("KubeProxyConfiguration.{path}: is a {kind}, not an object")
                });
            }
        }
    }
}
