//! Removing what kube-proxy of any mode leaves (docs/reference.md#clean-up).
//!
//! Everything goes over netlink, chains of iptables on nf_tables included. Only the tables of
//! legacy iptables have no such door: they are left to `iptables-legacy-save` and
//! `-restore`, where those are installed and `--cleanup` asks for it.

mod legacy;

use crate::mode::Mode;
use crate::netlink::{Nftables, OpenError, iptables, ipvs, nftrace};
use rules::Backend as _;
use rules::model::Family;
use rules::nft::NftBackend;
use std::io;

/// The interface that mode ipvs gives the Services' addresses to.
const IPVS_INTERFACE: &str = "kube-ipvs0";

/// As long as an ipset's name may be; mode ipvs cuts those that are longer.
const IPSET_NAME_MAX: usize = 31;

/// The ipsets of mode ipvs; those of IPv6 have `6-` after the first dash.
const IPSETS: [&str; 17] = [
    "KUBE-LOOP-BACK",
    "KUBE-CLUSTER-IP",
    "KUBE-EXTERNAL-IP",
    "KUBE-EXTERNAL-IP-LOCAL",
    "KUBE-LOAD-BALANCER",
    "KUBE-LOAD-BALANCER-LOCAL",
    "KUBE-LOAD-BALANCER-FW",
    "KUBE-LOAD-BALANCER-SOURCE-IP",
    "KUBE-LOAD-BALANCER-SOURCE-CIDR",
    "KUBE-NODE-PORT-TCP",
    "KUBE-NODE-PORT-LOCAL-TCP",
    "KUBE-NODE-PORT-UDP",
    "KUBE-NODE-PORT-LOCAL-UDP",
    "KUBE-NODE-PORT-SCTP-HASH",
    "KUBE-NODE-PORT-LOCAL-SCTP-HASH",
    "KUBE-HEALTH-CHECK-NODE-PORT",
    "KUBE-IPVS-IPS",
];

/// `--cleanup`: removes the rules of every mode. What is not there is no error.
///
/// # Errors
/// Something is there and could not be removed; each was logged.
pub fn everything() -> anyhow::Result<()> {
    let mut cleaning = Cleaning::default();
    match Nftables::open() {
        Ok(mut kernel) => {
            cleaning.own_tables(&mut kernel);
            cleaning.nf_tables_chains();
            cleaning.traces();
        }
        Err(OpenError::NotSupported(error)) => {
            tracing::info!("this kernel has no nf_tables ({error}): there are no rules in them");
        }
        Err(error) => cleaning.failed("nf_tables", &error),
    }
    for family in Family::ALL {
        for message in legacy::clean(family) {
            match message {
                Ok(done) => tracing::info!("{done}"),
                Err(error) => cleaning.failed("legacy iptables", &error),
            }
        }
    }
    cleaning.ipvs();
    if cleaning.failures.is_empty() {
        tracing::info!("no rules of kube-proxy are left");
        return Ok(());
    }
    for failure in &cleaning.failures {
        tracing::error!("{failure}");
    }
    anyhow::bail!("encountered an error while tearing down rules")
}

/// After the first sync by rules of one kind: removes what other modes may have left, as far as
/// that is possible without running a program. Nothing depends on it, so failures are only logged.
pub fn other_modes(served: Mode) {
    let mut cleaning = Cleaning::default();
    match served {
        Mode::Nftables => cleaning.nf_tables_chains(),
        Mode::Iptables => match Nftables::open() {
            Ok(mut kernel) => cleaning.own_tables(&mut kernel),
            Err(error) => cleaning.failed("nf_tables", &error),
        },
    }
    cleaning.traces();
    cleaning.ipvs();
    for family in Family::ALL {
        if let Some(tables) = legacy::loaded_tables(family) {
            tracing::debug!(
                "{family}: tables of legacy iptables are loaded ({tables}); kube-proxy --cleanup \
                 looks for rules of kube-proxy in them"
            );
        }
    }
    for failure in cleaning.failures {
        tracing::debug!("removing what other modes left: {failure}");
    }
}

#[derive(Default)]
struct Cleaning {
    failures: Vec<String>,
}

impl Cleaning {
    fn failed(&mut self, what: &str, error: &dyn std::fmt::Display) {
        self.failures.push(format!("{what}: {error}"));
    }

    /// What `trace --live` left if it was killed, on kernels that cannot remove it themselves.
    fn traces(&mut self) {
        for family in Family::ALL {
            let what = format!("the tables of {family} by which packets were traced");
            self.removed(&what, nftrace::remove_leftovers(family));
        }
    }

    /// Notes a failure; true if something was there.
    fn removed(&mut self, what: &str, result: io::Result<bool>) -> bool {
        match result {
            Ok(true) => {
                tracing::info!("removed {what}");
                true
            }
            Ok(false) => false,
            Err(error) => {
                self.failed(&format!("removing {what}"), &error);
                false
            }
        }
    }

    fn own_tables(&mut self, kernel: &mut Nftables) {
        for family in Family::ALL {
            let what = format!("table {} kube-proxy", family.nft());
            self.removed(&what, NftBackend::clean_up(kernel, family));
        }
    }

    /// Chains of iptables that nf_tables keeps.
    fn nf_tables_chains(&mut self) {
        for family in Family::ALL {
            match iptables::clean_up(family) {
                Ok(done) => {
                    for line in done.lines {
                        tracing::info!("{line}");
                    }
                }
                Err(error) => {
                    let what = format!("{}: removing chains of iptables", family.nft());
                    self.failed(&what, &error);
                }
            }
        }
    }

    /// The virtual servers go only with kube-proxy's interface: without it they are somebody
    /// else's.
    fn ipvs(&mut self) {
        let what = format!("interface {IPVS_INTERFACE}");
        let there = self.removed(&what, ipvs::delete_interface(IPVS_INTERFACE));
        if there {
            self.removed("all IPVS virtual servers", ipvs::flush_virtual_servers());
        }
        for set in IPSETS {
            let mut six = set.replacen("KUBE-", "KUBE-6-", 1);
            six.truncate(IPSET_NAME_MAX);
            for name in [set, &six] {
                self.removed(&format!("ipset {name}"), ipvs::destroy_ipset(name));
            }
        }
    }
}

#[cfg(test)]
mod tests;
