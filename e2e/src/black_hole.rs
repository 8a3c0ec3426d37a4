//! Connections that nothing passes any more, as if the machine at their end had lost its power.

use std::process::Command;

use anyhow::Result;

use crate::Namespace;
use crate::namespace::output;

/// Which packets are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Those of the clients.
    Requests,
    /// Those of both ends.
    All,
}

/// Drops packets between `server`'s TCP port in the namespace of this name and these ports of
/// clients, instead of those that an earlier call for the same server named. No end learns of it.
///
/// # Errors
/// If nft refuses.
pub fn black_hole(namespace: &str, server: u16, clients: &[u16], lost: Lost) -> Result<()> {
    let table = format!("black-hole-{server}");
    let mut ruleset = format!("add table inet {table}\ndelete table inet {table}\n");
    if !clients.is_empty() {
        let ports: Vec<_> = clients.iter().map(ToString::to_string).collect();
        let ports = ports.join(", ");
        let hook = |name: &str| format!("type filter hook {name} priority -300;");
        let mut chains = format!(
            "chain in {{ {} tcp dport {server} tcp sport {{ {ports} }} drop; }}\n",
            hook("input")
        );
        if lost == Lost::All {
            chains += &format!(
                "chain out {{ {} tcp sport {server} tcp dport {{ {ports} }} drop; }}\n",
                hook("output")
            );
        }
        ruleset += &format!("table inet {table} {{\n{chains}}}\n");
    }
    Namespace::run_in(namespace, || {
        output(Command::new("nft").args(["-f", "-"]), &ruleset)
    })??;
    Ok(())
}
