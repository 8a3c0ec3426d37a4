//! What the process tells about itself on the metrics port: its configuration,
//! its flags, its version.

use crate::config::features::{COMPONENT_FLAGZ, COMPONENT_STATUSZ};
use crate::health::Moment;
use crate::kubernetes;
use crate::mode::Mode;
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Labels of `kubernetes_build_info`.
pub const BUILD_LABELS: [&str; 9] = [
    "build_date",
    "compiler",
    "git_commit",
    "git_tree_state",
    "git_version",
    "go_version",
    "major",
    "minor",
    "platform",
];

/// Values of [`BUILD_LABELS`]. The version is Kubernetes' own as far as tools
/// compare it; what follows the `+` tells who built it.
pub fn build() -> [String; 9] {
    let version = concat!("+kube-proxy-rs.", env!("CARGO_PKG_VERSION"));
    let (major, minor) = kubernetes::major_minor();
    let version = format!("{}{version}", kubernetes::GIT_VERSION);
    let (major, minor) = (major.to_string(), minor.to_string());
    [
        "",
        "rustc",
        "",
        "",
        &version,
        "",
        &major,
        &minor,
        kubernetes::PLATFORM,
    ]
    .map(str::to_owned)
}

/// What the servers show; set once at the start.
#[derive(Clone, Debug)]
pub struct About {
    /// The `KubeProxyConfiguration`, as JSON.
    pub config: Arc<str>,
    /// Flags and their values, as upstream prints them.
    pub flags: Arc<BTreeMap<String, String>>,
    /// The mode that runs.
    pub mode: &'static str,
    /// Whether `/debug` is there.
    pub profiling: bool,
    /// Whether `/flagz` is there.
    pub flagz: bool,
    /// Whether `/statusz` is there.
    pub statusz: bool,
    /// When this process began.
    pub started: Moment,
}

impl About {
    /// What these settings come to, where a mode serves that need not be theirs.
    pub fn new(settings: &Settings, mode: Mode) -> Self {
        let flags = settings.flags.iter();
        let flags = flags.map(|(name, value)| ((*name).to_owned(), value.clone()));
        Self {
            config: settings.config.to_json().into(),
            flags: Arc::new(flags.collect()),
            mode: mode.name(),
            profiling: settings.profiling,
            flagz: settings.gates.enabled(COMPONENT_FLAGZ),
            statusz: settings.gates.enabled(COMPONENT_STATUSZ),
            started: Moment::now(),
        }
    }
}
