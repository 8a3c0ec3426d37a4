//! Everything that a check looks at, each with its own error.

use super::{features, kernel};
use crate::addresses::has_ipv6;
use crate::mode::Mode;
use crate::netlink::flavour::{Flavour, flavour};
use crate::netlink::{Flows, accounting, others};
use crate::report::Source;
use crate::settings::Settings;
use crate::sysctl::Sysctls;
use crate::{kernel_version, netlink};
use nix::ifaddrs::getifaddrs;
use nix::sys::statvfs::{FsFlags, statvfs};
use rules::check::{
    Conntrack, Counted, Facts, Iptables, Ipvs, Kernel, LocalhostFlows, ProxyTable, Rights, Seen,
};
use rules::iptables::{INVALID_DROPPED, LOCALHOST_ACCEPTED};
use rules::model::Family;
use std::collections::BTreeSet;
use std::io;

/// The interface that mode ipvs gives the Services' addresses to.
const IPVS_INTERFACE: &str = "kube-ipvs0";
/// Bridges that network plugins put pods on.
const BRIDGES: [&str; 4] = ["cni0", "cbr0", "kube-bridge", "weave"];

/// What this node is like, and what could not be looked at.
pub(super) fn facts(settings: &Settings, mode: Mode, metrics: Counted) -> (Facts, Vec<Source>) {
    let mut unseen = Vec::new();
    let mut families = vec![Family::V4];
    families.extend(has_ipv6().then_some(Family::V6));
    let (features, own_namespace) = features::tried(&families);
    let interfaces = Interfaces::look();
    let facts = Facts {
        kernel: Kernel {
            release: kernel::read("/proc/sys/kernel/osrelease").map_or_else(
                |error| format!("unknown: {error}"),
                |text| text.trim().to_owned(),
            ),
            too_old: kernel_version::check().err().map(|error| error.to_string()),
            features,
            modules: kernel::modules(),
        },
        rights: Rights {
            net_admin: true,
            proc_sys: is_writable("/proc/sys"),
            own_namespace,
        },
        sysctls: kernel::sysctls(),
        differing: Sysctls::default()
            .differing(&settings.conntrack, settings.rules.localhost_nodeports),
        conntrack: note(&mut unseen, "conntrack", room()),
        iptables: (mode == Mode::Iptables).then(|| iptables(&families)),
        others: note(&mut unseen, "nf_tables", others::look()),
        legacy: kernel::legacy_tables(),
        tables: proxy_tables(&families),
        ipvs: Ipvs {
            addresses: interfaces.ipvs,
            ..kernel::ipvs()
        },
        addresses: netlink::interfaces::local().map_err(|error| error.to_string()),
        bridges: interfaces.bridges,
        counted: counted(metrics),
        localhost_flows: note(&mut unseen, "conntrack", localhost_flows()),
    };
    unseen.dedup();
    (facts, unseen)
}

/// An error is told with the report, and where the fact was to be.
fn note<T>(unseen: &mut Vec<Source>, name: &str, found: io::Result<T>) -> Seen<T> {
    found.map_err(|error| {
        unseen.push(Source::unseen(name, error.to_string()));
        error.to_string()
    })
}

fn iptables(families: &[Family]) -> Iptables {
    let missing = || -> Result<Vec<(Family, Vec<&'static str>)>, String> {
        let mut kernel = netlink::Iptables::open().map_err(|error| error.to_string())?;
        let lacks = |family: &Family| {
            let support = kernel.support(*family).map_err(|error| error.to_string())?;
            Ok((*family, support.missing))
        };
        families.iter().map(lacks).collect()
    };
    let legacy = match flavour() {
        Ok(Flavour::Legacy { tables }) => Some(tables),
        Ok(Flavour::Nft) | Err(_) => None,
    };
    Iptables {
        missing: missing(),
        legacy,
    }
}

fn room() -> io::Result<Conntrack> {
    let room = Flows::open()?.room()?;
    let mut found = Conntrack {
        count: room.entries.into(),
        max: room.limit.unwrap_or(0).into(),
        ..Conntrack::default()
    };
    kernel::add_losses(&mut found)?;
    Ok(found)
}

fn localhost_flows() -> io::Result<Vec<LocalhostFlows>> {
    let ports = Flows::open()?.to_loopback()?;
    let ports = ports
        .into_iter()
        .map(|((protocol, port), count)| LocalhostFlows {
            protocol,
            port,
            count,
        });
    Ok(ports.collect())
}

fn proxy_tables(families: &[Family]) -> Vec<(Family, ProxyTable)> {
    let table = |family: &Family| Some((*family, others::proxy_table(*family).ok()??));
    families.iter().filter_map(table).collect()
}

/// What the kernel counts comes before what somebody tells of it.
fn counted(metrics: Counted) -> Counted {
    let counters = accounting::packets(&[LOCALHOST_ACCEPTED, INVALID_DROPPED]).unwrap_or_default();
    let counter = |name| counters.get(name).copied();
    Counted {
        localhost_node_ports: counter(LOCALHOST_ACCEPTED).or(metrics.localhost_node_ports),
        invalid: counter(INVALID_DROPPED).or(metrics.invalid),
    }
}

fn is_writable(path: &str) -> bool {
    statvfs(path).is_ok_and(|found| !found.flags().contains(FsFlags::ST_RDONLY))
}

/// Interfaces that say something by their names.
struct Interfaces {
    /// How many addresses mode ipvs has on its own.
    ipvs: Option<usize>,
    bridges: Vec<String>,
}

impl Interfaces {
    fn look() -> Self {
        let (mut ipvs, mut bridges) = (None, BTreeSet::new());
        for interface in getifaddrs().into_iter().flatten() {
            let name = &*interface.interface_name;
            if name == IPVS_INTERFACE {
                let address = interface.address.as_ref();
                let is_ip = address.is_some_and(|address| {
                    address.as_sockaddr_in().is_some() || address.as_sockaddr_in6().is_some()
                });
                *ipvs.get_or_insert(0) += usize::from(is_ip);
            }
            if BRIDGES.contains(&name) {
                bridges.insert(name.to_owned());
            }
        }
        Self {
            ipvs,
            bridges: bridges.into_iter().collect(),
        }
    }
}
