//! Objects from the YAML and JSON files of a directory.
//!
//! A file is read again when its size or time changes, and as long as it could not be read to its
//! end. What it no longer holds is gone, unless part of the file cannot be read: then what was
//! there before stays until it can, as an edit half done must not take Services down.

mod follow;
mod parse;
mod problems;
mod raw;
mod read;
mod watch;

pub use parse::Raw;
pub(crate) use parse::UNUSED_KIND;
pub use raw::raw_objects;

use crate::source::intern::Interner;
use parse::{Found, Parsed};
use problems::Problems;
use read::{Again, Signature, Unread};
use rules::{Change, ObjectKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Something wrong with a file or an object in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, and the place in it where there are several objects.
    pub place: String,
    /// The object, as far as it is known, and what is wrong with it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Kind, namespace and name.
type ObjectKey = (ObjectKind, Arc<str>, Arc<str>);

/// A directory and what was found in it.
pub struct Manifests {
    dir: PathBuf,
    /// The only Node that counts; `None` if all do.
    node_name: Option<Arc<str>>,
    files: BTreeMap<PathBuf, FileState>,
    /// Which file defines an object; the first one by name.
    owners: HashMap<ObjectKey, Arc<Path>>,
    interner: Interner,
}

#[derive(Default)]
struct FileState {
    /// Of what was read to its end, or cannot be.
    signature: Option<Signature>,
    objects: BTreeSet<ObjectKey>,
    /// It defines objects again that another file defines.
    overruled: bool,
    /// It could not be read.
    unread: Option<Again>,
    problems: Problems,
}

/// The files by name: what they look like, or why they cannot be read.
type Present = BTreeMap<PathBuf, Result<Signature, Unread>>;

impl Manifests {
    /// Nothing is read yet. Of the Nodes, only the one with this name counts.
    pub fn new(dir: &Path, node_name: &str) -> Self {
        Self {
            dir: dir.to_owned(),
            node_name: Some(node_name.into()),
            files: BTreeMap::new(),
            owners: HashMap::new(),
            interner: Interner::default(),
        }
    }

    /// Every Node counts, for one [`load`](Self::load): of a Node that is gone it is not told
    /// which one it was.
    pub fn with_all_nodes(self) -> Self {
        Self {
            node_name: None,
            ..self
        }
    }

    /// Reads what is new or changed since the last call and hands out what
    /// that means: first what is gone, so that what takes its place meets no
    /// conflict, then what is there. Returns what is wrong with the files, also
    /// with those that did not change.
    ///
    /// # Errors
    /// The directory cannot be listed. A file that cannot be read is a problem.
    pub fn load(&mut self, sink: &mut dyn FnMut(Change)) -> io::Result<Vec<Problem>> {
        let present = list(&self.dir)?;
        // At first there is nothing that could be gone, and very much to hold.
        let first = self.files.is_empty();
        let mut held = Vec::new();
        let mut lost = Vec::new();
        let mut there = |event| {
            if first {
                sink(event);
            } else {
                held.push(event);
            }
        };
        let missing: Vec<PathBuf> = self
            .files
            .keys()
            .filter(|path| !present.contains_key(*path))
            .cloned()
            .collect();
        for path in missing {
            let objects = self.files.remove(&path).unwrap_or_default().objects;
            objects.iter().for_each(|key| drop(self.owners.remove(key)));
            lost.extend(objects);
        }
        for (path, look) in &present {
            let known = self.files.get(path).and_then(|file| file.signature);
            match look {
                Ok(signature) if known == Some(*signature) => {}
                Ok(_) => self.read(path, &mut lost, &mut there),
                Err(unread) => self.keep(path, unread.clone()),
            }
        }
        if !lost.is_empty() {
            // Another file may define again what has just gone.
            let overruled: Vec<PathBuf> = self
                .files
                .iter()
                .filter(|(_, file)| file.overruled)
                .map(|(path, _)| path.clone())
                .collect();
            for path in overruled {
                if let Some(Ok(_)) = present.get(&path) {
                    self.read(&path, &mut lost, &mut there);
                }
            }
        }
        // Moved to another file, it was never gone.
        lost.retain(|key| !self.owners.contains_key(key));
        lost.iter().map(gone).chain(held).for_each(sink);
        let files = self.files.iter();
        Ok(files
            .flat_map(|(path, file)| file.problems.all(path))
            .collect())
    }

    /// Whether a file could not be read for a reason that may pass.
    pub fn is_incomplete(&self) -> bool {
        let mut files = self.files.values();
        files.any(|file| matches!(file.unread, Some(Again::Later | Again::Soon)))
    }

    /// Whether one may well be readable the next moment.
    fn is_held_up(&self) -> bool {
        let mut files = self.files.values();
        files.any(|file| file.unread == Some(Again::Soon))
    }

    /// A file that cannot be read keeps its objects.
    fn keep(&mut self, path: &Path, unread: Unread) {
        let file = self.files.entry(path.to_owned()).or_default();
        file.unread = Some(unread.again);
        file.signature = match unread.again {
            Again::Written(signature) => Some(signature),
            Again::Later | Again::Soon => None,
        };
        file.problems = Problems::default();
        let rest = match file.objects.len() {
            0 => "left out",
            _ => "its objects stay as they were",
        };
        file.problems.push(Problem {
            place: path.to_string_lossy().into_owned(),
            message: format!("{}; {rest}", unread.message),
        });
    }

    /// Reads one file; adds to `lost` what it no longer holds.
    fn read(&mut self, path: &Path, lost: &mut Vec<ObjectKey>, there: &mut dyn FnMut(Change)) {
        let (signature, text) = match read::whole(path) {
            Ok(read) => read,
            Err(unread) => return self.keep(path, unread),
        };
        let before = self.files.remove(path).unwrap_or_default().objects;
        let mut file = FileState {
            signature: Some(signature),
            ..FileState::default()
        };
        let origin: Arc<str> = path.to_string_lossy().into();
        let shared_path: Arc<Path> = path.into();
        let mut whole = true;
        parse::text(
            path,
            &text,
            &mut |place: String, parsed: Parsed| match parsed {
                Parsed::Object(object) => {
                    let found = parse::convert(
                        &object,
                        self.node_name.as_deref(),
                        &origin,
                        &mut self.interner,
                    );
                    let own = |message: String| Problem {
                        place: place.clone(),
                        message: format!("{}: {message}", object.label()),
                    };
                    let Found {
                        key,
                        event,
                        problems: bad,
                    } = found;
                    bad.into_iter()
                        .map(own)
                        .for_each(|problem| file.problems.push(problem));
                    let Some(key) = key else { return };
                    let owner = self
                        .owners
                        .entry(key.clone())
                        .or_insert_with(|| shared_path.clone());
                    if **owner < *path {
                        file.overruled = true;
                        let message =
                            format!("is in {} already; this one is left out", owner.display());
                        file.problems.push(own(message));
                        return;
                    }
                    if **owner != *path {
                        // The first file by name wins, whenever it came. The other
                        // one's turn is still to come, and it will be told then.
                        let loser = std::mem::replace(owner, shared_path.clone());
                        if let Some(loser) = self.files.get_mut(&*loser) {
                            loser.objects.remove(&key);
                            loser.signature = None;
                        }
                    }
                    if !file.objects.insert(key.clone()) {
                        let message = "is in this file twice; the last one counts".to_owned();
                        file.problems.push(own(message));
                    }
                    there(event.unwrap_or_else(|| gone(&key)));
                }
                Parsed::Bad(message) => {
                    whole = false;
                    file.problems.push(Problem { place, message });
                }
                Parsed::Unknown(message) => file.problems.push(Problem { place, message }),
            },
        );
        for key in before {
            if file.objects.contains(&key) {
                continue;
            }
            if whole {
                self.owners.remove(&key);
                lost.push(key);
            } else {
                file.objects.insert(key);
            }
        }
        self.files.insert(path.to_owned(), file);
    }
}

/// The files of a directory that are read.
fn list(directory: &Path) -> io::Result<Present> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|own| own.to_str());
        let hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes()[0] == b'.');
        if hidden || !matches!(extension, Some("yaml" | "yml" | "json")) {
            continue;
        }
        if let Some(look) = read::look(&path) {
            found.insert(path, look);
        }
    }
    Ok(found)
}

