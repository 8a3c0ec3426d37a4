//! What comes before the loop: which mode serves, and what needs more rights than what comes later.

use super::serving::{Choice, Offer};
use crate::addresses;
use crate::config::MODE_IPTABLES;
use crate::kernel_version;
use crate::mode::Mode;
use crate::netlink::flavour::flavour;
use crate::netlink::{Conntrack, Iptables, Nftables, accounting};
use crate::settings::Settings;
use crate::sysctl::Sysctls;
use anyhow::Context;
use rules::Counters;
use rules::iptables::{INVALID_DROPPED, LOCALHOST_ACCEPTED};
use rules::model::Family;

/// What is to serve, on a node that is set up for it.
pub(super) struct Start {
    /// With what the node was found to have.
    pub(super) settings: Settings,
    pub(super) families: &'static [Family],
    pub(super) kernel: Kernel,
    /// Why it is not the mode that was asked for.
    pub(super) instead: Option<String>,
}

/// What takes the rules of the mode that serves.
pub(super) enum Kernel {
    Nftables(Nftables),
    Iptables(Iptables),
}

impl Kernel {
    pub(super) fn mode(&self) -> Mode {
        match self {
            Self::Nftables(_) => Mode::Nftables,
            Self::Iptables(_) => Mode::Iptables,
        }
    }
}

impl Start {
    /// Decides what serves, and sets what of the kernel's settings is not right yet.
    ///
    /// # Errors
    /// No permission, no nf_tables, or a setting that cannot be written.
    pub(super) fn new(mut settings: Settings) -> anyhow::Result<Self> {
        let families: &'static [Family] = if addresses::has_ipv6() {
            &Family::ALL
        } else {
            &[Family::V4]
        };
        let nftables = Nftables::open()?;
        kernel_version::check()?;
        let asks_for_iptables = settings.config.mode == MODE_IPTABLES;
        let (kernel, choice) = if asks_for_iptables {
            iptables_or(nftables, families)?
        } else {
            (Kernel::Nftables(nftables), Choice::nftables())
        };
        set_up(&mut settings, &choice)?;
        Ok(Self {
            settings,
            families,
            kernel,
            instead: choice.instead,
        })
    }
}

/// Mode iptables, if the node can have it.
fn iptables_or(nftables: Nftables, families: &[Family]) -> anyhow::Result<(Kernel, Choice)> {
    let mut iptables = Iptables::open()?;
    let mut offers = Vec::new();
    for family in families {
        offers.push((*family, offer(&mut iptables, *family)?));
    }
    let flavour = flavour().context("asking the kernel whose this node's iptables are")?;
    let choice = Choice::iptables(&flavour, &offers);
    let kernel = match choice.mode {
        Mode::Iptables => Kernel::Iptables(iptables),
        Mode::Nftables => Kernel::Nftables(nftables),
    };
    Ok((kernel, choice))
}

/// What the node has for a family. What cannot be asked is no answer: a moment's fault must not
/// change what serves.
fn offer(iptables: &mut Iptables, family: Family) -> anyhow::Result<Offer> {
    let support = iptables.support(family).with_context(|| {
        format!("asking the kernel for iptables' matches and targets of {family}")
    })?;
    Ok(Offer {
        missing: support.missing,
        counters: support.counters,
    })
}

fn set_up(settings: &mut Settings, choice: &Choice) -> anyhow::Result<()> {
    let machine = Sysctls::default();
    // Its settings are not there before it is loaded, and nothing on a new node may have asked
    // for it yet. A kernel that can't is told by the first setting that is missing.
    if let Err(error) = Conntrack::open().and_then(|mut conntrack| conntrack.load()) {
        tracing::warn!(
            "this kernel's connection tracking (modules nf_conntrack and nf_conntrack_netlink) is \
             not there or not permitted: {error}; UDP flows that are stale stay until they end"
        );
    }
    machine
        .set_conntrack(&settings.conntrack)
        .context("could not set conntrack parameters from kube-proxy configuration")?;
    let rules = &mut settings.rules;
    if rules.drop_invalid && machine.tcp_is_liberal() {
        rules.drop_invalid = false;
        tracing::info!(
            "nf_conntrack_tcp_be_liberal is set: packets that conntrack calls invalid are forwarded"
        );
    }
    if choice.mode == Mode::Iptables {
        rules.counters = counters(choice.counters);
        if rules.localhost_nodeports {
            machine.route_localnet().context(
                "could not have node ports answer on 127.0.0.1 (iptables.localhostNodePorts)",
            )?;
        }
    }
    Ok(())
}

/// What the rules may count in, of what the kernel has: its counters are made here, whether a rule
/// counts in them or not, as metrics tell of both.
fn counters(found: Counters) -> Counters {
    let none = Counters::default();
    let why = if found == none {
        "this kernel has no match nfacct (module xt_nfacct)".to_owned()
    } else {
        match accounting::ensure(&[INVALID_DROPPED, LOCALHOST_ACCEPTED]) {
            Ok(()) => return found,
            Err(error) => format!("making the kernel's counters: {error}"),
        }
    };
    tracing::warn!(
        "{why}: what is dropped as invalid and what node ports on 127.0.0.1 accept is not counted"
    );
    none
}
