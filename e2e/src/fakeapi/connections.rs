//! The connections that there are, by the client's port.

use std::collections::BTreeMap;

use tokio::task::AbortHandle;

/// Of one client machine: its ports tell connections apart.
#[derive(Default)]
pub(super) struct Connections(BTreeMap<u16, AbortHandle>);

impl Connections {
    pub(super) fn add(&mut self, port: u16, task: AbortHandle) {
        self.0.insert(port, task);
        self.0.retain(|_, task| !task.is_finished());
    }

    pub(super) fn ports(&self) -> Vec<u16> {
        let live = self.0.iter().filter(|(_, task)| !task.is_finished());
        live.map(|(port, _)| *port).collect()
    }

    pub(super) fn abort(&mut self, ports: &[u16]) {
        for port in ports {
            if let Some(task) = self.0.remove(port) {
                task.abort();
            }
        }
    }

    pub(super) fn abort_all(&mut self) {
        for task in std::mem::take(&mut self.0).into_values() {
            task.abort();
        }
    }
}
