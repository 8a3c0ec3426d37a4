//! Binaries of other architectures, under emulation. qemu's user mode knows no nf_tables
//! sockets, so they print rules instead of loading them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::image::node::TestNode;

/// The foreign binary makes the same rules of the node's manifests as this machine's.
pub(crate) fn renders_the_same(node: &TestNode, native: &Path, foreign: &Path) -> Result<()> {
    let emulator = emulator(foreign)?;
    let expected = render(node, Command::new(native))?;
    let mut emulated = Command::new(emulator);
    emulated.arg(foreign);
    let other = render(node, emulated)?;
    ensure!(
        expected.contains("default/web:tcp"),
        "the Service is missing:\n{expected}"
    );
    ensure!(expected == other, "the rules differ:\n{other}");
    Ok(())
}

fn render(node: &TestNode, mut command: Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command
        .args([
            "render",
            "--hostname-override=node-1",
            "--proxy-mode=nftables",
            "--manifests",
        ])
        .arg(node.manifests())
        .output()
        .with_context(|| format!("run {shown}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown}: {error}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The emulator for an ELF file, by the machine that its header names.
fn emulator(binary: &Path) -> Result<&'static str> {
    let bytes = std::fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
    match bytes.get(18..20) {
        Some([0xb7, 0]) => Ok("qemu-aarch64-static"),
        Some([0x3e, 0]) => Ok("qemu-x86_64-static"),
        other => bail!("{}: a binary for machine {other:?}", binary.display()),
    }
}
