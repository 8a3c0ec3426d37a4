//! The service account of the pod that this is (client-go's `rest.InClusterConfig`).

use super::{Access, Authority, Pem, Server, Tls, Token};
use anyhow::Context;
use std::path::Path;

const DIRECTORY: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";

/// Whether there is all that a pod has.
pub(super) fn is_one() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    set(HOST) && set(PORT) && Path::new(DIRECTORY).join("token").is_file()
}

pub(super) fn read() -> anyhow::Result<Access> {
    let variable = |name: &str| match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => anyhow::bail!("{name} is not set"),
    };
    of(&variable(HOST)?, &variable(PORT)?, Path::new(DIRECTORY))
}

fn of(host: &str, port: &str, directory: &Path) -> anyhow::Result<Access> {
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    let url = format!("https://{host}:{port}");
    let server = Server::parse(&url)
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("{HOST} and {PORT}: {url:?}"))?;
    let token = directory.join("token");
    std::fs::read(&token).with_context(|| format!("token file {}", token.display()))?;
    let authority = directory.join("ca.crt");
    let authority = match std::fs::read(&authority) {
        Ok(_) => Authority::These(Pem::File(authority)),
        Err(error) => {
            tracing::error!(
                "{}: {error}; the operating system's authorities are believed instead",
                authority.display()
            );
            Authority::System
        }
    };
    let namespace = std::fs::read_to_string(directory.join("namespace"));
    let mut access = Access {
        server,
        proxy: None,
        tls: Tls {
            authority,
            ..Tls::default()
        },
        token: Token::File {
            path: token,
            instead: None,
        },
        headers: Vec::new(),
        namespace: namespace
            .unwrap_or_else(|_| "default".to_owned())
            .trim()
            .to_owned(),
    };
    access.proxy_of_environment()?;
    Ok(access)
}
