//! Who else is on the node: other proxies, firewalls, network plugins, DNS caches.

use super::drops::foreign_drops;
use super::facts::{Facts, Others, ProxyTable};
use super::hook::ChainFamily;
use super::owner::{Kind, Owner, OwnerCensus};
use super::report::{Report, plural};
use super::switch::From;
use crate::finding::{Code, Finding, Severity};
use std::net::{IpAddr, Ipv4Addr};

/// Where NodeLocal DNSCache listens unless it is told otherwise.
const NODE_LOCAL_DNS: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 20, 10));

/// Rules of other proxies.
pub(super) fn proxies(report: &mut Report, facts: &Facts, from: Option<From>) {
    report.group("other proxies");
    let others = match &facts.others {
        Ok(others) => others,
        Err(why) => return report.skipped("nf_tables", why),
    };
    let ours = facts
        .tables
        .iter()
        .any(|(_, table)| *table == ProxyTable::Ours);
    let found: Vec<&OwnerCensus> = (others.census.iter())
        .filter(|census| census.owner.kind() == Kind::Proxy)
        .collect();
    // In mode iptables they are this proxy's own, but where our table serves.
    let own = |census: &OwnerCensus| {
        facts.iptables.is_some() && !ours && census.owner == Owner::KubeProxy
    };
    let chains = found.iter().filter(|census| !own(census)).map(|census| {
        let expected =
            census.owner == Owner::KubeProxy && matches!(from, Some(From::Iptables | From::Ipvs));
        let severity = match (expected, ours) {
            (true, false) => Severity::Info,
            (_, true) if census.owner == Owner::KubeProxy => Severity::Error,
            _ => Severity::Warning,
        };
        let whose = match census.owner {
            Owner::KubeProxy => "kube-proxy in mode iptables or ipvs",
            owner => owner.name(),
        };
        let finding = Finding::new(
            Code::OtherProxy,
            severity,
            format!(
                "{} of {whose} in table {} {}",
                plural(census.chains, "chain"),
                census.family,
                census.table
            ),
            match ours {
                true => {
                    "two proxies serve this node: stop the other one; kube-proxy removes such \
                     chains when it starts, and `kube-proxy --cleanup` at any time"
                }
                false => {
                    "stop the other proxy before this one starts, which then removes chains of \
                     kube-proxy"
                }
            },
        );
        finding.because(format!("one of them is {}", census.example))
    });
    let detail = match found.len() {
        0 => "no chains of another proxy".to_owned(),
        _ => found
            .iter()
            .map(|census| {
                let owner = match own(census) {
                    true => "kube-proxy, which mode iptables has,",
                    false => census.owner.name(),
                };
                format!(
                    "{} of {owner} in {} {}",
                    census.chains, census.family, census.table
                )
            })
            .collect::<Vec<_>>()
            .join(", "),
    };
    let chains: Vec<Finding> = chains.collect();
    report.check("chains of iptables on nf_tables", detail, chains);
    legacy(report, facts);
    tables(report, facts, from);
    ipvs(report, facts, from);
}

fn legacy(report: &mut Report, facts: &Facts) {
    if facts.legacy.is_empty() {
        return report.check("legacy iptables", "no tables", None);
    }
    let tables: Vec<String> = (facts.legacy.iter())
        .map(|(family, tables)| format!("{family}: {}", tables.join(", ")))
        .collect();
    let tables = tables.join("; ");
    let finding = Finding::new(
        Code::OtherProxy,
        Severity::Info,
        format!(
            "Tables of legacy iptables are there ({tables}), whose rules the kernel tells nobody \
             but iptables' own programs"
        ),
        "`iptables-legacy-save | grep -e KUBE- -e DROP -e REJECT` on the node shows what matters; \
         `kube-proxy --cleanup` removes what is kube-proxy's where that program is there",
    );
    report.check("legacy iptables", tables, [finding]);
}

