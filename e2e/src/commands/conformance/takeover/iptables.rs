//! The take-overs of mode iptables: chains have upstream's names, so that whoever comes refills what
//! is there; between the modes ours removes the other's rules once its own are through.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::wait;

use super::clients::Affinity;
use super::objects::{left, names, none};
use super::{IPTABLES, OURS, Services, UPSTREAM, swap};
use crate::conformance::rig::{DETECTION, Rig};
use crate::conformance::run::Row;
use crate::conformance::texts;
use crate::mode::Mode;

const NFTABLES: [&str; 4] = [DETECTION[0], DETECTION[1], "--proxy-mode", "nftables"];
/// What is stale goes with a sync after the one that no more needs it.
const LIMIT: Duration = Duration::from_secs(10);
/// Chains that are the kubelet's as well: upstream's clean-up leaves them too.
const SHARED: [&str; 2] = ["KUBE-FIREWALL", "KUBE-KUBELET-CANARY"];

/// A change of what runs on the node.
struct Swap {
    name: &'static str,
    to: usize,
    mode: Mode,
    /// What clients with affinity find. Without clients where upstream comes in another mode: it
    /// clears the rules away before it has its own, and a part of a second's connections fail.
    clients: Option<Affinity>,
}

const SWAPS: [Swap; 9] = {
    use Affinity::{OneAgain, Stays};
    use Mode::{Iptables, Nftables};
    [
        Swap::new("from-upstream", OURS, Iptables, Some(Stays)),
        Swap::new("back-to-upstream", UPSTREAM, Iptables, Some(Stays)),
        Swap::new("from-upstream-again", OURS, Iptables, Some(Stays)),
        Swap::new("to-nftables", OURS, Nftables, Some(OneAgain)),
        Swap::new("from-nftables", OURS, Iptables, Some(OneAgain)),
        Swap::new("to-upstreams-nftables", UPSTREAM, Nftables, None),
        Swap::new("from-upstreams-nftables", OURS, Iptables, Some(OneAgain)),
        Swap::new("to-nftables-again", OURS, Nftables, Some(OneAgain)),
        Swap::new("back-to-upstream-from-nftables", UPSTREAM, Iptables, None),
    ]
};

impl Swap {
    const fn new(name: &'static str, to: usize, mode: Mode, clients: Option<Affinity>) -> Self {
        Self {
            name,
            to,
            mode,
            clients,
        }
    }

    fn flags(&self) -> &'static [&'static str] {
        match self.mode {
            Mode::Nftables => &NFTABLES,
            Mode::Iptables => &IPTABLES,
        }
    }
}

/// All of them, one after the other, on a node that upstream began with. `fresh` are the objects of
/// a start from nothing in mode iptables.
pub(super) fn course(
    rig: &mut Rig,
    services: &Services,
    fresh: &[BTreeSet<String>; 2],
) -> Result<Vec<Row>> {
    let mut rows = texts::compare(rig, "takeover/before")?;
    for own in &SWAPS {
        match own.clients {
            Some(affinity) => {
                let to = (own.to, own.flags());
                rows.extend(swap(rig, services, own.name, to, affinity)?);
            }
            None => {
                let program = rig.programs[own.to].clone();
                rig.sides[UPSTREAM].start_proxy(&program, own.flags())?;
                rig.settle()?;
            }
        }
        rows.push(nothing_left(rig, own, &fresh[own.to])?);
        if own.mode == Mode::Iptables {
            rows.extend(texts::compare(rig, &format!("takeover/{}", own.name))?);
        }
    }
    Ok(rows)
}

/// A row for what is there of the proxy before.
fn nothing_left(rig: &Rig, own: &Swap, fresh: &BTreeSet<String>) -> Result<Row> {
    let mut after = Vec::new();
    let gone = wait::until("what was there before to go", LIMIT, || {
        let side = &rig.sides[UPSTREAM];
        after = match own.mode {
            Mode::Iptables => left(side, fresh)?,
            Mode::Nftables => names(side)?
                .into_iter()
                .filter(|name| is_kube(name))
                .collect(),
        };
        ensure!(after.is_empty(), "{} objects", after.len());
        Ok(())
    });
    // Otherwise nobody could look.
    if after.is_empty() {
        gone?;
    }
    Ok(none(own.name, "left", &after))
}

/// Whether a name of an object is that of one of kube-proxy's chains in iptables' tables.
fn is_kube(name: &str) -> bool {
    let chain = name.split_once("/chain ").map_or("", |(_, chain)| chain);
    chain.starts_with("KUBE-") && !SHARED.contains(&chain)
}

#[cfg(test)]
mod tests {
    use super::is_kube;

    #[test]
    fn chains_of_the_kubelet_are_not_ours() {
        assert!(is_kube("ip nat/chain KUBE-SERVICES"));
        assert!(!is_kube("ip filter/chain KUBE-FIREWALL") && !is_kube("ip filter/chain INPUT"));
        assert!(!is_kube("ip kube-proxy/chain services") && !is_kube("ip kube-proxy"));
    }
}
