//! The release of Kubernetes whose kube-proxy this one stands in for: whoever names it takes it from
//! here.

/// As upstream's `gitVersion`.
pub const GIT_VERSION: &str = "v1.37.2";
/// Without the letter, as `/statusz` shows a release's version.
pub const VERSION: &str = GIT_VERSION.split_at(1).1;

/// What it was built for, as Go names it.
pub const PLATFORM: &str = if cfg!(target_arch = "aarch64") {
    "linux/arm64"
} else {
    "linux/amd64"
};

/// Major and minor version.
pub fn major_minor() -> (u32, u32) {
    let mut numbers = VERSION.split('.').map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next())
}

/// `1.37`: what the API and its features are like, whatever the patch.
pub fn minor_version() -> String {
    let (major, minor) = major_minor();
    format!("{major}.{minor}")
}

/// `1.36`.
pub fn previous_minor_version() -> String {
    let (major, minor) = major_minor();
    format!("{major}.{}", minor.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ours_is_compared_with_and_speaks_is_the_same_release() {
        let upstream = include_str!("../e2e/controlplane/go.mod");
        let required = format!("require k8s.io/kubernetes {GIT_VERSION}\n");
        assert!(upstream.contains(&required), "{upstream}");
        let (major, minor) = major_minor();
        let objects = format!("features = [\"v{major}_{minor}\"]");
        assert!(
            include_str!("../Cargo.toml").contains(&objects),
            "{objects}"
        );
    }
}
