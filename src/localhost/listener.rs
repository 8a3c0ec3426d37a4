//! One port: its socket, and the connections that it takes.

use super::connection;
use super::port::Port;
use crate::http::is_the_connections;
use rules::model::Family;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Between two attempts to listen on a port that is taken.
const BIND_RETRY: Duration = Duration::from_secs(5);
/// Between two attempts to accept a connection while that is impossible.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;

impl Port {
    /// Listens at once.
    fn listen(&self) -> io::Result<Listening> {
        let listeners = self.limits.listeners.clone();
        let place = listeners.try_acquire_owned().map_err(|_| {
            io::Error::other(format!(
                "the limit of file descriptors (RLIMIT_NOFILE) has room for {} of these listeners",
                self.limits.room.listeners
            ))
        })?;
        let socket = match self.family {
            Family::V4 => TcpSocket::new_v4(),
            Family::V6 => TcpSocket::new_v6(),
        }?;
        // Connections of an earlier process may be in their last minute.
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        let socket = socket.listen(BACKLOG)?;
        Ok(Listening {
            socket,
            _place: place,
            _counted: self.limits.metrics.listening(self.family),
        })
    }

    /// Tries until the kernel gives the address. Says when it does, and when there is another
    /// reason than before.
    async fn until_it_listens(&self, mut reason: String) -> Listening {
        loop {
            sleep(BIND_RETRY).await;
            let text = match self.listen() {
                Ok(listening) => {
                    let service = &self.served().0;
                    tracing::info!("Service {service}: {} now", self.words());
                    return listening;
                }
                Err(error) => error.to_string(),
            };
            self.limits.metrics.failed_to_listen(self.family);
            if reason != text {
                let service = &self.served().0;
                tracing::warn!("Service {service}: {}: {text}; trying again", self.words());
                reason = text;
            }
        }
    }

    /// Takes connections for ever.
    async fn accept_all(self: Arc<Self>, listening: Listening) {
        loop {
            // The next ones wait in the kernel.
            let own = self.limits.of_port(&self.places, || self.words()).await;
            let client = self.accept(&listening.socket).await;
            let of_all = self.limits.connection().await;
            let port = self.clone();
            tokio::spawn(async move {
                connection::serve(client, &port).await;
                drop((own, of_all));
            });
        }
    }

    async fn accept(&self, listener: &TcpListener) -> TcpStream {
        loop {
            match listener.accept().await {
                Ok((client, _)) => return client,
                Err(error) if is_the_connections(&error) => {}
                Err(error) => {
                    self.limits.failed(&error);
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// A socket, its place among the others, and its part in the gauge.
#[derive(Debug)]
struct Listening {
    socket: TcpListener,
    _place: OwnedSemaphorePermit,
    _counted: crate::metrics::Counted,
}

/// A port that is listened on, or about to be; closed when dropped.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) port: Arc<Port>,
    task: JoinHandle<()>,
}

impl Listener {
    /// A listener, and what kept it from listening at once.
    pub(super) fn start(port: Arc<Port>) -> (Self, Option<String>) {
        let listening = port.listen().map_err(|error| error.to_string());
        let problem = listening.as_ref().err().cloned();
        let problem = problem.map(|error| {
            port.limits.metrics.failed_to_listen(port.family);
            format!("{}: {error}", port.words())
        });
        let own = port.clone();
        let task = tokio::spawn(async move {
            let listening = match listening {
                Ok(listening) => listening,
                Err(reason) => own.until_it_listens(reason).await,
            };
            own.accept_all(listening).await;
        });
        (Self { port, task }, problem)
    }

    /// Closes it; its place and its address are free then.
    pub(super) async fn close(mut self) {
        self.task.abort();
        // That it was aborted is no news.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
