//! The addresses of the node's interfaces, listed when they may have changed.

use crate::netlink::interfaces::Watch;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Lists them.
pub(super) type List = Box<dyn FnMut() -> io::Result<Vec<IpAddr>> + Send>;

/// The addresses as they were listed last.
pub(super) struct LocalAddresses {
    list: List,
    known: Vec<IpAddr>,
    /// They are still that, as far as anybody told.
    are_current: bool,
    /// What was warned about, to say it once.
    warned: BTreeSet<String>,
}

impl LocalAddresses {
    /// Nothing is listed yet.
    pub(super) fn new(list: List) -> Self {
        Self {
            list,
            known: Vec::new(),
            are_current: false,
            warned: BTreeSet::new(),
        }
    }

    /// As far as they are known.
    pub(super) fn known(&self) -> &[IpAddr] {
        &self.known
    }

    /// Whether nothing has changed since they were listed, as far as anybody told.
    pub(super) fn are_current(&self) -> bool {
        self.are_current
    }

    /// They may be others now; true if they are, or nobody can tell.
    pub(super) fn may_differ(&mut self) -> bool {
        let before = self.known.clone();
        self.are_current = false;
        self.refresh();
        !self.are_current || self.known != before
    }

    /// Lists them unless they are current.
    pub(super) fn refresh(&mut self) {
        if self.are_current {
            return;
        }
        match (self.list)() {
            Ok(addresses) => {
                self.known = addresses;
                self.are_current = true;
            }
            Err(error) => {
                let message = format!("listing the interfaces' addresses: {error}");
                if self.warned.insert(message.clone()) {
                    tracing::warn!("{message}; going on with those that are known");
                }
            }
        }
    }
}

/// Tells when the node's addresses may be others, by a task of its own.
pub(super) fn follow(mut watch: Watch) -> mpsc::Receiver<()> {
    // One word that waits says it of all that happened before it is heard.
    let (told, changes) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            watch.changed().await;
            if let Err(TrySendError::Closed(())) = told.try_send(()) {
                break;
            }
        }
    });
    changes
}
