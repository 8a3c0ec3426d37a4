//! Which kind of rules Services become.

use crate::config::{MODE_IPTABLES, MODE_NFTABLES};

/// A backend's kind of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Tables of nf_tables that are called `kube-proxy`.
    Nftables,
    /// Chains of iptables, as upstream's mode of that name makes them.
    #[cfg_attr(not(test), expect(dead_code, reason = "nftables serves mode iptables"))]
    Iptables,
}

impl Mode {
    /// Its name in the configuration, and in `/proxyMode`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nftables => MODE_NFTABLES,
            Self::Iptables => MODE_IPTABLES,
        }
    }
}
