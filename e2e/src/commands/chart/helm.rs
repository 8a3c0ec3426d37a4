//! Helm, as a reader would call it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use e2e::target_directory;

use crate::chart::checkout;

const CHART: &str = "charts/kube-proxy-rs";
/// Names the cluster's version, which Helm can't ask for here.
const CONTROL_PLANE: &str = include_str!("../../../controlplane/go.mod");
/// The plain manifest, for `kubectl apply`.
pub(crate) const MANIFEST: &str = "deploy/kube-proxy-rs.yaml";

const HEADER: &str = "\
# kube-proxy-rs without Helm. Rendered from charts/kube-proxy-rs by `make manifest`; don't edit it.
# API_SERVER stands for the API server's address as the nodes reach it, CLUSTER_CIDR for the pods'
# ranges, one per family with a comma between:
#
#   sed -e 's/API_SERVER/10.0.0.1/' -e 's|CLUSTER_CIDR|10.244.0.0/16|' deploy/kube-proxy-rs.yaml |
#       kubectl apply -f -
";

/// Runs a program that `make` put into target/tools/bin; returns what it printed.
pub(crate) fn tool(name: &str, arguments: &[&str]) -> Result<String> {
    let path = target_directory().join("tools/bin").join(name);
    let mut command = Command::new(&path);
    // Nothing of the user's own configuration.
    command
        .args(arguments)
        .env("HELM_NO_PLUGINS", "1")
        .current_dir(checkout("."));
    let output = command
        .output()
        .with_context(|| format!("run {}: `make chart` builds it", path.display()))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        bail!("{name}: {}{}", said(&output.stdout), said(&output.stderr));
    }
    Ok(said(&output.stdout))
}

pub(crate) fn lint(values: &Path) -> Result<()> {
    helm(&["lint", "--strict", "--quiet", CHART], values).map(drop)
}

const TEMPLATE: [&str; 5] = [
    "template",
    "kube-proxy-rs",
    CHART,
    "--namespace",
    "kube-system",
];

pub(crate) fn template(values: &Path) -> Result<String> {
    helm(&TEMPLATE, values)
}

fn helm(arguments: &[&str], values: &Path) -> Result<String> {
    let mut arguments = arguments.to_vec();
    let values = values.to_str().context("a path that is no text")?;
    let version = CONTROL_PLANE
        .lines()
        .find_map(|line| line.strip_prefix("require k8s.io/kubernetes v"))
        .context("no version of Kubernetes in e2e/controlplane/go.mod")?;
    arguments.extend(["--kube-version", version, "--values", values]);
    tool("helm", &arguments)
}

/// These values are refused with what their first line says.
pub(crate) fn refuses(values: &Path) -> Result<()> {
    let text = std::fs::read_to_string(values)?;
    let says = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("# says: "));
    let says = says.with_context(|| format!("{}: no `# says:`", values.display()))?;
    match template(values) {
        Ok(_) => bail!("they are taken"),
        Err(error) => {
            let error = format!("{error:#}");
            // Schema errors name the place as a path or in dots, by Helm's version.
            let dotted = says.trim_start_matches('/').replace('/', ".");
            ensure!(
                error.contains(says) || error.contains(&dotted),
                "not for {says:?}: {error}"
            );
            Ok(())
        }
    }
}

/// The plain manifest in the checkout is what the chart comes to.
pub(crate) fn manifest_is_current() -> Result<()> {
    let is = std::fs::read_to_string(checkout(MANIFEST))?;
    ensure!(
        is == manifest()?,
        "not what the chart comes to: make manifest"
    );
    Ok(())
}

/// The chart's `appVersion`, which is the image's tag, is the program's version.
pub(crate) fn version_is_the_programs() -> Result<()> {
    let text = std::fs::read_to_string(checkout(CHART).join("Chart.yaml"))?;
    let chart: serde_json::Value = serde_saphyr::from_str(&text)?;
    let (is, version) = (&chart["appVersion"], env!("CARGO_PKG_VERSION"));
    ensure!(*is == version, "{is}, not {version}");
    Ok(())
}

/// The plain manifest: without what only Helm has a use for.
pub(crate) fn manifest() -> Result<String> {
    // The schema knows no words that stand for something.
    let arguments = [&TEMPLATE[..], &["--skip-schema-validation"]].concat();
    let rendered = helm(&arguments, &checkout("e2e/chart/plain.yaml"))?;
    let mut text = HEADER.to_owned();
    for line in rendered.lines() {
        let line_of_helm = [
            "helm.sh/chart:",
            "app.kubernetes.io/managed-by:",
            "# Source:",
        ]
        .iter()
        .any(|mark| line.trim_start().starts_with(mark));
        if !line_of_helm {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    Ok(text)
}
