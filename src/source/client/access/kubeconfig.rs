//! A kubeconfig, by clientcmd's rules.

mod file;

use super::{Access, Authority, Pem, Server, Tls, Token, basic, bearer, pod};
use crate::source::client::proxy::Proxy;
use anyhow::{Context, bail, ensure};
use file::{Cluster, File, User};
use http::{HeaderName, HeaderValue};
use std::path::Path;

/// The current context, with `master` instead of its server.
///
/// # Errors
/// Names the file and the field.
pub(super) fn read(path: &Path, master: Option<&str>) -> anyhow::Result<Access> {
    let name = || format!("--kubeconfig {}", path.display());
    let text = std::fs::read_to_string(path).with_context(name)?;
    let file = File::parse(&text)
        .map_err(anyhow::Error::msg)
        .with_context(name)?;
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    access(&file, directory, master).with_context(name)
}

/// The same of a file that was read.
#[cfg(feature = "fuzzing")]
pub(super) fn of_text(text: &str, master: Option<&str>) -> anyhow::Result<Access> {
    let file = File::parse(text).map_err(anyhow::Error::msg)?;
    access(&file, Path::new("fuzz"), master)
}

fn access(file: &File, directory: &Path, master: Option<&str>) -> anyhow::Result<Access> {
    for (field, value, known) in [
        ("kind", &file.kind, "Config"),
        ("apiVersion", &file.api_version, "v1"),
    ] {
        let fits = value.is_empty() || value == known;
        ensure!(fits, "{field} {value:?}: a kubeconfig's is {known:?}");
    }
    let current = file.current_context.as_str();
    let context = match (file.context(current), current) {
        (Some(context), _) => context,
        (None, "") => Default::default(),
        (None, name) => bail!("current-context {name:?}: there is no such context"),
    };
    // clientcmd takes a cluster or user that is not there for an empty one.
    let found = file.cluster(&context.cluster);
    let nothing = found.is_none() && master.is_none();
    let cluster = found.unwrap_or_default();
    let user = file.user(&context.user).unwrap_or_default();
    let server = match (master, cluster.server.as_str()) {
        (Some(url), _) => Server::parse(url)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("--master {url:?}"))?,
        (None, "") if nothing => return without_cluster(current, &context.cluster),
        (None, "") => bail!("no server found for cluster {:?}", context.cluster),
        (None, url) => Server::parse(url)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("cluster {:?}: server {url:?}", context.cluster))?,
    };
    let in_cluster = || format!("cluster {:?}", context.cluster);
    let in_user = || format!("user {:?}", context.user);
    let mut tls = identify_server(&cluster, directory).with_context(in_cluster)?;
    if master.is_some() {
        // A name to check is that of the server that was there.
        tls.server_name = None;
    }
    let proxy = match cluster.proxy_url.as_str() {
        "" => None,
        url => Some(
            Proxy::from_kubeconfig(url)
                .map_err(|why| anyhow::anyhow!("proxy-url: {why}"))
                .with_context(in_cluster)?,
        ),
    };
    let mut access = Access {
        server,
        proxy,
        tls,
        token: Token::None,
        headers: Vec::new(),
        namespace: match context.namespace.as_str() {
            "" => "default".to_owned(),
            namespace => namespace.to_owned(),
        },
    };
    check_user(&user).with_context(in_user)?;
    // Without a scheme nobody has said that this may be sent in the clear.
    if !access.server.without_scheme {
        access.tls.identity = identity(&user, directory).with_context(in_user)?;
        access.token = token(&user, directory).with_context(in_user)?;
    }
    access.headers = impersonation(&user).with_context(in_user)?;
    if access.proxy.is_none() {
        access.proxy_of_environment()?;
    }
    access.user_of_url()?;
    Ok(access)
}

/// As client-go: the pod's own account, if this is one.
fn without_cluster(current: &str, cluster: &str) -> anyhow::Result<Access> {
    let lacks = match current {
        "" => "it has no current-context, so no server".to_owned(),
        name => format!("context {name:?}: there is no cluster {cluster:?}"),
    };
    ensure!(pod::is_one(), "{lacks}, and this is not a pod of a cluster");
    tracing::warn!("{lacks}: the pod's service account is used");
    pod::read()
}

