//! Whose the node's rules of iptables are: nf_tables', or the tables' of before.

use super::subsystem::protocol_family;
use nft_wire::Socket;
use nft_wire::nf_tables::{self, nfta};
use rules::model::Family;
use std::io;

/// Where the node's programs keep rules of iptables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// In nf_tables.
    Nft,
    /// In the kernel's tables of before nf_tables.
    Legacy {
        /// Those that are there, for example `filter, nat (IPv4)`.
        tables: String,
    },
}

/// Chains of the kubelet in table `mangle`: it makes them by the node's own programs, to tell whose
/// flavour that is.
const HINTS: [&str; 2] = ["KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY"];

/// The table of before nf_tables that has those chains where the node's programs are legacy ones.
const HINTED: &str = "mangle";

/// The flavour in the calling thread's network namespace, for both families. As upstream's image
/// has it (`iptables-wrapper` of `distroless-iptables`): nf_tables' if the kubelet's chains are
/// there in either family; else the legacy one if they are there; else nf_tables'. What is in legacy
/// tables only their own programs can read, so any legacy table `mangle` counts as one with the
/// chains.
///
/// # Errors
/// The kernel has no nf_tables, or does not permit to ask.
pub fn flavour() -> io::Result<Flavour> {
    let mut socket = nf_tables::open()?;
    for family in Family::ALL {
        for hint in HINTS {
            if has_chain(&mut socket, family, HINTED, hint)? {
                return Ok(Flavour::Nft);
            }
        }
    }
    let loaded = Family::ALL.map(|family| (family, legacy_tables(family)));
    Ok(of_legacy_tables(&loaded))
}

fn of_legacy_tables(loaded: &[(Family, Vec<String>)]) -> Flavour {
    if !loaded
        .iter()
        .any(|(_, tables)| tables.iter().any(|table| table == HINTED))
    {
        return Flavour::Nft;
    }
    let named = loaded.iter().filter(|(_, tables)| !tables.is_empty());
    let named = named.map(|(family, tables)| format!("{} ({family})", tables.join(", ")));
    Flavour::Legacy {
        tables: named.collect::<Vec<_>>().join("; "),
    }
}

/// The legacy tables that the kernel has in the calling thread's network namespace; none where it
/// knows none.
pub(crate) fn legacy_tables(family: Family) -> Vec<String> {
    let file = match family {
        Family::V4 => "/proc/thread-self/net/ip_tables_names",
        Family::V6 => "/proc/thread-self/net/ip6_tables_names",
    };
    let names = std::fs::read_to_string(file).unwrap_or_default();
    let mut names: Vec<String> = names.lines().map(str::to_owned).collect();
    names.sort_unstable();
    names
}

/// Whether a table has a chain.
pub(super) fn has_chain(
    socket: &mut Socket,
    family: Family,
    table: &str,
    chain: &str,
) -> io::Result<bool> {
    let kind = nf_tables::message_kind(libc::NFT_MSG_GETCHAIN);
    let answer = socket.request(kind, 0, |out| {
        nf_tables::header(out, protocol_family(family));
        out.text(nfta::CHAIN_TABLE, table);
        out.text(nfta::CHAIN_NAME, chain);
    });
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2e::Namespace;

    #[test]
    fn only_a_legacy_table_that_may_have_hints_is_one() {
        let row = |v4: &[&str], v6: &[&str]| {
            let owned = |tables: &[&str]| tables.iter().map(|name| (*name).to_owned()).collect();
            of_legacy_tables(&[(Family::V4, owned(v4)), (Family::V6, owned(v6))])
        };
        assert_eq!(row(&[], &[]), Flavour::Nft);
        assert_eq!(row(&["filter", "nat"], &["filter"]), Flavour::Nft);
        let Flavour::Legacy { tables } = row(&["filter", "mangle"], &["nat"]) else {
            panic!("the kubelet's chains may be in it");
        };
        assert_eq!(tables, "filter, mangle (IPv4); nat (IPv6)");
    }

    #[test]
    fn the_kubelets_chains_tell_whose_the_rules_are() {
        let namespace = Namespace::create("flavour").expect("a namespace, which needs root");
        let flavour = || namespace.run(flavour).expect("the namespace");
        let is = || flavour().expect("an answer");
        assert_eq!(is(), Flavour::Nft, "nothing is there");
        let make = |program: &str, chain: &str| {
            let words = [program, "-t", "mangle", "-N", chain];
            namespace.exec(&words).expect("a chain");
        };
        make("iptables-legacy", "KUBE-IPTABLES-HINT");
        assert!(
            matches!(is(), Flavour::Legacy { tables } if tables == "mangle (IPv4)"),
            "{:?}",
            is()
        );
        make("ip6tables-nft", "KUBE-KUBELET-CANARY");
        assert_eq!(is(), Flavour::Nft, "nf_tables' are asked first");
    }
}
