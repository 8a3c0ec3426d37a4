//! Who edits once is mended at once, who goes on waits longer and longer.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn edit(what: What, name: &str) -> Edit {
    Edit {
        family: Family::V4,
        table: None,
        added: false,
        what,
        name: name.to_owned(),
        count: 1,
    }
}

fn change(process: &str, edits: Vec<Edit>) -> ForeignChange {
    ForeignChange {
        generation: 7,
        pid: 42,
        process: process.to_owned(),
        edits,
        upstream: false,
    }
}

/// Edits again `gap` after each repair; how long each repair waits.
fn waits(change: &ForeignChange, count: usize, gap: Duration) -> Vec<Duration> {
    let mut contest = Contest::default();
    let mut now = Instant::now();
    let one = |_| {
        now += gap;
        let suspicion = contest.changed(change, now);
        let wait = suspicion.due - now;
        now = suspicion.due;
        contest.repaired(&suspicion, now);
        wait
    };
    (0..count).map(one).collect()
}

#[test]
fn the_same_edit_again_and_again_waits_longer_and_longer() {
    let flush = change("nft", vec![edit(What::Rule, "services")]);
    let waits = waits(&flush, 30, SECOND / 10);
    assert!(
        waits[..=SAME].iter().all(|wait| *wait < SECOND),
        "{waits:?}"
    );
    let after = &waits[SAME + 1..SAME + 8];
    assert!(after.is_sorted() && after[1] > SECOND / 2, "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= LONGEST), "{waits:?}");
    let total: Duration = waits.iter().sum();
    assert!(total > 10 * LONGEST, "no war: {waits:?}");
}

#[test]
fn rare_edits_and_different_ones_are_mended_at_once() {
    let flush = change("nft", vec![edit(What::Rule, "services")]);
    let rare = waits(&flush, 40, 2 * LONGEST);
    assert!(rare.iter().all(|wait| *wait == SETTLE), "{rare:?}");
    let mut contest = Contest::default();
    let mut now = Instant::now();
    for n in 0..ALL {
        let change = change("nft", vec![edit(What::Chain, &format!("chain-{n}"))]);
        let suspicion = contest.changed(&change, now);
        assert_eq!(suspicion.due, now + SETTLE, "{n}");
        contest.repaired(&suspicion, suspicion.due);
        now = suspicion.due + SECOND / 10;
    }
    for n in 0..5 {
        let change = change("fuzzer", vec![edit(What::Set, &format!("set-{n}"))]);
        let suspicion = contest.changed(&change, now);
        now = suspicion.due;
        contest.repaired(&suspicion, now);
    }
    let last = change("fuzzer", vec![edit(What::Set, "another")]);
    assert!(contest.changed(&last, now).paused, "bounded all the same");
}

#[test]
fn it_is_forgotten_after_a_while() {
    let flush = change("nft", vec![edit(What::Rule, "services")]);
    let mut contest = Contest::default();
    let start = Instant::now();
    let suspicion = contest.lost(start);
    for _ in 0..200 {
        contest.repaired(&suspicion, start);
    }
    assert!(contest.repairs.len() <= ALL + 33, "bounded");
    assert!(contest.lost(start).paused);
    let later = start + WINDOW;
    assert_eq!(contest.changed(&flush, later).due, later + SETTLE);
}

#[test]
fn another_proxy_is_given_way_and_changes_of_ours_are_not_held_up() {
    let ours = change("kube-proxy", vec![edit(What::Table, "kube-proxy")]);
    let waits = waits(&ours, 9, SETTLE_PROXY);
    assert_eq!(waits[0], SETTLE_PROXY);
    assert!(
        waits[2..].is_sorted() && waits[6] > 10 * SECOND,
        "{waits:?}"
    );
    let mut contest = Contest::default();
    let mut now = Instant::now();
    for _ in 0..20 {
        let suspicion = contest.refused(now);
        assert!(suspicion.due - now <= LONGEST_REFUSED);
        now = suspicion.due;
        contest.repaired(&suspicion, now);
    }
    assert_eq!(contest.refused(now).due - now, LONGEST_REFUSED);
}

#[test]
fn a_change_is_told_in_a_line() {
    let mut flush = change("nft", vec![edit(What::Rule, "services")]);
    flush.edits[0].count = 3;
    flush.edits.push(Edit {
        added: true,
        family: Family::V6,
        ..edit(What::Table, "kube-proxy")
    });
    assert_eq!(
        flush.to_string(),
        "nft (pid 42): deleted 3 ip rules (services), set 1 ip6 table"
    );
    assert!(flush.touches(Family::V4) && flush.touches(Family::V6));
    let odd = change("x\n\u{1b}", vec![edit(What::Chain, "a\nb")]);
    assert!(!odd.to_string().contains('\n'), "{odd}");
    let upstream = ForeignChange {
        upstream: true,
        ..change("nft", vec![edit(What::Set, "service-ips")])
    };
    assert!(
        upstream
            .to_string()
            .starts_with("another kube-proxy, nft (pid 42)")
    );
}

#[test]
fn what_is_to_be_mended_is_jumps_or_rules_whichever_is_more() {
    let jump = Edit {
        table: Some("nat"),
        ..edit(What::Jump, "PREROUTING")
    };
    let rule = Edit {
        table: Some("nat"),
        ..edit(What::Rule, "KUBE-SERVICES")
    };
    let jumps = change("iptables", vec![jump.clone()]);
    assert_eq!(
        jumps.to_string(),
        "iptables (pid 42): deleted 1 ip nat jump (PREROUTING)"
    );
    let both = change("iptables", vec![jump, rule]);
    assert_eq!(jumps.damage(), Damage::Jumps);
    assert_eq!(both.damage(), Damage::Rules);
    let contest = Contest::default();
    let now = Instant::now();
    let soon = contest.changed(&jumps, now);
    let later = contest.changed(&both, now + SECOND);
    for together in [soon.and(later), later.and(soon)] {
        assert_eq!((together.due, together.damage), (soon.due, Damage::Rules));
    }
    assert_eq!(contest.lost(now).damage, Damage::Rules);
}
