//! The oldest kernel that upstream's nftables mode starts on: 5.13. What it checks is the
//! version; a kernel of a distribution that has the changes all the same is let through by the
//! environment variable that upstream has for that.

use anyhow::bail;

/// Major and minor number.
const OLDEST: (u32, u32) = (5, 13);
/// Not empty: the version does not matter.
const SKIP: &str = "KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK";

/// Looks at the kernel that this runs on. One that does not tell is taken.
///
/// # Errors
/// It is too old.
pub fn check() -> anyhow::Result<()> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let skip = std::env::var_os(SKIP).is_some_and(|value| !value.is_empty());
    check_release(release.trim(), skip)
}

fn check_release(release: &str, skip: bool) -> anyhow::Result<()> {
    let (major, minor) = OLDEST;
    match numbers(release) {
        Some(found) if found < OLDEST && !skip => bail!(
            "nftables: kernel {release} is older than {major}.{minor}; with {SKIP}=1 in the \
             environment it is tried all the same"
        ),
        _ => Ok(()),
    }
}

/// The first two numbers of `6.1.0-18-amd64`.
fn numbers(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_before_5_13_are_refused() {
        let rows = [
            ("5.13.0", true),
            ("5.12.19-generic", false),
            ("4.18.0-553.el8_10.x86_64", false),
            ("6.1.0-18-amd64", true),
            ("6.18.44", true),
            ("10.0", true),
            ("5.4", false),
            ("5", true),
            ("", true),
            ("next-20260101", true),
        ];
        for (release, fine) in rows {
            assert_eq!(check_release(release, false).is_ok(), fine, "{release}");
            assert!(check_release(release, true).is_ok(), "{release}");
        }
        let error = check_release("5.4.0", false)
            .expect_err("too old")
            .to_string();
        assert!(error.contains("kernel 5.4.0 is older than 5.13"), "{error}");
    }
}
