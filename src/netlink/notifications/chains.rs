//! What others do to kube-proxy's chains in the tables of iptables.

use super::kind_of_edit;
use nft_wire::nf_tables::nfta;
use nft_wire::{attribute, text_of};
use rules::drift::{Edit, What};
use rules::iptables::rule::Table;
use rules::iptables::setup::Role;
use rules::model::Family;

/// What a message tells, if it is about our chains or may be about jumps to them.
pub(super) fn edit(family: Family, kind: libc::c_int, body: &[u8]) -> Option<Edit> {
    let (what, added) = kind_of_edit(kind)?;
    // First without a copy: most of what is told is about others' tables.
    let table = attribute(body, nfta::OBJECT_TABLE)?;
    let table = Table::named(str::from_utf8(table.strip_suffix(&[0]).unwrap_or(table)).ok()?)?;
    let chain = match what {
        What::Table => None,
        What::Chain => Some(nfta::CHAIN_NAME),
        What::Rule => Some(nfta::RULE_CHAIN),
        _ => return None,
    };
    let name = chain.map(|chain| text_of(body, chain).unwrap_or_default());
    let role = name.as_deref().map(|chain| Role::of(table, chain));
    let what = match (role, what, added) {
        // A table that is there can only be told to be dormant or not.
        (None, What::Table, false) => What::Table,
        // The kubelet makes it, and adds the rule that we have in it.
        (Some(Role::Own), _, _) | (Some(Role::Kubelets), _, false) => what,
        // A rule that is replaced is told as one that is deleted, too.
        (Some(Role::Entrance), _, false) => What::Jump,
        _ => return None,
    };
    Some(Edit {
        family,
        table: Some(table.name()),
        added,
        what,
        name: name.unwrap_or_default(),
        count: 1,
    })
}

/// Whether upstream's kube-proxy does that in each of its syncs.
pub(super) fn is_rewritten_by_upstream(edit: &Edit) -> bool {
    let rewritten = ["KUBE-POSTROUTING", "KUBE-FORWARD"].contains(&&*edit.name);
    edit.added && edit.what == What::Rule && rewritten
}

/// Whether a process is `iptables-restore` in one of its names, of which the kernel keeps 15 bytes: a
/// person who adds a rule does not use it.
pub(super) fn is_restore(process: &str) -> bool {
    let strip = |name| process.strip_prefix(name);
    let program = strip("iptables-").or_else(|| strip("ip6tables-"));
    program.is_some_and(|name| name.strip_prefix("nft-").unwrap_or(name).starts_with('r'))
}
