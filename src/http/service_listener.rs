//! Sockets of health check node ports: as many as there are descriptors for, and what cannot be
//! had now is waited for.

use super::BIND_RETRY;
use super::listen::listen;
use rules::model::ObjectName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// A place among the listeners, and the socket that has it.
pub(super) type Listening = (OwnedSemaphorePermit, TcpListener);

/// Places for listening sockets; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Listeners {
    places: Arc<Semaphore>,
    capacity: usize,
}

impl Listeners {
    /// So many at once.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(capacity)),
            capacity,
        }
    }

    /// Listens at once; inside a runtime.
    ///
    /// # Errors
    /// There is no place left, or the kernel refuses the address.
    pub(super) fn listen(&self, address: SocketAddr) -> io::Result<Listening> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            io::Error::other(format!(
                "the limit of file descriptors (RLIMIT_NOFILE) has room for {} of these servers",
                self.capacity
            ))
        })?;
        Ok((place, listen(address, true)?))
    }
}

/// A server that could not listen.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) listeners: Listeners,
    pub(super) service: ObjectName,
    pub(super) address: SocketAddr,
    /// Why not, as has been said.
    pub(super) reason: String,
    /// Something has happened that may have made way.
    pub(super) try_now: Arc<Notify>,
}

impl Waiting {
    /// Waits for a place, and tries until the kernel gives the address. Says when it does, and
    /// when there is another reason than before.
    pub(super) async fn until_it_listens(mut self) -> Listening {
        let (service, address) = (&self.service, self.address);
        loop {
            // Never closed.
            let Ok(place) = self.listeners.places.clone().acquire_owned().await else {
                return std::future::pending().await;
            };
            match listen(address, true) {
                Ok(listener) => {
                    tracing::info!(
                        "Service {service}: healthCheckNodePort: listening on {address} now"
                    );
                    return (place, listener);
                }
                Err(error) => {
                    let text = error.to_string();
                    if self.reason != text {
                        tracing::warn!(
                            "Service {service}: healthCheckNodePort: listening on {address}: \
                             {text}; trying again"
                        );
                    }
                    self.reason = text;
                }
            }
            drop(place);
            let _ = tokio::time::timeout(BIND_RETRY, self.try_now.notified()).await;
        }
    }
}
