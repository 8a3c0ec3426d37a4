//! Which mode serves on this node: the one that is asked for, or nftables where the node cannot have
//! it.

use crate::mode::Mode;
use crate::netlink::flavour::Flavour;
use rules::Counters;
use rules::model::Family;

/// What a node has for one family in mode iptables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offer {
    /// Matches and targets that the kernel lacks.
    pub(super) missing: Vec<&'static str>,
    /// What the kernel has counters for.
    pub(super) counters: Counters,
}

/// What serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) mode: Mode,
    /// What its rules may count in.
    pub(super) counters: Counters,
    /// Why it is not the mode that was asked for, and what to do.
    pub(super) instead: Option<String>,
}

impl Choice {
    /// Mode nftables, as asked for.
    pub(super) fn nftables() -> Self {
        Self {
            mode: Mode::Nftables,
            counters: Counters::default(),
            instead: None,
        }
    }

    /// What serves where mode iptables is asked for: both families by the same mode, whatever one of
    /// them lacks.
    pub(super) fn iptables(flavour: &Flavour, offers: &[(Family, Offer)]) -> Self {
        if let Some(instead) = instead(flavour, offers) {
            return Self {
                instead: Some(instead),
                ..Self::nftables()
            };
        }
        let every = |counted: fn(&Counters) -> bool| {
            offers.iter().all(|(_, offer)| counted(&offer.counters))
        };
        Self {
            mode: Mode::Iptables,
            counters: Counters {
                invalid_dropped: every(|counters| counters.invalid_dropped),
                localhost_nodeports: every(|counters| counters.localhost_nodeports),
            },
            instead: None,
        }
    }
}

/// Why nftables serves instead; `None` if nothing is in the way.
fn instead(flavour: &Flavour, offers: &[(Family, Offer)]) -> Option<String> {
    let (why, remedy) = match flavour {
        Flavour::Legacy { tables } => (
            format!(
                "this node's iptables are legacy, with tables {tables}, and kube-proxy-rs writes \
                 rules of iptables-nft"
            ),
            "switch the node's programs to iptables-nft, and run kube-proxy --cleanup if another \
             kube-proxy left rules in the legacy tables",
        ),
        Flavour::Nft => {
            let (family, offer) = offers.iter().find(|(_, offer)| !offer.missing.is_empty())?;
            (
                format!(
                    "this kernel lacks what its rules of {family} need: {}",
                    offer.missing.join(", ")
                ),
                "have the kernel load nft_compat and the module xt_… of each",
            )
        }
    };
    Some(format!(
        "proxy mode iptables is asked for, but {why}; nftables serves Services instead. To have mode \
         iptables, {remedy}; or set mode nftables to say that this is what is wanted"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTED: Counters = Counters {
        invalid_dropped: true,
        localhost_nodeports: true,
    };

    fn offer(missing: &[&'static str], counters: Counters) -> Offer {
        Offer {
            missing: missing.to_vec(),
            counters,
        }
    }

    fn choice(flavour: &Flavour, four: Offer, six: Offer) -> Choice {
        Choice::iptables(flavour, &[(Family::V4, four), (Family::V6, six)])
    }

    #[test]
    fn iptables_serves_where_nothing_is_in_the_way() {
        let fine = || offer(&[], COUNTED);
        let served = |counters| Choice {
            mode: Mode::Iptables,
            counters,
            instead: None,
        };
        let nft = Flavour::Nft;
        assert_eq!(choice(&nft, fine(), fine()), served(COUNTED));
        let uncounted = offer(&[], Counters::default());
        assert_eq!(choice(&nft, fine(), uncounted), served(Counters::default()));
    }

    #[test]
    fn nftables_serves_in_its_place_and_says_why() {
        let because = |choice: Choice| {
            assert_eq!(choice.mode, Mode::Nftables);
            assert_eq!(choice.counters, Counters::default());
            choice.instead.expect("a reason")
        };
        let fine = || offer(&[], COUNTED);
        let lacks = || offer(&["recent", "DNAT"], COUNTED);
        insta::assert_snapshot!("missing", because(choice(&Flavour::Nft, fine(), lacks())));
        let legacy = Flavour::Legacy {
            tables: "filter, mangle (IPv4)".to_owned(),
        };
        insta::assert_snapshot!("legacy", because(choice(&legacy, lacks(), fine())));
    }
}