fn tables(report: &mut Report, facts: &Facts, from: Option<From>) {
    let name = "table kube-proxy";
    if facts.tables.is_empty() {
        return report.check(name, "none", None);
    }
    let whose = |table: &ProxyTable| match table {
        ProxyTable::Ours => "this program's",
        ProxyTable::Upstreams => "upstream kube-proxy's, of mode nftables",
        ProxyTable::Unknown => "nobody's that is known",
    };
    let told: Vec<String> = (facts.tables.iter())
        .map(|(family, table)| format!("{family}: {}", whose(table)))
        .collect();
    let theirs = |(_, table): &&(_, ProxyTable)| *table == ProxyTable::Upstreams;
    let found = facts.tables.iter().find(theirs).map(|_| {
        let severity = match from {
            Some(From::Nftables) => Severity::Info,
            _ => Severity::Warning,
        };
        Finding::new(
            Code::OtherProxy,
            severity,
            "The table kube-proxy is upstream kube-proxy's, of mode nftables",
            "stop that kube-proxy; this one replaces the table in one transaction when it starts, \
             and takes session affinity over",
        )
    });
    report.check(name, told.join("; "), found);
}

fn ipvs(report: &mut Report, facts: &Facts, from: Option<From>) {
    let Some(addresses) = facts.ipvs.addresses else {
        return report.check("ipvs", "no interface kube-ipvs0", None);
    };
    let severity = match from {
        Some(From::Ipvs) => Severity::Info,
        _ => Severity::Warning,
    };
    let servers = match facts.ipvs.servers {
        Some(servers) => format!("{servers} virtual servers"),
        None => "virtual servers unknown".to_owned(),
    };
    let finding = Finding::new(
        Code::OtherProxy,
        severity,
        "kube-proxy in mode ipvs has left its interface kube-ipvs0, or serves this node",
        "stop it; this kube-proxy removes the interface and the virtual servers when it starts",
    )
    .because(format!("{addresses} addresses on kube-ipvs0, {servers}"));
    let detail = format!("kube-ipvs0 with {addresses} addresses, {servers}");
    report.check("ipvs", detail, [finding]);
}

/// Base chains of others that may drop, and who manages firewalls.
pub(super) fn firewalls(report: &mut Report, facts: &Facts) {
    report.group("rules of others");
    let Others { chains, census } = match &facts.others {
        Ok(others) => others,
        Err(why) => return report.skipped("nf_tables", why),
    };
    if chains.is_empty() {
        report.check("chains on our hooks", "none", None);
    }
    for chain in chains {
        let fate = &chain.fate;
        let policy = if chain.policy_drop { "drop" } else { "accept" };
        let more = if fate.unread { " or more" } else { "" };
        let detail = format!(
            "{} priority {}, policy {policy}, {} rules{more}, {} may drop",
            chain.hook,
            chain.priority,
            fate.rules,
            fate.drop_count()
        );
        report.check(
            chain.to_string(),
            detail,
            foreign_drops(std::slice::from_ref(chain)),
        );
    }
    let mut managers: Vec<&OwnerCensus> = (census.iter())
        .filter(|census| census.owner.kind() == Kind::Firewall)
        .collect();
    managers.dedup_by_key(|census| census.owner);
    if managers.is_empty() {
        report.check("firewall managers", "none", None);
    }
    for census in managers {
        let detail = format!(
            "{} in {} {}",
            plural(census.chains, "chain"),
            census.family,
            census.table
        );
        report.check(census.owner.name(), detail, [manager(census)]);
    }
}

fn manager(census: &OwnerCensus) -> Finding {
    let remedy = match census.owner {
        Owner::Firewalld => {
            "let it trust the pods' and Services' ranges (`firewall-cmd --permanent --zone=trusted \
             --add-source=RANGE`, then `--reload`) and open the node's health check ports, or \
             `systemctl disable --now firewalld`"
        }
        Owner::Ufw => {
            "`ufw default allow routed`, `ufw allow from POD-CIDR`, and `ufw allow` for health \
             check ports, or `ufw disable`"
        }
        Owner::Talos => {
            "let its NetworkRuleConfig allow node ports and health check ports; its chains are \
             behind kube-proxy's translation"
        }
        _ => "let it allow what Services need",
    };
    Finding::new(
        Code::FirewallManager,
        Severity::Warning,
        format!("{} manages this node's firewall", census.owner.name()),
        remedy,
    )
    .because(format!(
        "{} in table {} {}, one of them {}",
        plural(census.chains, "chain"),
        census.family,
        census.table,
        census.example
    ))
}

