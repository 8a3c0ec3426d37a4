//! The node itself: kernel, rights, settings, connection tracking.

use super::facts::{Conntrack, Facts, Feature, Kernel};
use super::report::Report;
use crate::finding::{Code, Finding, Severity};
use crate::model::Family;
use std::collections::BTreeMap;

/// A table this full, in percent, is a warning, and an error.
const FULL: (u64, u64) = (75, 95);

/// The kernel: version, features, modules.
pub(super) fn kernel(report: &mut Report, kernel: &Kernel, own_namespace: bool) {
    report.group("kernel");
    let too_old = kernel.too_old.as_ref().map(|why| {
        Finding::new(
            Code::KernelFeatureMissing,
            Severity::Error,
            format!("Kernel {} is too old for nftables mode", kernel.release),
            "run a kernel of 5.13 or later",
        )
        .because(why)
    });
    report.check("version", &kernel.release, too_old);
    let how = match own_namespace {
        true => "in a network namespace of its own",
        false => "in a transaction that is not kept",
    };
    match &kernel.features {
        Ok(features) => all_features(report, features, how),
        Err(why) => report.skipped("features", why),
    }
    let modules = match &kernel.modules {
        Some(modules) if modules.is_empty() => "none of netfilter is loaded".to_owned(),
        Some(modules) => modules.join(", "),
        None => "this kernel has none: what it has is built in".to_owned(),
    };
    report.check("modules", modules, None);
}

/// Those that are there together, and each that is not by itself.
fn all_features(report: &mut Report, features: &[Feature], how: &str) {
    let mut names: Vec<(&str, Vec<&Feature>)> = Vec::new();
    for feature in features {
        match names.iter_mut().find(|(name, _)| *name == feature.name) {
            Some((_, families)) => families.push(feature),
            None => names.push((&feature.name, vec![feature])),
        }
    }
    let lacks = |feature: &&Feature| feature.lack.is_some();
    let there = names
        .iter()
        .filter(|(_, families)| !families.iter().any(lacks));
    let there: Vec<&str> = there.map(|(name, _)| *name).collect();
    if !there.is_empty() {
        let detail = format!("{}; tried {how}", there.join(", "));
        report.check("features", detail, None);
    }
    for (name, mut families) in names {
        families.retain(lacks);
        if !families.is_empty() {
            missing(report, name, &families, how);
        }
    }
}

fn missing(report: &mut Report, name: &str, families: &[&Feature], how: &str) {
    let whom: Vec<String> = (families.iter())
        .map(|feature| feature.family.to_string())
        .collect();
    let whom = whom.join(" and ");
    let mut modules: Vec<&str> = families.iter().map(|feature| &*feature.module).collect();
    modules.dedup();
    let modules = modules.join(" ");
    let finding = Finding::new(
        Code::KernelFeatureMissing,
        Severity::Error,
        format!("The kernel lacks {name} for {whom} (module {modules})"),
        format!(
            "`modprobe -a {modules}` on the node, and a file in /etc/modules-load.d for the next \
             start; if there is no such module, a kernel that has it"
        ),
    );
    let why = |feature: &&Feature| feature.lack.clone().unwrap_or_default();
    let finding = families.iter().fold(finding, |finding, feature| {
        finding.because(format!("{}, tried {how}: {}", feature.family, why(feature)))
    });
    let detail = format!("missing for {whom} (module {modules})");
    report.check(name, detail, [finding]);
}

/// Rights of this process, which are those of the daemon in its container.
pub(super) fn rights(report: &mut Report, facts: &Facts) {
    report.group("rights");
    match facts.rights.net_admin {
        true => report.check("NET_ADMIN", "there", None),
        false => report.skipped(
            "NET_ADMIN",
            "missing here: what needs it was not looked at; run as root or with the capability \
             NET_ADMIN",
        ),
    }
    let writable = match facts.rights.proc_sys {
        true => "can be written",
        false => "cannot be written: the settings below have to be right already",
    };
    report.check("/proc/sys", writable, None);
}

