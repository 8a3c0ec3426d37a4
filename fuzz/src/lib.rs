//! Fuzz targets: each takes any bytes, feeds them to one of the places where the product takes
//! bytes from outside, and panics if what must hold does not. `docs/fuzzing.md` says how they are
//! run, and `tests/corpora.rs` runs what was found so far with the other tests.

mod table;
mod targets;

/// A place where bytes come in.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What FUZZ_TARGET, the corpus's directory and the dictionary are called.
    pub name: &'static str,
    /// The longest input that the engine makes, in bytes.
    pub max_len: usize,
    /// Runs an input; panics if something does not hold.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 9] = [
    Target {
        name: "manifests",
        max_len: 8 << 10,
        run: targets::manifests::run,
    },
    Target {
        name: "api",
        max_len: 8 << 10,
        run: targets::api::run,
    },
    Target {
        name: "kubeconfig",
        max_len: 4 << 10,
        run: targets::kubeconfig::run,
    },
    Target {
        name: "proxies",
        max_len: 512,
        run: targets::proxies::run,
    },
    Target {
        name: "config",
        max_len: 4 << 10,
        run: targets::config::run,
    },
    Target {
        name: "flags",
        max_len: 1 << 10,
        run: targets::flags::run,
    },
    Target {
        name: "netlink",
        max_len: 2 << 10,
        run: targets::netlink::run,
    },
    Target {
        name: "http",
        max_len: 4 << 10,
        run: targets::http::run,
    },
    Target {
        name: "events",
        max_len: 800,
        run: targets::events::run,
    },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
