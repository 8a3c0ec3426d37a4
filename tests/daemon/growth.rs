//! A cluster that outgrows its sets.

use super::affinity::{SECOND, WEB, remember};
use super::rig::{Rig, service};

/// A Service with so many endpoints.
fn large(endpoints: usize) -> String {
    let addresses = (0..endpoints).map(|n| {
        let [high, low] = [n / 250, n % 250 + 1];
        format!("{{addresses: [10.244.{high}.{low}]}}")
    });
    let addresses: Vec<String> = addresses.collect();
    let service = service("large", "10.96.0.20", 80, "10.244.0.1");
    service.replace("{addresses: [10.244.0.1]}", &addresses.join(", "))
}

/// Waits until the endpoint with the highest index is there, in a map of this
/// size.
fn served(rig: &mut Rig, endpoints: usize, size: usize) {
    let last = format!("10.96.0.20 . tcp . 80 . {} :", endpoints - 1);
    let size = format!("size {size}\n");
    rig.wait(&last, |rig| {
        let listed = rig.listed("ip", "map", "endpoints");
        anyhow::ensure!(listed.contains(&last), "{listed}");
        anyhow::ensure!(listed.contains(&size), "another size: {listed}");
        Ok(())
    });
}

#[test]
fn a_set_that_is_full_is_replaced_by_a_larger_one() {
    let mut rig = Rig::new("growth");
    rig.write("web.yaml", WEB);
    rig.write("large.yaml", &large(1100));
    rig.start();
    served(&mut rig, 1100, 3072);
    remember(&rig, "ip", SECOND, "203.0.113.7");

    rig.write("large.yaml", &large(3072));
    served(&mut rig, 3072, 3072);
    assert_eq!(rig.lines(&["is full"]).len(), 0, "{}", rig.log());

    rig.write("large.yaml", &large(3073));
    served(&mut rig, 3073, 6144);
    let said = rig.lines(&["IPv4: set endpoints is full at 3072 elements; replacing"]);
    assert_eq!(said.len(), 1, "{}", rig.log());
    assert_eq!(rig.lines(&["someone else"]).len(), 0, "{}", rig.log());
    let listed = rig.listed("ip", "set", SECOND);
    assert!(listed.contains("203.0.113.7"), "{listed}");
}
