//! What is refused: by both kernels, with the same object named, and without a
//! trace in the table.

use super::small::{KEY, base, cluster_ip, endpoint, goto, pick, service, with_rule};
use super::table::{Both, chain};
use rules::model::Family;
use rules::nft::ruleset::{ChainId, Element, Op, SetId, Statement, Verdict};

/// What is wrong, the steps, the object that is named, and the error.
type Row = (&'static str, Vec<Op>, &'static str, &'static str);

const MISSING: &str = "ENOENT";
const EXISTS: &str = "EEXIST";
const BUSY: &str = "EBUSY";

/// The rows, for IPv4.
fn refused() -> Vec<Row> {
    let family = Family::V4;
    let elements = |count: u32| {
        (10..10 + count)
            .map(|n| cluster_ip(family, n))
            .collect::<Vec<_>>()
    };
    let amid = |mut all: Vec<Element>, own: Element| {
        all.insert(all.len() / 2, own);
        all
    };
    vec![
        (
            "an element to a missing chain",
            vec![Op::AddElements(
                SetId::Services,
                vec![service(family, 2, Verdict::Goto(pick(9)))],
            )],
            "add element 10.96.0.2 . tcp . 80 comment \"shop/web:http\" : goto cluster-9 in services",
            MISSING,
        ),
        (
            "an element that is there with another value",
            vec![Op::AddElements(
                SetId::Services,
                vec![service(family, 1, Verdict::Drop)],
            )],
            "add element 10.96.0.1 . tcp . 80 comment \"shop/web:http\" : drop in services",
            EXISTS,
        ),
        (
            "an element that is there just so",
            vec![Op::AddElements(
                SetId::ClusterIps,
                vec![cluster_ip(family, 1)],
            )],
            "add element 10.96.0.1 in cluster-ips",
            EXISTS,
        ),
        (
            "an element that is there, amid many",
            vec![Op::AddElements(
                SetId::ClusterIps,
                amid(elements(100), cluster_ip(family, 1)),
            )],
            "add element 10.96.0.1 in cluster-ips",
            EXISTS,
        ),
        (
            "an element twice in one step",
            vec![Op::AddElements(
                SetId::ClusterIps,
                [elements(5), vec![cluster_ip(family, 12)]].concat(),
            )],
            "add element 10.96.0.12 in cluster-ips",
            EXISTS,
        ),
        (
            "an element that is not there",
            vec![Op::DeleteElements(
                SetId::ClusterIps,
                vec![cluster_ip(family, 1), cluster_ip(family, 2)],
            )],
            "delete element 10.96.0.2 in cluster-ips",
            MISSING,
        ),
        (
            "an endpoint that is not there",
            vec![Op::DeleteElements(
                SetId::Endpoints,
                vec![endpoint(family, 2, 1)],
            )],
            "delete element 10.96.0.2 . tcp . 80 . 0 : 10.96.0.1 . 8080 in endpoints",
            MISSING,
        ),
        (
            "an element deleted twice",
            vec![
                Op::DeleteElements(SetId::ClusterIps, vec![cluster_ip(family, 1)]),
                Op::DeleteElements(SetId::ClusterIps, vec![cluster_ip(family, 1)]),
            ],
            "delete element 10.96.0.1 in cluster-ips",
            MISSING,
        ),
        (
            "an element to a missing set",
            vec![
                Op::AddElements(SetId::Hairpin, vec![]),
                Op::AddElements(SetId::NodeportIps, vec![cluster_ip(family, 1)]),
            ],
            "add element 10.96.0.1 in nodeport-ips",
            MISSING,
        ),
        (
            "an element of a missing set",
            vec![Op::DeleteElements(
                SetId::NodeportIps,
                vec![cluster_ip(family, 1)],
            )],
            "delete element 10.96.0.1 in nodeport-ips",
            MISSING,
        ),
        (
            "a chain that an element goes to",
            vec![Op::DeleteChain(pick(1))],
            "delete chain cluster-1",
            BUSY,
        ),
        (
            "a chain that a rule goes to",
            vec![Op::DeleteChain(pick(2))],
            "delete chain cluster-2",
            BUSY,
        ),
        (
            "a chain that is not there",
            vec![Op::DeleteChain(pick(9))],
            "delete chain cluster-9",
            MISSING,
        ),
        (
            "a chain that is there already",
            vec![Op::AddChain(with_rule(pick(1), Statement::Reject))],
            "add chain cluster-1",
            EXISTS,
        ),
        (
            "a missing chain to refill",
            vec![Op::RefillChain(with_rule(pick(9), Statement::Reject))],
            "refill chain cluster-9",
            MISSING,
        ),
        (
            "a rule that goes to a missing chain",
            vec![Op::AddChain(with_rule(pick(3), goto(pick(9))))],
            "add chain cluster-3",
            MISSING,
        ),
        (
            "a refilled rule that goes to a missing chain",
            vec![Op::RefillChain(with_rule(pick(1), goto(pick(9))))],
            "refill chain cluster-1",
            MISSING,
        ),
        (
            "a rule that looks into a missing map",
            vec![Op::AddChain(with_rule(
                pick(3),
                Statement::VerdictMap {
                    key: KEY,
                    map: SetId::NoEndpoints,
                },
            ))],
            "add chain cluster-3",
            MISSING,
        ),
        (
            "a last step that is wrong, after many that are right",
            vec![
                Op::AddChain(chain(pick(3))),
                Op::AddElements(
                    SetId::Services,
                    vec![service(family, 3, Verdict::Goto(pick(3)))],
                ),
                Op::DeleteElements(SetId::Endpoints, vec![endpoint(family, 1, 1)]),
                Op::AddElements(SetId::Endpoints, vec![endpoint(family, 1, 2)]),
                Op::RefillChain(chain(ChainId::Fixed("services"))),
                Op::DeleteChain(pick(9)),
            ],
            "delete chain cluster-9",
            MISSING,
        ),
    ]
}

#[test]
fn both_refuse_the_same_and_name_it() {
    let mut both = Both::new(Family::V4);
    // Without a table there is nothing to change.
    let [real, memory] = both.apply(vec![Op::AddChain(chain(pick(1)))]);
    assert_eq!(real.expect_err("no table").attempted, "add chain cluster-1");
    assert_eq!(
        memory.expect_err("no table").attempted,
        "add chain cluster-1"
    );

    let [real, memory] = both.apply(base(Family::V4));
    real.expect("the kernel takes a good table");
    memory.expect("and so does the table in memory");
    for (what, ops, attempted, errno) in refused() {
        let before = both.listed();
        for refusal in both.apply(ops) {
            let refusal = refusal.expect_err(what);
            assert_eq!(refusal.attempted, attempted, "{what}");
            assert!(refusal.reason.contains(errno), "{what}: {refusal}");
            assert_eq!(refusal.family, Family::V4);
        }
        assert_eq!(both.listed(), before, "{what}: nothing may have changed");
        both.compare(what);
    }
}
