//! What `/proc` tells of the node's kernel, in the calling thread's network namespace.

use rules::check::{Conntrack, Ipvs};
use rules::model::Family;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};

/// No file of `/proc` that is read here has more that matters, in bytes.
const FILE_MAX: u64 = 8 << 20;
/// Settings that a check looks at, below `/proc/sys`.
const SYSCTLS: [&str; 9] = [
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/conf/all/arp_ignore",
    "net/ipv4/conf/all/arp_announce",
    "net/bridge/bridge-nf-call-iptables",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
    "net/netfilter/nf_conntrack_max",
];
/// What modules that have to do with Services are called like.
const MODULES: [&str; 10] = [
    "nf_tables",
    "nft_",
    "nf_nat",
    "nf_conntrack",
    "ip_tables",
    "ip6_tables",
    "iptable_",
    "ip6table_",
    "ip_vs",
    "br_netfilter",
];

/// A file, as far as it is not absurdly long.
pub(super) fn read(path: &str) -> io::Result<String> {
    let mut text = Vec::new();
    fs::File::open(path)?
        .take(FILE_MAX)
        .read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Those that are there.
pub(super) fn sysctls() -> BTreeMap<String, String> {
    let value = |name: &&str| {
        let value = read(&format!("/proc/sys/{name}")).ok()?;
        Some(((*name).to_owned(), value.trim().to_owned()))
    };
    SYSCTLS.iter().filter_map(value).collect()
}

/// The modules of netfilter that are loaded; `None` if this kernel has no modules.
pub(super) fn modules() -> Option<Vec<String>> {
    let text = read("/proc/modules").ok()?;
    Some(netfilter_modules(&text))
}

fn netfilter_modules(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| line.split(' ').next());
    let matters = |name: &&str| MODULES.iter().any(|known| name.starts_with(known));
    let mut names: Vec<String> = names.filter(matters).map(str::to_owned).collect();
    names.sort_unstable();
    names
}

/// Tables of legacy iptables, by family.
pub(super) fn legacy_tables() -> Vec<(Family, Vec<String>)> {
    let files = [
        (Family::V4, "/proc/thread-self/net/ip_tables_names"),
        (Family::V6, "/proc/thread-self/net/ip6_tables_names"),
    ];
    let tables = files.map(|(family, file)| {
        let text = read(file).unwrap_or_default();
        let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
        names.sort_unstable();
        (family, names)
    });
    tables
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .collect()
}

/// What was lost in connection tracking, summed over all CPUs; the rest is not touched.
pub(super) fn add_losses(conntrack: &mut Conntrack) -> io::Result<()> {
    let text = read("/proc/thread-self/net/stat/nf_conntrack")?;
    let column = |name| sum_of_column(&text, name);
    conntrack.dropped = column("drop") + column("insert_failed");
    conntrack.early_dropped = column("early_drop");
    Ok(())
}

/// Hexadecimal numbers under their names, a line for each CPU.
fn sum_of_column(text: &str, name: &str) -> u64 {
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let Some(at) = head.split_whitespace().position(|column| column == name) else {
        return 0;
    };
    let value = |line: &str| u64::from_str_radix(line.split_whitespace().nth(at)?, 16).ok();
    lines.filter_map(value).sum()
}

/// The virtual servers of IPVS, and the schedulers that they have.
pub(super) fn ipvs() -> Ipvs {
    let text = read("/proc/thread-self/net/ip_vs").ok();
    Ipvs {
        addresses: None,
        servers: text.as_deref().map(|text| servers(text).count()),
        schedulers: text.as_deref().map(schedulers).unwrap_or_default(),
    }
}

/// Lines like `TCP  0A600001:01BB rr`; those of destinations begin with an arrow.
fn servers(text: &str) -> impl Iterator<Item = &str> {
    let kinds = ["TCP ", "UDP ", "SCTP ", "FWM "];
    (text.lines()).filter(move |line| kinds.iter().any(|kind| line.starts_with(kind)))
}

fn schedulers(text: &str) -> Vec<String> {
    let named = |line: &str| line.split_whitespace().nth(2).map(str::to_owned);
    let mut all: Vec<String> = servers(text).filter_map(named).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_summed_over_all_cpus() {
        let text = "entries  clashres found new drop early_drop icmp_error\n\
                    00000010  00000000 00000001 00000000 0000000a 00000001 00000000\n\
                    00000010  00000000 00000001 00000000 00000006 00000000 00000000\n";
        assert_eq!(sum_of_column(text, "drop"), 16);
        assert_eq!(sum_of_column(text, "early_drop"), 1);
        assert_eq!(sum_of_column(text, "absent"), 0);
        assert_eq!(sum_of_column("", "drop"), 0);
    }

    #[test]
    fn modules_of_netfilter_are_told_from_others() {
        let text =
            "nft_fib_ipv4 16384 2 - Live 0x0\next4 1 0 - Live 0x0\nnf_tables 4 3 - Live 0x0\n";
        assert_eq!(netfilter_modules(text), ["nf_tables", "nft_fib_ipv4"]);
    }

    #[test]
    fn virtual_servers_are_counted_with_their_schedulers() {
        let text = "IP Virtual Server version 1.2.1 (size=4096)\n\
                    Prot LocalAddress:Port Scheduler Flags\n  \
                      -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n\
                    TCP  0A600001:01BB rr\n  -> 0A000001:192B      Masq    1      0          0\n\
                    UDP  0A60000A:0035 sh persistent 10800\n";
        assert_eq!(servers(text).count(), 2);
        assert_eq!(schedulers(text), ["rr", "sh"]);
    }
}
