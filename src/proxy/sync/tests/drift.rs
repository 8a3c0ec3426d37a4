//! What others do to the table leads to a replacement, of the family that they touched.

use super::*;
use rules::Commit;
use rules::nft::drift::{Edit, ForeignChange, Notice, What};
use rules::nft::ruleset::ChainId;
use rules::nft::table::Poisoned;

fn change(families: &[Family], generation: u32) -> Notice {
    let edit = |family: &Family| Edit {
        family: *family,
        added: false,
        what: What::Rule,
        name: "services".to_owned(),
        count: 1,
    };
    Notice::Changed(ForeignChange {
        generation,
        pid: 42,
        process: "nft".to_owned(),
        edits: families.iter().map(edit).collect(),
        upstream: false,
    })
}

/// A syncer that has written both tables, as generations 1 and 2.
fn synced(runtime: &tokio::runtime::Runtime, reports: &Reports) -> Syncer<Poisoned> {
    let kernel = Poisoned {
        commit: Commit {
            generation: Some(2),
            unseen: None,
        },
        ..Poisoned::default()
    };
    let mut syncer = syncer_with(
        &["--proxy-mode=nftables"],
        kernel,
        &Family::ALL,
        &Arc::default(),
        reports,
        runtime,
    );
    syncer.apply(service(Protocol::Tcp, 80));
    assert!(syncer.sync().is_ok());
    syncer
}

/// Flushes a chain of both tables.
fn flush(syncer: &mut Syncer<Poisoned>) {
    for table in syncer.kernel.tables.values_mut() {
        let chain = table.chains.get_mut(&ChainId::Fixed("services"));
        chain.expect("it is there").rules.clear();
    }
}

fn whole(syncer: &Syncer<Poisoned>, family: Family) -> bool {
    let chain = &syncer.kernel.tables[&family].chains[&ChainId::Fixed("services")];
    !chain.rules.is_empty()
}

fn pass(syncer: &mut Syncer<Poisoned>) {
    let due = syncer.next_look().expect("something to mend");
    let soon = Instant::now() + Duration::from_secs(1);
    assert!(due < soon, "within a second");
    for own in &mut syncer.families {
        own.look(due);
    }
    assert!(syncer.sync().is_ok());
}

#[test]
fn the_family_that_was_touched_is_replaced_soon() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let reports = reports(Events::nowhere());
    let mut syncer = synced(&runtime, &reports);
    flush(&mut syncer);
    syncer.noticed(vec![change(&[Family::V6], 3)], Instant::now());
    pass(&mut syncer);
    assert!(whole(&syncer, Family::V6));
    assert!(!whole(&syncer, Family::V4), "nobody told of that one");
    syncer.noticed(vec![Notice::Lost], Instant::now());
    pass(&mut syncer);
    assert!(whole(&syncer, Family::V4));
    let drift = "kubeproxyrs_drift_total{ip_family=\"IPv6\"}";
    assert_eq!(value(&reports.metrics, drift), Some(1.0));
}

#[test]
fn what_was_overwritten_already_is_no_reason() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let reports = reports(Events::nowhere());
    let mut syncer = synced(&runtime, &reports);
    syncer.noticed(vec![change(&Family::ALL, 1)], Instant::now());
    let hour = Instant::now() + Duration::from_secs(50 * 60);
    assert!(
        syncer.next_look().is_some_and(|at| at > hour),
        "the backstop alone"
    );
    let hour = hour + Duration::from_secs(10 * 60);
    assert!(syncer.next_look().is_some_and(|at| at < hour));
}

#[test]
fn what_nobody_saw_is_looked_at_again_ever_more_rarely() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let reports = reports(Events::nowhere());
    let mut syncer = synced(&runtime, &reports);
    syncer.kernel.commit.unseen = Some(true);
    let mut pauses = Vec::new();
    syncer.families[0].planner.distrust();
    for _ in 0..4 {
        assert!(syncer.sync().is_ok());
        let due = syncer.families[0].next_look().expect("another look");
        pauses.push(due - Instant::now());
        syncer.families[0].look(due);
    }
    let grows = pauses.windows(2).all(|two| two[1] > 3 * two[0]);
    assert!(grows && pauses[0] <= Duration::from_secs(1), "{pauses:?}");
}

#[test]
fn a_refusal_in_one_family_checks_the_other() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let reports = reports(Events::nowhere());
    let mut syncer = synced(&runtime, &reports);
    syncer.kernel.tables.clear();
    syncer.apply(service(Protocol::Tcp, 81));
    assert!(syncer.sync().is_ok(), "replaced at once");
    assert!(whole(&syncer, Family::V4));
    assert!(!syncer.kernel.tables.contains_key(&Family::V6));
    pass(&mut syncer);
    assert!(whole(&syncer, Family::V6));
}
