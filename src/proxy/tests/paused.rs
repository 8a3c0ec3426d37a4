//! The loop by a clock that only waiting moves: what is due when, exactly.

use super::*;
use crate::proxy::gate::Gate;
use crate::proxy::schedule::Schedule;
use crate::proxy::sync_loop::{Inputs, sync_loop};
use rules::ObjectKind;
use rules::drift::{Edit, ForeignChange, What};
use rules::model::Node;
use std::sync::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// What the kernel and the interfaces of these tests obey and remember.
#[derive(Default)]
struct Script {
    /// The kernel refuses transactions of these families, for this cause.
    refuses: Vec<(Family, rules::Cause)>,
    /// Transactions: when they came, of which family, and whether they were taken.
    sent: Vec<(Duration, Family, bool)>,
    local: Vec<IpAddr>,
    /// How often the loop said that all is in place.
    settled: usize,
}

type Shared = Arc<Mutex<Script>>;

fn with<T>(shared: &Shared, what: impl FnOnce(&mut Script) -> T) -> T {
    what(&mut shared.lock().expect("no panic"))
}

struct Scripted {
    tables: std::collections::BTreeMap<Family, Table>,
    shared: Shared,
    begun: Instant,
}

impl Kernel for Scripted {
    fn clients(&mut self, _: Family) -> std::io::Result<RememberedClients> {
        Ok(RememberedClients::default())
    }

    fn delete_table(&mut self, family: Family) -> std::io::Result<bool> {
        Ok(self.tables.remove(&family).is_some())
    }

    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        let family = transaction.family;
        let at = clock::now() - self.begun;
        let refused = with(&self.shared, |script| {
            let mut refuses = script.refuses.iter();
            let refused = refuses.find(|(refused, _)| *refused == family).copied();
            script.sent.push((at, family, refused.is_none()));
            refused
        });
        match refused {
            None => self.tables.entry(family).or_default().apply(transaction),
            Some((_, cause)) => Err(Refusal {
                family,
                cause,
                refused: Vec::new(),
                attempted: "a test".to_owned(),
                reason: "no".to_owned(),
            }),
        }
    }
}

/// A loop that runs.
struct Running {
    shared: Shared,
    switches: Arc<Switches>,
    changes: mpsc::Sender<Change>,
    addresses: mpsc::Sender<()>,
    drift: mpsc::Sender<Vec<Notice>>,
    telemetry: Telemetry,
    task: JoinHandle<anyhow::Result<()>>,
}

fn run(flags: &[&str]) -> Running {
    let words = [&["--proxy-mode=nftables", "--hostname-override=n1"], flags].concat();
    let settings = Arc::new(Settings::from_flags(&words).expect("flags"));
    let shared = Shared::default();
    let switches = Arc::<Switches>::default();
    let begun = clock::now();
    let (listed, settled) = (shared.clone(), shared.clone());
    let telemetry = telemetry(Recorder::nowhere());
    let machine = Machine {
        kernel: Scripted {
            tables: std::collections::BTreeMap::new(),
            shared: shared.clone(),
            begun,
        },
        flow_table: Box::new(Flows(switches.clone())),
        addresses: Box::new(move || Ok(with(&listed, |script| script.local.clone()))),
    };
    let world = World::new(&settings);
    let proxy: Proxy<NftBackend<Scripted>> =
        proxy_of(world, &Family::ALL, machine, &telemetry, &Handle::current());
    let (changes, changes_received) = mpsc::channel(256);
    let (addresses, addresses_received) = mpsc::channel(1);
    let (drift, drift_received) = mpsc::channel(4);
    let (_, questions) = mpsc::channel(1);
    let inputs = Inputs {
        changes: changes_received,
        addresses: addresses_received,
        drift: drift_received,
        questions,
    };
    let schedule = Schedule::new(settings.min_sync_period, settings.sync_period);
    let gate = Gate::new(settings, &Family::ALL, begun);
    let task = tokio::spawn(sync_loop(proxy, schedule, gate, inputs, move || {
        with(&settled, |script| script.settled += 1);
    }));
    Running {
        shared,
        switches,
        changes,
        addresses,
        drift,
        telemetry,
        task,
    }
}

