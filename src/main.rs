//! The `kube-proxy` command.

use std::process::ExitCode;

/// musl's own allocator gives every large buffer back at once, and pages of lists are large
/// buffers: half the time of a start went into page faults.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    #[cfg(feature = "plugin")]
    if std::env::args_os()
        .next()
        .is_some_and(|program| kube_proxy::plugin::is_meant(&program.to_string_lossy()))
    {
        return kube_proxy::plugin::run(&words);
    }
    kube_proxy::cli::run(&words)
}
