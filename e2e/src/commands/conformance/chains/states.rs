//! The states that are compared.

use anyhow::Result;

use super::Args;
use super::node::Rig;
use crate::conformance::rig::DETECTION;
use crate::conformance::spec::Service;
use crate::conformance::table::Table;
use crate::conformance::{edge, random, sequence, settings};
use crate::mode::Mode;
use crate::report::Cases;

const GROUP: &str = "chains";

/// Compares the states that are wanted.
pub(super) fn compare(rig: &mut Rig, args: &Args, cases: &mut Cases) -> Result<()> {
    rig.restart(&DETECTION)?;
    state(rig, args, cases, "empty", &[])?;
    let table = Table::new().services;
    if args.wants("table") {
        put(rig, &table)?;
        rig.announce_zone()?;
        cases.case("table", || rig.compare("table"));
        rig.cluster.clear(GROUP)?;
    }
    for seed in (args.seed..).take(args.random as usize) {
        state(
            rig,
            args,
            cases,
            &format!("random-{seed}"),
            &random::state(seed),
        )?;
    }
    sequences(rig, args, cases)?;
    large(rig, args, cases)?;
    each_setting(rig, args, cases)
}

/// One state in place of the last one.
fn state(
    rig: &mut Rig,
    args: &Args,
    cases: &mut Cases,
    name: &str,
    services: &[Service],
) -> Result<()> {
    if args.wants(name) {
        put(rig, services)?;
        cases.case(name, || rig.compare(name));
        rig.cluster.clear(GROUP)?;
    }
    Ok(())
}

fn put(rig: &Rig, services: &[Service]) -> Result<()> {
    let mut services = services.iter();
    services.try_for_each(|service| rig.cluster.put(service, GROUP))
}

/// Services that change: upstream writes what changed, and deletes what is not used any more.
fn sequences(rig: &mut Rig, args: &Args, cases: &mut Cases) -> Result<()> {
    if !args.wants("sequence") {
        return Ok(());
    }
    let mut at = 0;
    while sequence::take(&rig.cluster, at)? {
        at += 1;
        let name = format!("sequence-{at}");
        cases.case(&name, || rig.compare(&name));
    }
    sequence::clear(&rig.cluster)
}

/// More than a thousand endpoints, sixty ports, names at their limits, endpoints that slices list
/// twice. Upstream has to begin with them: chains that it doesn't write anew keep their comments.
fn large(rig: &mut Rig, args: &Args, cases: &mut Cases) -> Result<()> {
    if !args.wants("large") {
        return Ok(());
    }
    edge::put_still(&rig.cluster)?;
    rig.restart(&DETECTION)?;
    cases.case("large", || rig.compare("large"));
    edge::clear_still(&rig.cluster)
}

/// Both with each setting that changes the rules.
fn each_setting(rig: &mut Rig, args: &Args, cases: &mut Cases) -> Result<()> {
    let variants: Vec<_> = settings::variants(Mode::Iptables)
        .map(|own| (format!("set-{}", own.name), own.flags))
        .filter(|(name, _)| args.wants(name))
        .collect();
    put(rig, &settings::services())?;
    for (name, flags) in variants {
        rig.restart(flags)?;
        cases.case(&name, || rig.compare(&name));
    }
    if args.wants("set-configuration") {
        let flag = rig.configuration()?;
        rig.restart(&[&flag])?;
        cases.case("set-configuration", || rig.compare("set-configuration"));
        rig.set_strict()?;
    }
    rig.cluster.clear(GROUP)
}
