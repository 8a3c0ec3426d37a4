//! A kubeconfig: read, and made into what a connection needs. Files that it names are not read.

use kube_proxy::fuzzing::kubeconfig;

/// Its first line is `--master`, empty for none.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (master, file) = text.split_once('\n').unwrap_or(("", text));
    let master = (!master.is_empty()).then_some(master);
    match kubeconfig(file, master) {
        Ok(server) => assert!(server.starts_with("http://") || server.starts_with("https://")),
        Err(error) => assert!(!error.is_empty()),
    }
}
