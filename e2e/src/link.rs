//! Links between namespaces, their addresses and routes.

use std::process::Command;

use anyhow::{Context, Result};

use crate::Namespace;
use crate::namespace::output;

/// Runs `ip` commands, one a line and without the word `ip`, inside `namespace`. Lines that begin
/// with `-6` run after the others.
///
/// # Errors
/// What `ip` says of the first line that it refuses.
pub fn ip(namespace: &Namespace, script: &str) -> Result<()> {
    // A batch can't switch families by itself.
    let (six, any): (Vec<_>, Vec<_>) = script.lines().partition(|line| line.starts_with("-6 "));
    let six: Vec<_> = six.iter().map(|line| &line[3..]).collect();
    for (family, lines) in [(None, any), (Some("-6"), six)] {
        if lines.is_empty() {
            continue;
        }
        let script = lines.join("\n");
        let mut command = Command::new("ip");
        command
            .args(family)
            .args(["-n", namespace.name(), "-batch", "-"]);
        output(&mut command, &script).with_context(|| format!("commands were:\n{script}"))?;
    }
    Ok(())
}

/// Joins two namespaces by a veth pair, given as namespace and interface name; both ends are up.
///
/// # Errors
/// What `ip` says.
pub fn veth(left: (&Namespace, &str), right: (&Namespace, &str)) -> Result<()> {
    let mut command = Command::new("ip");
    command
        .args([
            "link",
            "add",
            left.1,
            "netns",
            left.0.name(),
            "type",
            "veth",
        ])
        .args(["peer", "name", right.1, "netns", right.0.name()]);
    output(&mut command, "")?;
    for (namespace, interface) in [left, right] {
        ip(namespace, &format!("link set {interface} up"))?;
    }
    Ok(())
}
