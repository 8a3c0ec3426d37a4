//! Which API server, how to know it, and who we are: from a kubeconfig, `--master` or the pod.

mod kubeconfig;
mod pod;

use super::ClientOptions;
use super::proxy::{Environment, Proxy};
use super::server::Server;
use anyhow::Context;
use http::{HeaderName, HeaderValue};
use std::path::PathBuf;

/// All of it.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) server: Server,
    pub(super) proxy: Option<Proxy>,
    pub(super) tls: Tls,
    pub(super) token: Token,
    /// On every request: impersonation.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) namespace: String,
}

/// How TLS knows the server, and we ourselves to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tls {
    pub(super) authority: Authority,
    pub(super) insecure: bool,
    /// The name to check, if it is not the URL's host.
    pub(super) server_name: Option<String>,
    /// The client certificate with its key.
    pub(super) identity: Option<(Pem, Pem)>,
}

/// Whose certificates are believed.
#[derive(Clone, Debug, Default)]
pub(super) enum Authority {
    /// The operating system's.
    #[default]
    System,
    These(Pem),
}

/// PEM, here or in a file that may change.
#[derive(Clone)]
pub(super) enum Pem {
    Inline(Vec<u8>),
    File(PathBuf),
}

impl Pem {
    /// As it is now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Inline(bytes) => Ok(bytes.clone()),
            Self::File(path) => std::fs::read(path).with_context(|| path.display().to_string()),
        }
    }

    /// For messages.
    pub(super) fn name(&self, field: &str) -> String {
        match self {
            Self::Inline(_) => format!("{field}-data"),
            Self::File(path) => format!("{field} {}", path.display()),
        }
    }
}

/// A key is a secret.
impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// What the `Authorization` header says.
#[derive(Clone, Debug)]
pub(super) enum Token {
    None,
    Fixed(HeaderValue),
    /// A bearer token; the file changes. Where there is none, `instead`.
    File {
        path: PathBuf,
        instead: Option<HeaderValue>,
    },
}

impl Access {
    /// From what the flags name, or else from the pod that this is.
    ///
    /// # Errors
    /// Names the flag, file and field that cannot be used.
    pub(super) fn new(options: &ClientOptions) -> anyhow::Result<Self> {
        let master = options.master.as_deref().filter(|url| !url.is_empty());
        let access = match &options.kubeconfig {
            Some(path) => kubeconfig::read(path, master)?,
            None => match master {
                Some(url) => Self::of_url(url).with_context(|| format!("--master {url:?}"))?,
                None => pod::read().context(
                    "neither --kubeconfig nor --master, and this is not a pod of a cluster",
                )?,
            },
        };
        if access.server.without_scheme {
            tracing::warn!(
                "the API server's address {:?} has no scheme: taken as http://, so without TLS and \
                 without credentials, as client-go does; https:// is to be written",
                access.server.authority()
            );
        }
        Ok(access)
    }

    /// From a kubeconfig's text; the files that it names are beside it.
    #[cfg(feature = "fuzzing")]
    pub(super) fn of_kubeconfig(text: &str, master: Option<&str>) -> anyhow::Result<Self> {
        kubeconfig::of_text(text, master)
    }

    /// Nothing is known but the URL.
    fn of_url(url: &str) -> anyhow::Result<Self> {
        let mut access = Self {
            server: Server::parse(url).map_err(anyhow::Error::msg)?,
            proxy: None,
            tls: Tls::default(),
            token: Token::None,
            headers: Vec::new(),
            namespace: "default".to_owned(),
        };
        access.proxy_of_environment()?;
        access.user_of_url()?;
        Ok(access)
    }

    /// Where no kubeconfig names a proxy.
    fn proxy_of_environment(&mut self) -> anyhow::Result<()> {
        let server = &self.server;
        let environment = Environment::current();
        match environment.proxy(server.scheme(), server.host(), server.port()) {
            Ok(proxy) => self.proxy = proxy,
            Err(unusable) if unusable.ignored => {
                tracing::warn!("no proxy is used: {}", unusable.why);
            }
            Err(unusable) => anyhow::bail!("{}", unusable.why),
        }
        if let Some(proxy) = &self.proxy {
            tracing::info!("the API server is asked through the proxy {proxy}");
        }
        Ok(())
    }

    /// `https://user:password@host`, if there are no other credentials.
    fn user_of_url(&mut self) -> anyhow::Result<()> {
        if let (Token::None, Some((name, password))) = (&self.token, &self.server.user) {
            self.token = Token::Fixed(basic(name, password.as_deref().unwrap_or_default())?);
        }
        Ok(())
    }
}

/// Basic authentication (RFC 7617).
fn basic(name: &str, password: &str) -> anyhow::Result<HeaderValue> {
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {pair}"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A bearer token (RFC 6750).
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}
