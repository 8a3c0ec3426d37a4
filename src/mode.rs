//! Which kind of rules Services become.

/// A backend's kind of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Tables of nf_tables that are called `kube-proxy`.
    Nftables,
    /// Chains of iptables, as upstream's mode of that name makes them.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "nftables serves mode iptables; clean-up knows both"
        )
    )]
    Iptables,
}
