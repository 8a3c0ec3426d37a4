//! `man DIR`: writes the man pages of the program and of each of its commands.

use anyhow::{Context, Result};
use kube_proxy::cli::root;

fn main() -> Result<()> {
    let dir = std::env::args().nth(1).context("usage: man DIR")?;
    std::fs::create_dir_all(&dir).with_context(|| dir.clone())?;
    clap_mangen::generate_to(root(), &dir).with_context(|| dir.clone())
}
