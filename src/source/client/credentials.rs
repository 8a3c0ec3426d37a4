//! Who we are, as the files say now.
//!
//! A kubelet renews a pod's token every hour, and tools renew certificates, by
//! replacing files. So the files are read for each request: there are a handful
//! of them an hour, and the next one after a change has to use the new ones.

use super::access::{Access, Pem, Tls, Token, bearer};
use super::tls;
use super::transport::{Target, Transport};
use anyhow::Context;
use http::{HeaderName, HeaderValue, Request};
use kube::client::Body;
use rustls::pki_types::ServerName;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Makes the connection that the next request uses.
pub(super) struct Credentials {
    target: Target,
    tls: Tls,
    token: Token,
    headers: Vec<(HeaderName, HeaderValue)>,
    current: Mutex<Current>,
}

struct Current {
    transport: Transport,
    /// How many pools of connections there were before it.
    number: u64,
    /// Contents of the client certificate's and key's files.
    identity: [Option<Vec<u8>>; 2],
    /// The last token that could be read.
    token: Option<HeaderValue>,
}

impl Credentials {
    /// Reads everything once.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(super) fn new(access: Access) -> anyhow::Result<Self> {
        let token = match &access.token {
            Token::None => None,
            Token::Fixed(token) => Some(token.clone()),
            Token::File { path, instead } => match (read_token(path), instead) {
                (Ok(token), _) => Some(token),
                (Err(_), Some(token)) => Some(token.clone()),
                (Err(error), None) => return Err(error),
            },
        };
        let server_name = access.tls.server_name.clone().map(ServerName::try_from);
        let server_name = server_name.transpose().context("tls-server-name")?;
        let mut target = Target {
            tls: None,
            proxy: access.proxy.map(Arc::new),
            server_name,
            server: Arc::new(access.server),
        };
        let identity = identity(&access.tls);
        target.tls = config(&target, &access.tls)?;
        Ok(Self {
            current: Mutex::new(Current {
                transport: Transport::new(target.clone()),
                number: 0,
                identity,
                token,
            }),
            target,
            tls: access.tls,
            token: access.token,
            headers: access.headers,
        })
    }

    /// A connection with today's certificate, and its number. The request gets today's token.
    pub(super) fn sign(&self, request: &mut Request<Body>) -> (Transport, u64) {
        let mut current = self.lock();
        if let Token::File { path, .. } = &self.token {
            match read_token(path) {
                Ok(token) => current.token = Some(token),
                // The old one may still be good: some remove the file once it was read.
                Err(error) => tracing::debug!("{error:#}"),
            }
        }
        let identity = identity(&self.tls);
        if identity != current.identity {
            match config(&self.target, &self.tls) {
                Ok(tls) => {
                    tracing::info!("the client certificate was renewed");
                    current.transport = Transport::new(Target {
                        tls,
                        ..self.target.clone()
                    });
                    current.number += 1;
                    current.identity = identity;
                }
                // Half of a pair that is being replaced, perhaps; the next request looks again.
                Err(error) => tracing::warn!("the renewed client certificate: {error:#}"),
            }
        }
        let headers = request.headers_mut();
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
        if let Some(token) = &current.token {
            headers.insert(http::header::AUTHORIZATION, token.clone());
        }
        (current.transport.clone(), current.number)
    }

    /// The connections of this number are dead, those that wait in its pool
    /// included: the next request makes one of its own. Answers that are under
    /// way go on.
    pub(super) fn give_up(&self, number: u64) {
        let mut current = self.lock();
        if current.number == number {
            current.transport = current.transport.fresh();
            current.number += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        // Every write is one assignment: what a panicking thread left is whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn config(target: &Target, tls: &Tls) -> anyhow::Result<Option<Arc<rustls::ClientConfig>>> {
    if !target.server.has_tls() {
        return Ok(None);
    }
    Ok(Some(Arc::new(tls::config(tls)?)))
}

/// What the files have; nothing changes otherwise.
fn identity(tls: &Tls) -> [Option<Vec<u8>>; 2] {
    let Some((certificate, key)) = &tls.identity else {
        return [None, None];
    };
    [certificate, key].map(|pem| match pem {
        Pem::Inline(_) => None,
        Pem::File(path) => std::fs::read(path).ok(),
    })
}

fn read_token(path: &Path) -> anyhow::Result<HeaderValue> {
    let name = || format!("token file {}", path.display());
    let text = std::fs::read_to_string(path).with_context(name)?;
    let token = text.trim();
    anyhow::ensure!(!token.is_empty(), "{}: it is empty", name());
    bearer(token).with_context(|| format!("{}: this is no token", name()))
}
