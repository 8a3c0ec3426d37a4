//! Entry points for the targets of the package `fuzz`: the places where bytes from outside come
//! in, without the files, sockets and clocks around them. Only there with the feature `fuzzing`.

use crate::source;
use rules::Event;
use std::path::Path;

/// What a manifest comes to on the node `n1`.
#[derive(Debug, Default)]
pub struct Manifest {
    /// Its objects, in the order of the file.
    pub events: Vec<Event>,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// Reads a manifest; the extension `json` chooses JSON, any other one YAML.
pub fn manifest(extension: &str, text: &str) -> Manifest {
    let path = Path::new("fuzz").with_extension(extension);
    let (events, problems) = source::read_text(&path, text, "n1");
    Manifest { events, problems }
}
