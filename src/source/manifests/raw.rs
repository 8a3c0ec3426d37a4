//! All objects of a directory, of whatever kind.

use super::parse::{self, Raw};
use super::{Problem, list, read};
use std::io;
use std::path::Path;

/// Hands out all objects of a directory's files, file by file in the order of their names. What
/// cannot be read, or what `sink` cannot make anything of, is a line in what comes back.
///
/// # Errors
/// The directory cannot be listed.
pub fn raw_objects(
    directory: &Path,
    sink: &mut dyn FnMut(Raw<'_>) -> serde_json::Result<()>,
) -> io::Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut say = |place: String, message: String| {
        problems.push(Problem { place, message }.to_string());
    };
    for (path, look) in list(directory)? {
        let text = match look.and_then(|_| read::whole(&path)) {
            Ok((_, text)) => text,
            Err(unread) => {
                say(
                    path.display().to_string(),
                    format!("{}; left out", unread.message),
                );
                continue;
            }
        };
        parse::raw(&path, &text, &mut |place, found| {
            let taken = found.and_then(|raw| sink(raw).map_err(|error| error.to_string()));
            if let Err(message) = taken {
                say(place, message);
            }
        });
    }
    Ok(problems)
}