/// Network plugins and DNS caches that depend on how Services are served.
pub(super) fn plugins(report: &mut Report, facts: &Facts) {
    report.group("neighbours");
    let census = match &facts.others {
        Ok(others) => &others.census[..],
        Err(why) => {
            report.skipped("network plugins", why);
            &[]
        }
    };
    let mut seen = Vec::new();
    for found in census {
        let kind = found.owner.kind();
        if kind != Kind::Network && found.owner != Owner::Istio || seen.contains(&found.owner) {
            continue;
        }
        seen.push(found.owner);
        let tables: Vec<&OwnerCensus> = (census.iter())
            .filter(|other| other.owner == found.owner)
            .collect();
        let named: Vec<String> = (tables.iter())
            .map(|census| format!("{} {}", census.family, census.table))
            .collect();
        let detail = format!("in {}", named.join(", "));
        report.check(found.owner.name(), detail, depends(found.owner, &tables));
    }
    match &facts.addresses {
        Ok(addresses) if addresses.contains(&NODE_LOCAL_DNS) => {
            let finding = Finding::new(
                Code::NeighbourNeedsAttention,
                Severity::Info,
                format!("NodeLocal DNSCache listens on {NODE_LOCAL_DNS} of this node"),
                "its rules of iptables (NOTRACK in table raw) work beside ours; where it also \
                 listens on the address of Service kube-dns, it answers there instead of that \
                 Service, in every mode but ipvs",
            );
            let detail = format!("has {NODE_LOCAL_DNS}");
            report.check("NodeLocal DNSCache", detail, [finding]);
        }
        Ok(_) => report.check("NodeLocal DNSCache", "not on this node", None),
        Err(why) => report.skipped("NodeLocal DNSCache", why),
    }
}

/// What a network plugin's tables say about how it goes with nftables.
fn depends(owner: Owner, tables: &[&OwnerCensus]) -> Option<Finding> {
    let in_iptables = tables.iter().any(|census| {
        let table = &*census.table;
        census.family != ChainFamily::Inet && matches!(table, "filter" | "nat" | "mangle" | "raw")
    });
    if !in_iptables {
        return None;
    }
    let (severity, message, remedy) = match owner {
        Owner::Calico => (
            Severity::Warning,
            "Calico programs iptables, and Services are served by nftables",
            "let both have one mode: `kubectl patch installation default --type=merge -p \
             '{\"spec\":{\"calicoNetwork\":{\"linuxDataplane\":\"Nftables\"}}}'`, or without its \
             operator nftablesMode: Enabled in FelixConfiguration default; with Auto Felix \
             restarts into nftables by itself when it sees the table kube-proxy",
        ),
        Owner::AwsVpcCni => (
            Severity::Warning,
            "The AWS VPC CNI restores its connection mark (0x80) by iptables",
            "run a release of it that has the table aws-cni, which comes after the translation; \
             before that, pods on secondary interfaces lose Services: exclude the ServiceCIDR by \
             AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS",
        ),
        Owner::Cilium => (
            Severity::Info,
            "Cilium is on the node, which may serve Services itself",
            "`cilium-dbg status | grep KubeProxyReplacement` tells: if it is True, there is nothing \
             left for a kube-proxy",
        ),
        _ => return None,
    };
    let mut finding = Finding::new(Code::NeighbourNeedsAttention, severity, message, remedy);
    for census in tables {
        finding = finding.because(format!(
            "{} in table {} {}, one of them {}",
            plural(census.chains, "chain"),
            census.family,
            census.table,
            census.example
        ));
    }
    Some(finding)
}
