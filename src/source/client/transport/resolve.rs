//! Names to addresses, with a deadline. The C library's resolver knows /etc/hosts, search lists
//! and the options of resolv.conf, but it cannot be interrupted.

use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Semaphore;
use tower::Service;

pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// Look-ups at once. One that hangs keeps a thread until the C library gives up.
const AT_ONCE: usize = 4;

#[derive(Debug, Error)]
pub(crate) enum DnsError {
    #[error("DNS: no answer about {name} within {seconds} s", seconds = LIMIT.as_secs())]
    Silent { name: String },
    #[error("DNS: {name}: {why}")]
    Refused { name: String, why: String },
}

#[derive(Clone)]
pub(super) struct Resolver(Arc<Semaphore>);

impl Resolver {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = DnsError;
    type Future = BoxFuture<'static, Result<Self::Response, DnsError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DnsError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let turns = Arc::clone(&self.0);
        let name = name.as_str().to_owned();
        Box::pin(async move {
            match tokio::time::timeout(LIMIT, look_up(turns, name.clone())).await {
                Ok(Ok(addresses)) if addresses.is_empty() => Err(DnsError::Refused {
                    name,
                    why: "it has no address".to_owned(),
                }),
                Ok(Ok(addresses)) => Ok(addresses.into_iter()),
                Ok(Err(why)) => Err(DnsError::Refused { name, why }),
                Err(_) => Err(DnsError::Silent { name }),
            }
        })
    }
}

async fn look_up(turns: Arc<Semaphore>, name: String) -> Result<Vec<SocketAddr>, String> {
    // The thread has its turn until it is done, whether or not anybody still waits for it.
    let turn = turns
        .acquire_owned()
        .await
        .map_err(|error| error.to_string())?;
    let found = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), 0)).map(Iterator::collect)
    });
    let found = found.await.map_err(|error| error.to_string())?;
    found.map_err(|error| {
        // "failed to lookup address information: Name or service not known"
        let text = error.to_string();
        text.rsplit(": ").next().unwrap_or(&text).to_owned()
    })
}
