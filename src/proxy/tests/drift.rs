//! What others do to the table leads to a replacement, of the family that they touched.

use super::*;
use rules::Commit;
use rules::drift::{Edit, ForeignChange, Notice, What};
use rules::nft::ruleset::ChainId;
use rules::nft::table::Poisoned;

fn change(families: &[Family], generation: u32) -> Notice {
    let edit = |family: &Family| Edit {
        family: *family,
        table: None,
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

/// A proxy that has written both tables, as generations 1 and 2.
fn synced(runtime: &Handle, telemetry: &Telemetry) -> Proxy<NftBackend<Poisoned>> {
    let kernel = Poisoned {
        commit: Commit {
            generation: Some(2),
            unseen: None,
        },
        ..Poisoned::default()
    };
    let mut proxy = proxy_with(
        &["--proxy-mode=nftables"],
        kernel,
        &Family::ALL,
        &Arc::default(),
        telemetry,
        runtime,
    );
    proxy.apply(service(Protocol::Tcp, 80));
    assert!(proxy.sync());
    proxy
}

/// Flushes a chain of both tables.
fn flush(proxy: &mut Proxy<NftBackend<Poisoned>>) {
    for table in proxy.syncer.kernel.tables.values_mut() {
        table.edit(|parts| {
            let chain = parts.chains.get_mut(&ChainId::Fixed("services"));
            chain.expect("it is there").rules.clear();
        });
    }
}

fn whole(proxy: &Proxy<NftBackend<Poisoned>>, family: Family) -> bool {
    let chain = &proxy.syncer.kernel.tables[&family].chains()[&ChainId::Fixed("services")];
    !chain.rules.is_empty()
}

fn pass(proxy: &mut Proxy<NftBackend<Poisoned>>) {
    let due = proxy.syncer.next_look().expect("something to mend");
    let soon = Instant::now() + Duration::from_secs(1);
    assert!(due < soon, "within a second");
    for proxier in &mut proxy.syncer.proxiers {
        proxier.look(due);
    }
    assert!(proxy.sync());
}

#[test]
fn the_family_that_was_touched_is_replaced_soon() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let telemetry = telemetry(Recorder::nowhere());
    let mut proxy = synced(runtime.handle(), &telemetry);
    flush(&mut proxy);
    proxy.noticed(vec![change(&[Family::V6], 3)], Instant::now());
    pass(&mut proxy);
    assert!(whole(&proxy, Family::V6));
    assert!(!whole(&proxy, Family::V4), "nobody told of that one");
    proxy.noticed(vec![Notice::Lost], Instant::now());
    pass(&mut proxy);
    assert!(whole(&proxy, Family::V4));
    let drift = "kubeproxyrs_drift_total{ip_family=\"IPv6\"}";
    assert_eq!(value(&telemetry.metrics, drift), Some(1.0));
}

#[test]
fn what_was_overwritten_already_is_no_reason() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let telemetry = telemetry(Recorder::nowhere());
    let mut proxy = synced(runtime.handle(), &telemetry);
    proxy.noticed(vec![change(&Family::ALL, 1)], Instant::now());
    let hour = Instant::now() + Duration::from_secs(50 * 60);
    assert!(
        proxy.syncer.next_look().is_some_and(|at| at > hour),
        "the backstop alone"
    );
    let hour = hour + Duration::from_secs(10 * 60);
    assert!(proxy.syncer.next_look().is_some_and(|at| at < hour));
}

#[test]
fn what_nobody_saw_is_looked_at_again_ever_more_rarely() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let telemetry = telemetry(Recorder::nowhere());
    let mut proxy = synced(runtime.handle(), &telemetry);
    proxy.syncer.kernel.commit.unseen = Some(true);
    let mut pauses = Vec::new();
    proxy.syncer.proxiers[0].backend.distrust();
    for _ in 0..4 {
        assert!(proxy.sync());
        let due = proxy.syncer.proxiers[0].next_look().expect("another look");
        pauses.push(due - Instant::now());
        proxy.syncer.proxiers[0].look(due);
    }
    let grows = pauses.windows(2).all(|two| two[1] > 3 * two[0]);
    assert!(grows && pauses[0] <= Duration::from_secs(1), "{pauses:?}");
}

#[test]
fn a_refusal_in_one_family_checks_the_other() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let telemetry = telemetry(Recorder::nowhere());
    let mut proxy = synced(runtime.handle(), &telemetry);
    proxy.syncer.kernel.tables.clear();
    proxy.apply(service(Protocol::Tcp, 81));
    assert!(proxy.sync(), "replaced at once");
    assert!(whole(&proxy, Family::V4));
    assert!(!proxy.syncer.kernel.tables.contains_key(&Family::V6));
    pass(&mut proxy);
    assert!(whole(&proxy, Family::V6));
}
