//! Which kind of rules Services become.

use crate::config::{MODE_IPTABLES, MODE_NFTABLES};
use crate::settings::Settings;

/// A backend's kind of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Tables of nf_tables that are called `kube-proxy`.
    Nftables,
    /// Chains of iptables, as upstream's mode of that name makes them.
    Iptables,
}

impl Mode {
    /// The one that settings ask for.
    pub fn of(settings: &Settings) -> Self {
        match settings.config.mode == MODE_IPTABLES {
            true => Self::Iptables,
            false => Self::Nftables,
        }
    }

    /// Its name in the configuration, and in `/proxyMode`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nftables => MODE_NFTABLES,
            Self::Iptables => MODE_IPTABLES,
        }
    }
}