fn node(pod_cidrs: &[&str]) -> Change {
    Change::Node(Node {
        name: "n1".into(),
        addresses: vec![[192, 0, 2, 1].into()],
        pod_cidrs: pod_cidrs
            .iter()
            .map(|range| range.parse().expect("a range"))
            .collect(),
        eligible: true,
        ..Node::default()
    })
}

impl Running {
    async fn send(&self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.changes.send(change).await.expect("the loop runs");
        }
    }

    /// Both lists, with one Service of UDP.
    async fn lists(&self) {
        let listed = [ObjectKind::Service, ObjectKind::EndpointSlice];
        self.send(listed.map(Change::ListBegin)).await;
        self.send([service(Protocol::Udp, 53)]).await;
        self.send(listed.map(Change::ListEnd)).await;
    }

    /// What was sent, of one family: when, and whether it was taken.
    fn sent(&self, family: Family) -> Vec<(Duration, bool)> {
        with(&self.shared, |script| {
            let sent = script.sent.iter().filter(|(_, of, _)| *of == family);
            sent.map(|(at, _, taken)| (*at, *taken)).collect()
        })
    }

    fn is_healthy(&self) -> bool {
        self.telemetry.health.is_healthy(Moment::now())
    }

    /// Ends the source, and so the loop.
    async fn end(self) {
        drop(self.changes);
        self.task.await.expect("no panic").expect("no error");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_programmed_before_lists_and_node_or_half_a_minute() {
    let running = run(&[]);
    running.lists().await;
    sleep(30 * SECOND - MILLISECOND).await;
    assert_eq!(running.sent(Family::V4), []);
    sleep(2 * MILLISECOND).await;
    assert_eq!(running.sent(Family::V4), [(30 * SECOND, true)]);
    running.end().await;

    let running = run(&[]);
    running.lists().await;
    running.send([node(&[])]).await;
    sleep(MILLISECOND).await;
    for family in Family::ALL {
        assert_eq!(running.sent(family), [(Duration::ZERO, true)], "at once");
    }
    assert_eq!(with(&running.shared, |script| script.settled), 1);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_gets_its_ranges_ends_the_loop() {
    let running = run(&["--detect-local-mode=NodeCIDR"]);
    running.lists().await;
    running.send([node(&[])]).await;
    sleep(300 * SECOND - MILLISECOND).await;
    assert!(!running.task.is_finished());
    let error = running.task.await.expect("no panic").expect_err("an end");
    let error = error.to_string();
    assert_eq!(
        error,
        "timeout waiting for PodCIDR allocation on node \"n1\""
    );
    assert_eq!(with(&running.shared, |script| script.sent.len()), 0);
}

#[tokio::test(start_paused = true)]
async fn changes_become_one_sync_in_each_period() {
    let running = run(&["--iptables-min-sync-period=1s"]);
    running.lists().await;
    running.send([node(&[])]).await;
    for port in 1..=40 {
        running.send([service(Protocol::Tcp, port)]).await;
        sleep(100 * MILLISECOND).await;
    }
    sleep(10 * SECOND).await;
    let sent = running.sent(Family::V4);
    let seconds: Vec<u128> = sent.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(
        seconds,
        [0, 1000, 2000, 3000, 4000],
        "and then nothing more"
    );
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_family_that_is_refused_is_tried_less_and_less_and_the_other_one_goes_on() {
    let running = run(&["--iptables-min-sync-period=10ms"]);
    with(&running.shared, |script| {
        script.refuses = vec![(Family::V6, rules::Cause::NotPermitted)];
    });
    running.lists().await;
    running.send([node(&[])]).await;
    // Changes all the time: none of them is a reason for another attempt.
    for port in 1..=60 {
        running.send([service(Protocol::Tcp, port)]).await;
        sleep(2 * SECOND).await;
    }
    let taken = running.sent(Family::V4);
    assert!(taken.len() >= 60 && taken.iter().all(|(_, taken)| *taken));
    let refused = running.sent(Family::V6);
    assert!(refused.iter().all(|(_, taken)| !taken));
    let gaps: Vec<f64> = refused
        .windows(2)
        .map(|two| (two[1].0 - two[0].0).as_secs_f64())
        .collect();
    // A quarter may be left out of each; what is due goes at once.
    for (gap, pause) in gaps.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]) {
        assert!(
            (pause * 0.75..=pause + 0.1).contains(gap),
            "{pause}: {gaps:?}"
        );
    }
    assert!(gaps.len() >= 6, "{gaps:?}");
    assert!(
        !running.is_healthy(),
        "a change waits for more than a minute"
    );
    assert_eq!(with(&running.shared, |script| script.settled), 0);

    with(&running.shared, |script| script.refuses.clear());
    sleep(31 * SECOND).await;
    let last = running.sent(Family::V6).pop();
    assert!(
        last.is_some_and(|(_, taken)| taken),
        "without another change"
    );
    assert!(running.is_healthy());
    assert_eq!(with(&running.shared, |script| script.settled), 1, "once");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_others_change_is_replaced_though_no_object_changes() {
    let running = run(&[]);
    running.lists().await;
    running.send([node(&[])]).await;
    sleep(5 * SECOND).await;
    let before = running.sent(Family::V4).len();
    let change = ForeignChange {
        generation: 7,
        pid: 42,
        process: "nft".to_owned(),
        edits: vec![Edit {
            family: Family::V6,
            table: None,
            added: false,
            what: What::Rule,
            name: "services".to_owned(),
            count: 1,
        }],
        upstream: false,
    };
    let notices = vec![Notice::Changed(change)];
    running.drift.send(notices).await.expect("the loop runs");
    sleep(SECOND).await;
    assert_eq!(running.sent(Family::V4).len(), before, "it was not touched");
    let mended = running.sent(Family::V6);
    let (at, taken) = mended[mended.len() - 1];
    assert!(taken && at > 5 * SECOND && at < 6 * SECOND, "{mended:?}");
    let drift = "kubeproxyrs_drift_total{ip_family=\"IPv6\"}";
    assert_eq!(value(&running.telemetry.metrics, drift), Some(1.0));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn other_addresses_are_a_reason_and_the_same_ones_are_none() {
    let running = run(&["--nodeport-addresses=198.51.100.0/24"]);
    running.lists().await;
    running.send([node(&[])]).await;
    sleep(5 * SECOND).await;
    let before = running.sent(Family::V4).len();
    let queued = "kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"}";
    let syncs = || value(&running.telemetry.metrics, queued);
    let first = syncs();
    running.addresses.send(()).await.expect("the loop runs");
    sleep(5 * SECOND).await;
    assert_eq!(syncs(), first, "nothing differs");
    with(&running.shared, |script| {
        script.local = vec![[198, 51, 100, 1].into()];
    });
    running.addresses.send(()).await.expect("the loop runs");
    sleep(5 * SECOND).await;
    assert_eq!(running.sent(Family::V4).len(), before + 1);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn flows_that_could_not_be_deleted_are_tried_again_by_themselves() {
    let running = run(&[]);
    running.switches.refuse_flows.store(true, Ordering::Relaxed);
    running.lists().await;
    running.send([node(&[])]).await;
    sleep(SECOND).await;
    let passes = || running.switches.passes.load(Ordering::Relaxed);
    assert_eq!(passes(), 1);
    sleep(30 * SECOND).await;
    assert_eq!(passes(), 2, "after the sync period");
    running
        .switches
        .refuse_flows
        .store(false, Ordering::Relaxed);
    sleep(100 * SECOND).await;
    assert_eq!(passes(), 3, "and no more once they are gone");
    running.end().await;
}
