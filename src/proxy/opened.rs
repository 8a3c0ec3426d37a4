//! What programs the Services, opened, with what there is to hear from it.

mod iptables;
mod nftables;

use crate::counts::Question;
use crate::mode::Mode;
use crate::netlink::Follower;
use rules::Backend;
use rules::drift::Notice;
use std::io;
use tokio::sync::mpsc;

/// Bunches of notices of what others do between their reader and the sync loop.
const DRIFT_BUFFER: usize = 4;

/// A backend's kernel.
pub(super) struct Opened<B: Backend> {
    pub(super) mode: Mode,
    pub(super) kernel: B::Kernel,
    /// What others do to the rules.
    pub(super) drift: mpsc::Receiver<Vec<Notice>>,
    /// What whoever counts wants to know of the objects.
    pub(super) questions: mpsc::Receiver<Question>,
}

/// Follows what others do to the rules, in a task of its own: a sync under way holds it up no
/// more than it holds up a sync.
fn follow(follower: io::Result<Follower>) -> mpsc::Receiver<Vec<Notice>> {
    // What is not taken stays in the socket, and after that is told as lost.
    let (told, notices) = mpsc::channel(DRIFT_BUFFER);
    match follower {
        Ok(mut follower) => {
            tokio::spawn(async move { while told.send(follower.next().await).await.is_ok() {} });
        }
        Err(error) => tracing::warn!(
            "following changes of the ruleset: {error}; what others do to kube-proxy's rules is \
             mended by the hourly replacement only"
        ),
    }
    notices
}
