//! Short names for what is too long, or not fit, to be part of a name.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// 128 bits of SHA-256 over the parts, each with its length, in hexadecimal
/// digits. Nobody can make two lists of parts that have the same one, which
/// matters as tenants choose them.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    const LENGTH: usize = 16;
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_be_bytes());
        hasher.update(part);
    }
    let mut text = String::with_capacity(2 * LENGTH);
    for byte in hasher.finalize().iter().take(LENGTH) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn parts_are_told_apart() {
        let of = |parts: &[&str]| digest(parts.iter().map(|part| part.as_bytes()));
        let all = [
            of(&[]),
            of(&[""]),
            of(&["ab"]),
            of(&["a", "b"]),
            of(&["", "ab"]),
            of(&["b", "a"]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 32);
            assert!(!all[at + 1..].contains(one), "{one}");
        }
    }

    #[test]
    fn it_never_changes() {
        // Names in a table outlive the process that made them.
        let text = digest([b"default".as_slice(), b"web"]);
        assert_eq!(text, "b96d9005e41fd7630df88f4b2d8e7c75");
    }
}
