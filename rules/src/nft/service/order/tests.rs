//! Positions in endpoint lists.

use super::keep_order;
use crate::model::EndpointAddr;
use proptest::collection::btree_set;
use proptest::prelude::*;

fn backend(last: u8) -> EndpointAddr {
    EndpointAddr {
        address: std::net::Ipv4Addr::new(10, 0, 0, last).into(),
        port: 80,
    }
}

#[test]
fn a_gap_is_filled_by_a_newcomer_or_by_the_last() {
    let list = |lasts: &[u8]| lasts.iter().copied().map(backend).collect::<Vec<_>>();
    let cases: &[(&[u8], &[u8], &[u8])] = &[
        (&[], &[1, 2], &[1, 2]),
        (&[1, 2, 3], &[1, 2, 3], &[1, 2, 3]),
        (&[1, 2, 3], &[2, 3], &[3, 2]),
        (&[1, 2, 3], &[2, 3, 4], &[4, 2, 3]),
        (&[1, 2, 3], &[3], &[3]),
        (&[1, 2], &[0, 1, 2], &[1, 2, 0]),
        (&[1, 2], &[], &[]),
    ];
    for (before, wanted, after) in cases {
        let kept = keep_order(&list(before), list(wanted));
        assert_eq!(&*kept, &*list(after), "{before:?} → {wanted:?}");
    }
}

proptest! {
    #[test]
    fn kept_order_holds_the_wanted_and_moves_few(
        before in btree_set(0u8..20, 0..12),
        wanted in btree_set(0u8..20, 0..12),
    ) {
        let old: Vec<EndpointAddr> = before.iter().copied().map(backend).collect();
        let new: Vec<EndpointAddr> = wanted.iter().copied().map(backend).collect();
        let kept = keep_order(&old, new.clone());
        let mut sorted = kept.to_vec();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, new);
        // No list with the same members can keep more positions than those
        // that stay minus those that must move into gaps.
        let stay = before.intersection(&wanted).count();
        let same = kept.iter().zip(&old).filter(|(a, b)| a == b).count();
        let beyond = old.iter().skip(kept.len()).filter(|b| kept.contains(b)).count();
        prop_assert_eq!(same, stay - beyond);
    }
}