fn identify_server(cluster: &Cluster, directory: &Path) -> anyhow::Result<Tls> {
    let authority = pem(
        "certificate-authority",
        &cluster.certificate_authority,
        &cluster.certificate_authority_data,
        directory,
    )?;
    ensure!(
        !(cluster.insecure_skip_tls_verify && authority.is_some()),
        "certificate-authority and insecure-skip-tls-verify exclude each other: specifying a root \
         certificates file with the insecure flag is not allowed"
    );
    Ok(Tls {
        authority: authority.map_or(Authority::System, Authority::These),
        insecure: cluster.insecure_skip_tls_verify,
        server_name: Some(cluster.tls_server_name.clone()).filter(|name| !name.is_empty()),
        identity: None,
    })
}

/// What no request could be sent with.
fn check_user(user: &User) -> anyhow::Result<()> {
    if let Some(exec) = &user.exec {
        bail!(
            "exec: the credential plugin {:?} is not run, as this program runs no others; \
             use a tokenFile, token or client-certificate",
            exec.command
        );
    }
    if let Some(provider) = &user.auth_provider {
        bail!(
            "auth-provider: there is none of the name {:?} any more; use a tokenFile, token or \
             client-certificate",
            provider.name
        );
    }
    let basic = !user.username.is_empty() || !user.password.is_empty();
    ensure!(
        !(basic && (!user.token.is_empty() || !user.token_file.is_empty())),
        "token and username: only one way to authenticate is allowed"
    );
    Ok(())
}

fn token(user: &User, directory: &Path) -> anyhow::Result<Token> {
    let fixed = match user.token.trim() {
        "" => None,
        token => Some(bearer(token).context("token: this is no token")?),
    };
    if !user.token_file.is_empty() {
        return Ok(Token::File {
            path: directory.join(&user.token_file),
            instead: fixed,
        });
    }
    if let Some(token) = fixed {
        return Ok(Token::Fixed(token));
    }
    if !user.username.is_empty() {
        return Ok(Token::Fixed(basic(&user.username, &user.password)?));
    }
    Ok(Token::None)
}

fn identity(user: &User, directory: &Path) -> anyhow::Result<Option<(Pem, Pem)>> {
    let certificate = pem(
        "client-certificate",
        &user.client_certificate,
        &user.client_certificate_data,
        directory,
    )?;
    let key = pem(
        "client-key",
        &user.client_key,
        &user.client_key_data,
        directory,
    )?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (Some(_), None) => bail!("client-certificate without client-key"),
        // client-go does not look at a key alone.
        (None, _) => Ok(None),
    }
}

/// A file or its contents in base64.
fn pem(field: &str, path: &str, data: &str, directory: &Path) -> anyhow::Result<Option<Pem>> {
    use base64::Engine;
    match (path, data) {
        ("", "") => Ok(None),
        (path, "") => Ok(Some(Pem::File(directory.join(path)))),
        ("", data) => {
            let data: String = data.split_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(data);
            let bytes = bytes.with_context(|| format!("{field}-data: not base64"))?;
            Ok(Some(Pem::Inline(bytes)))
        }
        _ => bail!("{field} and {field}-data are both given"),
    }
}

fn impersonation(user: &User) -> anyhow::Result<Vec<(HeaderName, HeaderValue)>> {
    if user.impersonate.is_empty() {
        let others = !user.impersonate_uid.is_empty()
            || !user.impersonate_groups.is_empty()
            || !user.impersonate_extra.is_empty();
        ensure!(!others, "as-uid, as-groups or as-user-extra without as");
        return Ok(Vec::new());
    }
    let mut pairs = vec![("Impersonate-User".to_owned(), user.impersonate.as_str())];
    if !user.impersonate_uid.is_empty() {
        pairs.push(("Impersonate-Uid".to_owned(), &user.impersonate_uid));
    }
    for group in &user.impersonate_groups {
        pairs.push(("Impersonate-Group".to_owned(), group));
    }
    for (key, values) in &user.impersonate_extra {
        for value in values {
            pairs.push((format!("Impersonate-Extra-{}", escaped(key)), value));
        }
    }
    pairs
        .into_iter()
        .map(|(name, value)| {
            let header = HeaderName::try_from(&name);
            let header = header.with_context(|| format!("{name}: no name of a header"))?;
            let value = HeaderValue::try_from(value);
            Ok((
                header,
                value.with_context(|| format!("{name}: no value of a header"))?,
            ))
        })
        .collect()
}

/// As client-go escapes what a header's name cannot have.
fn escaped(key: &str) -> String {
    let mut out = String::new();
    for own in key.bytes() {
        if own.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&own) {
            out.push(char::from(own));
        } else {
            out.push_str(&format!("%{own:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests;
