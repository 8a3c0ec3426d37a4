//! Others who change the table underneath: the next change mends it at once.

use super::rig::{Rig, service};

fn running(test: &str) -> Rig {
    let mut rig = Rig::new(test);
    rig.write("web.yaml", &service("web", "10.96.0.10", 80, "10.244.1.10"));
    rig.write("db.yaml", &service("db", "10.96.0.11", 5432, "10.244.1.11"));
    rig.start();
    rig.served(&["10.96.0.10 . tcp . 80", "10.96.0.11 . tcp . 5432"]);
    rig
}

#[test]
fn an_element_removed_by_hand_comes_back_with_the_next_change() {
    let mut rig = running("element");
    let removed = "{ 10.96.0.11 . tcp . 5432 }";
    let words = [
        "nft",
        "delete",
        "element",
        "ip",
        "kube-proxy",
        "services",
        removed,
    ];
    rig.namespace.exec(&words).expect("an element to remove");
    // One that is still there changes as ever, and nobody notices.
    rig.write("web.yaml", &service("web", "10.96.0.10", 81, "10.244.1.10"));
    rig.served(&["10.96.0.10 . tcp . 81"]);
    assert_eq!(rig.lines(&["someone else"]).len(), 0, "{}", rig.log());
    // The one that is gone cannot be changed: it is named, and all is mended.
    rig.write("db.yaml", &service("db", "10.96.0.11", 5433, "10.244.1.11"));
    rig.served(&["10.96.0.10 . tcp . 81", "10.96.0.11 . tcp . 5433"]);
    let said = rig.lines(&[
        "ip delete element 10.96.0.11 . tcp . 5432",
        "(ENOENT)",
        "replacing it",
    ]);
    assert_eq!(said.len(), 1, "{}", rig.log());
}

#[test]
fn an_element_added_by_hand_gives_way() {
    let mut rig = running("foreign");
    let added = "{ 10.96.0.12 . tcp . 80 : drop }";
    let words = [
        "nft",
        "add",
        "element",
        "ip",
        "kube-proxy",
        "services",
        added,
    ];
    rig.namespace.exec(&words).expect("an element to add");
    rig.write("api.yaml", &service("api", "10.96.0.12", 80, "10.244.1.12"));
    rig.served(&["10.96.0.12 . tcp . 80 comment \"default/api\" : goto cluster-1"]);
    assert_eq!(
        rig.lines(&["(EEXIST)", "replacing it"]).len(),
        1,
        "{}",
        rig.log()
    );
}

#[test]
fn a_flushed_ruleset_comes_back_with_the_next_change() {
    let mut rig = running("flush");
    rig.namespace
        .exec(&["nft", "flush", "ruleset"])
        .expect("a flush");
    rig.write("web.yaml", &service("web", "10.96.0.10", 81, "10.244.1.10"));
    rig.served(&["10.96.0.10 . tcp . 81", "10.96.0.11 . tcp . 5432"]);
    // Afterwards changes are small again.
    rig.write("web.yaml", &service("web", "10.96.0.10", 82, "10.244.1.10"));
    rig.served(&["10.96.0.10 . tcp . 82"]);
    assert_eq!(rig.lines(&["replacing it"]).len(), 1, "{}", rig.log());
}
