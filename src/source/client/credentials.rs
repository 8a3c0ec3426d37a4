//! Who we are, as the files say now.
//!
//! A kubelet renews a pod's token every hour, and tools renew certificates, by
//! replacing files. So the files are read for each request: there are a handful
//! of them an hour, and the next one after a change has to use the new ones.

use http::HeaderValue;
use kube::{Client, Config};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Makes the connection that the next request uses.
pub(super) struct Credentials {
    config: Config,
    token_file: Option<PathBuf>,
    current: Mutex<Current>,
}

struct Current {
    client: Client,
    /// How many clients there were before it.
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
    pub(super) fn new(mut config: Config) -> anyhow::Result<Self> {
        // The token is set here: kube would take it up to a minute late, and not
        // at all if the file ends with a newline.
        let token_file = config.auth_info.token_file.take().map(PathBuf::from);
        let token = token_file.as_deref().map(read_token).transpose()?;
        if token_file.is_some() {
            config.auth_info.token = None;
        }
        let current = Mutex::new(Current {
            client: Client::try_from(config.clone())?,
            number: 0,
            identity: identity(&config),
            token,
        });
        Ok(Self {
            config,
            token_file,
            current,
        })
    }

    /// A connection with today's certificate, its number, and today's token for
    /// the `Authorization` header.
    pub(super) fn now(&self) -> (Client, u64, Option<HeaderValue>) {
        let mut current = self.lock();
        if let Some(path) = &self.token_file {
            match read_token(path) {
                Ok(token) => current.token = Some(token),
                // The old one may still be good: some remove the file once it was read.
                Err(error) => tracing::debug!("{error:#}"),
            }
        }
        let identity = identity(&self.config);
        if identity != current.identity {
            match Client::try_from(self.config.clone()) {
                Ok(client) => {
                    tracing::info!("the client certificate was renewed");
                    current.client = client;
                    current.number += 1;
                    current.identity = identity;
                }
                // Half of a pair that is being replaced, perhaps; the next request looks again.
                Err(error) => tracing::warn!("the renewed client certificate: {error}"),
            }
        }
        (
            current.client.clone(),
            current.number,
            current.token.clone(),
        )
    }

    /// The connections of this number are dead, those that wait in its pool
    /// included: the next request makes one of its own. Answers that are under
    /// way go on.
    pub(super) fn give_up(&self, number: u64) {
        let mut current = self.lock();
        if current.number != number {
            return;
        }
        match Client::try_from(self.config.clone()) {
            Ok(client) => {
                current.client = client;
                current.number += 1;
            }
            // The old one makes new connections as well, when its own have timed out.
            Err(error) => tracing::warn!("a new connection to the API server: {error}"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        // Every write is one assignment: what a panicking thread left is whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn identity(config: &Config) -> [Option<Vec<u8>>; 2] {
    let user = &config.auth_info;
    [&user.client_certificate, &user.client_key].map(|file| std::fs::read(file.as_ref()?).ok())
}

fn read_token(path: &Path) -> anyhow::Result<HeaderValue> {
    use anyhow::Context;
    let name = || format!("token file {}", path.display());
    let text = std::fs::read_to_string(path).with_context(name)?;
    let token = text.trim();
    anyhow::ensure!(!token.is_empty(), "{}: it is empty", name());
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .with_context(|| format!("{}: this is no token", name()))?;
    value.set_sensitive(true);
    Ok(value)
}
