//! For fuzz targets: kubeconfigs, URLs and the environment's proxies, without files and
//! connections.

use super::access::{Access, Authority, Pem};
use super::proxy::Environment;
use super::server::Server;
use super::tls;

/// Reads a kubeconfig, and makes of it what a handshake needs, unless that is in files. Returns
/// the server's URL.
///
/// # Errors
/// What is wrong with it.
pub fn kubeconfig(text: &str, master: Option<&str>) -> Result<String, String> {
    let access = Access::of_kubeconfig(text, master).map_err(|error| format!("{error:#}"))?;
    let server = &access.server;
    let url = format!(
        "{}://{}{}",
        server.scheme(),
        server.authority(),
        server.prefix()
    );
    let inline = |pem: &Pem| matches!(pem, Pem::Inline(_));
    let is_here = matches!(&access.tls.authority, Authority::These(pem) if inline(pem));
    let identity = access.tls.identity.as_ref();
    if is_here && identity.is_none_or(|(one, other)| inline(one) && inline(other)) {
        tls::config(&access.tls).map_err(|error| format!("{error:#}"))?;
    }
    Ok(url)
}

/// The proxy for a server, of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
///
/// # Errors
/// What is wrong with the server's URL, or with a variable.
pub fn proxy(server: &str, [https, http, none]: [&str; 3]) -> Result<Option<String>, String> {
    let server = Server::parse(server)?;
    let environment = Environment::new(|name| {
        let value = match name {
            "HTTPS_PROXY" => https,
            "HTTP_PROXY" => http,
            "NO_PROXY" => none,
            _ => return None,
        };
        Some(value.to_owned())
    });
    let proxy = environment.proxy(server.scheme(), server.host(), server.port());
    let proxy = proxy.map_err(|unusable| unusable.why)?;
    Ok(proxy.map(|own| own.to_string()))
}
