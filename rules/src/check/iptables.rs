//! What mode iptables needs of a node.

use super::facts::Iptables;
use super::report::Report;
use crate::finding::{Code, Finding, Severity};

/// What serves where something is missing, and how to have the mode all the same.
const INSTEAD: &str = "nftables serves instead, with the promises of mode iptables";

/// Whether chains can be written, and whether the node's own programs would see them.
pub(super) fn mode_iptables(report: &mut Report, iptables: &Iptables) {
    report.group("mode iptables");
    match &iptables.missing {
        Ok(missing) => {
            let found: Vec<Finding> = missing
                .iter()
                .filter(|(_, names)| !names.is_empty())
                .map(|(family, names)| {
                    let names = names.join(", ");
                    Finding::new(
                        Code::KernelFeatureMissing,
                        Severity::Warning,
                        format!("The kernel lacks matches or targets of iptables for {family}: {names}"),
                        format!(
                            "load the modules xt_* and nft_compat that have them; without, {INSTEAD}"
                        ),
                    )
                })
                .collect();
            let detail = match found.len() {
                0 => "all there",
                _ => "some are missing",
            };
            report.check("matches and targets", detail, found);
        }
        Err(why) => report.skipped("matches and targets", why),
    }
    let legacy = iptables.legacy.as_ref().map(|tables| {
        Finding::new(
            Code::KernelFeatureMissing,
            Severity::Warning,
            "The rules of this node's iptables are in the kernel's old tables, which only its own \
             programs can write",
            format!(
                "let the node's programs be those of nf_tables (`update-alternatives --set iptables \
                 /usr/sbin/iptables-nft`) and start it anew; until then, {INSTEAD}"
            ),
        )
        .because(tables)
    });
    let detail = match &iptables.legacy {
        None => "nf_tables",
        Some(_) => "legacy",
    };
    report.check("flavour", detail, legacy);
}