/// Settings below `/proc/sys`.
pub(super) fn sysctls(report: &mut Report, facts: &Facts) {
    report.group("settings");
    for family in Family::ALL {
        forwarding(report, facts, family);
    }
    let sysctls = &facts.sysctls;
    let strict = number(sysctls, "net/ipv4/conf/all/rp_filter");
    let reverse = match strict {
        Some(0) => "off, unless an interface has it on",
        Some(1) => {
            "strict: packets that come in by another interface than the answer would leave by are \
             dropped; 2 is for nodes with several ways out"
        }
        Some(_) => "loose",
        None => "not there",
    };
    report.check("rp_filter", reverse, None);
    let liberal = match number(sysctls, "net/netfilter/nf_conntrack_tcp_be_liberal") {
        Some(0) if facts.iptables.is_some() => {
            "0: TCP packets out of the window are INVALID, and not forwarded"
        }
        Some(0) => "0: TCP packets out of the window are INVALID, which no rule of ours drops",
        Some(_) => "1: TCP packets out of the window belong to their connection",
        None => "not there",
    };
    report.check("nf_conntrack_tcp_be_liberal", liberal, None);
    bridges(report, facts);
    if number(sysctls, "net/ipv4/conf/all/route_localnet") == Some(1) {
        let finding = Finding::new(
            Code::SysctlDiffers,
            Severity::Info,
            "route_localnet is on: packets of the network may go to 127.0.0.0/8 of this node",
            "kube-proxy in mode iptables switches it on and nobody switches it off: once that mode \
             is gone, `sysctl -w net.ipv4.conf.all.route_localnet=0`",
        );
        report.check("route_localnet", "1", [finding]);
    }
    let differing: Vec<Finding> = facts
        .differing
        .iter()
        .map(|setting| {
            let found = match setting.found {
                Some(found) => found.to_string(),
                None => "unreadable".to_owned(),
            };
            let file = &setting.file;
            let message = format!(
                "{file} is {found}, and the configuration wants {}",
                setting.wanted
            );
            match facts.rights.proc_sys {
                true => Finding::new(
                    Code::SysctlDiffers,
                    Severity::Info,
                    message,
                    "the daemon sets it when it starts",
                ),
                false => Finding::new(
                    Code::SysctlDiffers,
                    Severity::Warning,
                    message,
                    format!(
                        "it cannot be set from here: have a privileged container run `kube-proxy \
                     --init-only` first, or write {} to {file} on the node",
                        setting.wanted
                    ),
                ),
            }
        })
        .collect();
    let detail = match differing.len() {
        0 => "as the configuration wants them".to_owned(),
        1 => "1 differs from the configuration".to_owned(),
        count => format!("{count} differ from the configuration"),
    };
    report.check("conntrack settings", detail, differing);
}

fn number(sysctls: &BTreeMap<String, String>, name: &str) -> Option<i64> {
    sysctls.get(name)?.trim().parse().ok()
}

/// The node has to forward packets of each family that it has addresses of.
fn forwarding(report: &mut Report, facts: &Facts, family: Family) {
    let name = match family {
        Family::V4 => "net/ipv4/ip_forward",
        Family::V6 => "net/ipv6/conf/all/forwarding",
    };
    if !facts.has_addresses_of(family) {
        report.skipped(name, format!("the node has no {family} address"));
        return;
    }
    match number(&facts.sysctls, name) {
        Some(0) => {
            let finding = Finding::new(
                Code::SysctlDiffers,
                Severity::Error,
                format!("The node forwards no {family} packets ({name} is 0)"),
                format!(
                    "`sysctl -w {}=1`, and a file in /etc/sysctl.d",
                    name.replace('/', ".")
                ),
            );
            report.check(name, "0", [finding]);
        }
        Some(value) => report.check(name, value.to_string(), None),
        None => report.skipped(name, "not there"),
    }
}

/// Pods of one bridge reach one another past netfilter unless the bridge calls it.
fn bridges(report: &mut Report, facts: &Facts) {
    const NAME: &str = "net/bridge/bridge-nf-call-iptables";
    let Some(bridge) = facts.bridges.first() else {
        return;
    };
    match number(&facts.sysctls, NAME) {
        Some(1..) => report.check(NAME, "1", None),
        value => {
            let seen = value.map_or_else(|| "not there".to_owned(), |value| value.to_string());
            let finding = Finding::new(
                Code::SysctlDiffers,
                Severity::Warning,
                format!(
                    "Answers between pods on bridge {bridge} pass netfilter by ({NAME} is {seen}), \
                     so that a pod cannot reach a Service whose endpoint is beside it"
                ),
                "`modprobe br_netfilter` and `sysctl -w net.bridge.bridge-nf-call-iptables=1`",
            );
            report.check(NAME, seen, [finding]);
        }
    }
}

/// How much room connection tracking has.
pub(super) fn conntrack(report: &mut Report, facts: &Facts) {
    report.group("connection tracking");
    let Conntrack {
        count,
        max,
        dropped,
        early_dropped,
    } = match &facts.conntrack {
        Ok(conntrack) => *conntrack,
        Err(why) => return report.skipped("connections", why),
    };
    let percent = count.saturating_mul(100).checked_div(max).unwrap_or(0);
    let remedy = format!(
        "`sysctl -w net.netfilter.nf_conntrack_max={}`, or a larger conntrack.maxPerCore or \
         conntrack.min in the configuration; shorter timeouts if most connections are idle",
        max.saturating_mul(2)
    );
    let severity = match percent {
        percent if percent >= FULL.1 => Some(Severity::Error),
        percent if percent >= FULL.0 => Some(Severity::Warning),
        _ => None,
    };
    let full = severity.map(|severity| {
        Finding::new(
            Code::ConntrackRoom,
            severity,
            format!("Connection tracking is full by {percent}%: {count} connections of {max}"),
            &remedy,
        )
    });
    report.check(
        "room",
        format!("{count} connections of {max}, {percent}%"),
        full,
    );
    let lost = (dropped > 0 || early_dropped > 0).then(|| {
        let severity = match dropped {
            0 => Severity::Info,
            _ => Severity::Warning,
        };
        Finding::new(
            Code::ConntrackRoom,
            severity,
            format!(
                "{dropped} packets of new connections were dropped and {early_dropped} \
                 connections forgotten early since the node started, for want of room"
            ),
            remedy,
        )
        .because("drop and early_drop in /proc/net/stat/nf_conntrack")
    });
    let detail = format!("{dropped} packets, {early_dropped} connections since the start");
    report.check("dropped for want of room", detail, lost);
}
