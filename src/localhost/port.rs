//! What one port is, whoever listens on it or serves its connections.

use super::limits::Limits;
use rules::localhost::{Choice, Served, address};
use rules::model::{Family, ObjectName};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// What a listener and its connections share.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) family: Family,
    pub(super) address: SocketAddr,
    pub(super) limits: Arc<Limits>,
    pub(super) places: Arc<Semaphore>,
    served: Mutex<(ObjectName, Choice)>,
}

impl Port {
    pub(super) fn new(
        (family, number): (Family, u16),
        served: &Served,
        limits: Arc<Limits>,
    ) -> Arc<Self> {
        Arc::new(Self {
            family,
            address: SocketAddr::new(address(family), number),
            places: Arc::new(Semaphore::new(limits.room.of_one_port)),
            limits,
            served: Mutex::new((served.service.clone(), Choice::new(served))),
        })
    }

    /// Others serve it from now on.
    pub(super) fn update(&self, served: &Served) {
        let (service, choice) = &mut *self.served();
        *service = served.service.clone();
        choice.update(served);
    }

    pub(super) fn choice<T>(&self, ask: impl FnOnce(&mut Choice) -> T) -> T {
        ask(&mut self.served().1)
    }

    pub(super) fn served(&self) -> MutexGuard<'_, (ObjectName, Choice)> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The port as messages name it.
    pub(super) fn words(&self) -> String {
        format!(
            "nodePort {}: listening on {}",
            self.address.port(),
            self.address
        )
    }
}
