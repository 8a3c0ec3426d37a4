//! An API server that misbehaves on demand: the four kinds that a proxy follows, over TLS, with
//! streamed lists, pages, watches by resourceVersion and bookmarks, and faults that the real one
//! can't be asked for.
//!
//! It keeps the protocol of <https://kubernetes.io/docs/reference/using-api/api-concepts/> as far
//! as clients of these kinds meet it; what it stores is not validated.

mod answer;
mod behaviour;
mod connections;
mod serve;
mod store;
mod watches;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::sync::watch;

use crate::address::CONTROL;
use crate::controlplane::Certificates;
use crate::{Lost, Namespace, black_hole};
pub use behaviour::{Behaviour, Kind};
use connections::Connections;
pub use store::Requests;
use store::Store;

/// The port that it listens on.
pub const PORT: u16 = 6443;

/// A fake API server in a namespace; stopped with the value.
pub struct FakeApi {
    shared: Arc<Shared>,
    namespace: String,
    directory: PathBuf,
    authority: PathBuf,
    thread: Option<JoinHandle<Result<()>>>,
}

/// What its tasks and its owner share.
struct Shared {
    store: Mutex<Store>,
    behaviour: Mutex<Behaviour>,
    connections: Mutex<Connections>,
    /// The last resourceVersion; watches wait for it to change.
    version: watch::Sender<u64>,
    /// Counts the times that all watches were ended in order.
    ended: watch::Sender<u64>,
    phase: watch::Sender<Phase>,
}

/// Whether it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closed,
    Stopped,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn behaviour(&self) -> Behaviour {
        let behaviour = self.behaviour.lock();
        behaviour.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        let connections = self.connections.lock();
        connections.unwrap_or_else(PoisonError::into_inner)
    }
}

impl FakeApi {
    /// Starts it in `namespace`, which has the address [`CONTROL`]. Its certificates and the
    /// kubeconfigs for it go to `directory`.
    ///
    /// # Errors
    /// If a certificate can't be made or the port is taken.
    pub fn start(namespace: &Namespace, directory: &Path) -> Result<Self> {
        let certificates = Certificates::create(directory)?;
        let tls = serve::tls(&certificates)?;
        let shared = Arc::new(Shared {
            store: Mutex::default(),
            behaviour: Mutex::default(),
            connections: Mutex::default(),
            version: watch::Sender::new(store::FIRST_VERSION),
            ended: watch::Sender::new(0),
            phase: watch::Sender::new(Phase::Open),
        });
        let address = SocketAddr::new(IpAddr::V4(CONTROL.v4), PORT);
        let served = Arc::clone(&shared);
        let thread = namespace.spawn("fake API", move || serve::run(served, address, tls))?;
        Ok(Self {
            shared,
            namespace: namespace.name().to_owned(),
            directory: directory.to_owned(),
            authority: certificates.authority,
            thread: Some(thread),
        })
    }

    /// A kubeconfig that names the server as `host:port`, and a forward proxy if there is one.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn kubeconfig(&self, name: &str, server: &str, proxy: Option<&str>) -> Result<PathBuf> {
        let mut cluster = serde_json::json!({
            "server": format!("https://{server}"),
            "certificate-authority": self.authority,
        });
        if let Some(proxy) = proxy {
            cluster["proxy-url"] = proxy.into();
        }
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": cluster}],
            "users": [{"name": "proxy", "user": {"token": "proxy"}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "proxy"}}],
            "current-context": "fake",
        });
        let path = self.directory.join(format!("{name}.kubeconfig"));
        std::fs::write(&path, format!("{config:#}"))
            .with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// Creates or changes an object, and tells every watch.
    pub fn put(&self, object: Value) {
        self.put_all([object]);
    }

    /// [`FakeApi::put`] for many.
    pub fn put_all(&self, objects: impl IntoIterator<Item = Value>) {
        let mut store = self.shared.store();
        for object in objects {
            store.put(object);
        }
        self.shared.version.send_replace(store.version());
    }

    /// Deletes an object, given as it was put, and tells every watch.
    pub fn delete(&self, object: &Value) {
        let mut store = self.shared.store();
        store.delete(object);
        self.shared.version.send_replace(store.version());
    }

    /// All objects.
    pub fn objects(&self) -> Vec<Value> {
        self.shared.store().objects()
    }

    /// Forgets what changed, as etcd does when it compacts: a watch from before answers 410.
    pub fn compact(&self) {
        self.shared.store().compact();
    }

    /// Changes how requests and connections are treated from now on; those that are held already
    /// stay so.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        let behaviour = self.shared.behaviour.lock();
        change(&mut behaviour.unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends all watches in order, as when their time is up.
    pub fn end_watches(&self) {
        self.shared.ended.send_modify(|times| *times += 1);
    }

    /// Resets all connections.
    pub fn reset_connections(&self) {
        self.shared.connections().abort_all();
    }

    /// No longer listens, and resets all connections.
    pub fn close(&self) {
        self.shared.phase.send_replace(Phase::Closed);
        self.reset_connections();
    }

    /// Listens again.
    pub fn open(&self) {
        self.shared.phase.send_replace(Phase::Open);
    }

    /// Is gone for all connections that there are, as a machine that lost its power: nothing of
    /// them is answered any more, not by a reset either. New ones meet a server that works.
    ///
    /// # Errors
    /// If the packet filter of its namespace refuses.
    pub fn vanish(&self) -> Result<()> {
        let ports = self.shared.connections().ports();
        black_hole(&self.namespace, PORT, &ports, Lost::All)?;
        // Their sockets end without a packet that anybody sees.
        self.shared.connections().abort(&ports);
        Ok(())
    }

    /// Ends all watches in order and is gone before the next request on their connections, which
    /// clients have put by for that.
    ///
    /// # Errors
    /// As [`FakeApi::vanish`].
    pub fn vanish_between_requests(&self) -> Result<()> {
        let ports = self.shared.connections().ports();
        black_hole(&self.namespace, PORT, &ports, Lost::Requests)?;
        self.end_watches();
        std::thread::sleep(Duration::from_millis(300));
        black_hole(&self.namespace, PORT, &ports, Lost::All)?;
        self.shared.connections().abort(&ports);
        Ok(())
    }

    /// What was asked so far.
    pub fn requests(&self) -> Requests {
        self.shared.store().requests()
    }

    /// The Events of the API that were posted, in their order.
    pub fn events(&self) -> Vec<Value> {
        self.shared.store().events()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.connections().ports().len()
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        self.shared.phase.send_replace(Phase::Stopped);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
