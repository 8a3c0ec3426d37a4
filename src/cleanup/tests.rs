//! What is another mode's depends on the mode.

use super::*;
use e2e::Namespace;

const RULES: &str = "\
add table ip kube-proxy
add table ip nat
add chain ip nat KUBE-SERVICES
add chain ip nat OTHER
";

#[test]
fn the_rules_of_the_mode_that_serves_stay() {
    for (served, own, other) in [
        (Mode::Nftables, "table ip kube-proxy", "KUBE-SERVICES"),
        (Mode::Iptables, "KUBE-SERVICES", "table ip kube-proxy"),
    ] {
        let namespace = Namespace::create("proxy-modes").expect("a namespace, which needs root");
        let list = || namespace.exec(&["nft", "list", "ruleset"]).expect("a list");
        namespace.exec(&["nft", RULES]).expect("rules");
        assert!(list().contains(own) && list().contains(other));
        namespace
            .run(|| other_modes(served))
            .expect("the namespace");
        let left = list();
        assert!(left.contains(own), "{served:?}: {left}");
        assert!(!left.contains(other), "{served:?}: {left}");
        assert!(left.contains("chain OTHER"), "{served:?}: {left}");
    }
}