/// What a single file with this text comes to, as [`Manifests::load`] would hand it out.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_text(path: &Path, text: &str, node_name: &str) -> (Vec<Change>, Vec<String>) {
    let origin: Arc<str> = path.to_string_lossy().into();
    let mut interner = Interner::default();
    let (mut events, mut problems) = (Vec::new(), Vec::new());
    parse::text(path, text, &mut |_, parsed: Parsed| match parsed {
        Parsed::Object(object) => {
            let found = parse::convert(&object, Some(node_name), &origin, &mut interner);
            problems.extend(found.problems);
            if let Some(key) = found.key {
                events.push(found.event.unwrap_or_else(|| gone(&key)));
            }
        }
        Parsed::Bad(message) | Parsed::Unknown(message) => problems.push(message),
    });
    (events, problems)
}

fn gone((kind, namespace, name): &ObjectKey) -> Change {
    let full = || rules::model::ObjectName::new(namespace.clone(), name.clone());
    match kind {
        ObjectKind::Service => Change::ServiceGone(full()),
        ObjectKind::EndpointSlice => Change::SliceGone(full()),
        ObjectKind::Node => Change::NodeGone,
        ObjectKind::ServiceCidr => Change::ServiceCidrGone(name.clone()),
    }
}

#[cfg(test)]
mod tests;
