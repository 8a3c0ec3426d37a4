//! Reading one file: whole, and only if it is one.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The largest file that is read, in bytes: some 50,000 Services with their endpoints.
const LIMIT: u64 = 64 << 20;
/// How often a file that changes meanwhile is read before it is left for later.
const ATTEMPTS: usize = 3;

/// What tells that a file was written or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// The same, of any change, which nobody can set.
    changed: (i64, i64),
}

impl From<&Metadata> for Signature {
    fn from(own: &Metadata) -> Self {
        Self {
            device: own.dev(),
            inode: own.ino(),
            length: own.len(),
            modified: (own.mtime(), own.mtime_nsec()),
            changed: (own.ctime(), own.ctime_nsec()),
        }
    }
}

/// Why a file was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    /// For people, to follow the file's name.
    pub(super) message: String,
    /// When it is worth another try.
    pub(super) again: Again,
}

/// When a file that was not read may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// When it no longer looks like this.
    Written(Signature),
    /// When somebody sees to it, which nothing may tell.
    Later,
    /// The next moment: the process or the disk is short of something.
    Soon,
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        let people = [
            libc::ENOENT,
            libc::EACCES,
            libc::EPERM,
            libc::ELOOP,
            libc::ENOTDIR,
        ];
        let for_people = error
            .raw_os_error()
            .is_some_and(|own| people.contains(&own));
        Self {
            message: error.to_string(),
            again: if for_people {
                Again::Later
            } else {
                Again::Soon
            },
        }
    }
}

/// What is at a path, through symbolic links, as mounted ConfigMaps are made of them; `None` if
/// the name itself has gone.
///
/// # Errors
/// There is something that can be no manifest, or that cannot be looked at.
pub(super) fn look(path: &Path) -> Option<Result<Signature, Unread>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Some(check(&metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A name without a file: the file's turn may still come.
            std::fs::symlink_metadata(path).ok()?;
            Some(Err(Unread {
                message: "is a link that leads nowhere".to_owned(),
                again: Again::Later,
            }))
        }
        Err(error) => Some(Err(error.into())),
    }
}

/// That it is a file and not too large.
fn check(metadata: &Metadata) -> Result<Signature, Unread> {
    let kind = metadata.file_type();
    let signature = Signature::from(metadata);
    let lasting = |message: String| Unread {
        message,
        again: Again::Written(signature),
    };
    if !kind.is_file() {
        let what = match kind {
            kind if kind.is_dir() => "a directory",
            kind if kind.is_fifo() => "a FIFO",
            kind if kind.is_socket() => "a socket",
            _ => "a device",
        };
        return Err(lasting(format!("is {what} and no file")));
    }
    if metadata.len() > LIMIT {
        let length = metadata.len() >> 20;
        return Err(lasting(too_large(&format!("{length} MiB"))));
    }
    Ok(signature)
}

fn too_large(length: &str) -> String {
    format!(
        "has {length}, of which {} are read at most; split it",
        LIMIT >> 20
    )
}

/// The text of a file, which did not change while it was read.
///
/// # Errors
/// It cannot be read whole, is no UTF-8, or changes all the time.
pub(super) fn whole(path: &Path) -> Result<(Signature, String), Unread> {
    for _ in 0..ATTEMPTS {
        // What was a file a moment ago may be a FIFO now, which would wait for its writer.
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        let signature = check(&file.metadata()?)?;
        let bytes = contents(&mut file, signature)?;
        if Signature::from(&file.metadata()?) != signature {
            continue;
        }
        return match String::from_utf8(bytes) {
            Ok(text) => Ok((signature, text)),
            Err(error) => Err(Unread {
                message: format!("is no UTF-8 from byte {}", error.utf8_error().valid_up_to()),
                again: Again::Written(signature),
            }),
        };
    }
    Err(Unread {
        message: "is being written".to_owned(),
        again: Again::Soon,
    })
}

/// All bytes of an open file; some say that they have none and go on for ever.
fn contents(file: &mut File, signature: Signature) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::with_capacity(usize::try_from(signature.length).unwrap_or(0));
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Unread {
            message: too_large("more"),
            again: Again::Written(signature),
        });
    }
    Ok(bytes)
}
