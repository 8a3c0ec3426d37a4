//! The node's addresses come and go.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::ip;

use super::{Course, Fault, Scale};
use crate::faults::proxy::Proxy;
use crate::faults::site::Site;

pub(super) fn faults() -> Vec<Fault> {
    vec![Fault::new("addresses-flap", Duration::from_secs(5), flap)]
}

/// Thousands of addresses, while a change has to come through.
fn flap(site: &mut Site, scale: Scale) -> Result<Course> {
    const AT_ONCE: u32 = 50;
    let rounds = scale.choose(20, 400);
    let script = |verb: &str| -> String {
        let four = (1..=AT_ONCE).map(|host| format!("address {verb} 192.0.2.{host}/32 dev lo"));
        let six =
            (1..=AT_ONCE).map(|host| format!("-6 address {verb} 2001:db8:f::{host:x}/128 dev lo"));
        four.chain(six).collect::<Vec<_>>().join("\n")
    };
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        ip(site.node().namespace(), &script("add"))?;
        if round % 5 == 0 {
            longest = longest.max(site.follows(Duration::from_secs(30))?);
        }
        ip(site.node().namespace(), &script("del"))?;
    }
    longest = longest.max(site.follows(Duration::from_secs(30))?);
    let status = Proxy::health(site.node(), "/livez").context("its health")?;
    ensure!(status == 200, "/livez answers {status}");
    Ok(Course {
        times: rounds * AT_ONCE * 4,
        recovered: longest,
    })
}
