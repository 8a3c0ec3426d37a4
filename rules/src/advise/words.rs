//! Figures as people read them, and how many pods come out even.

/// A share.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// As many pods as come out even on so many nodes: no more than one each, or as many on each, if
/// that is no more than a third on top.
pub(super) fn spread_replicas(pods: usize, nodes: usize) -> usize {
    if pods <= nodes || nodes == 0 {
        return pods;
    }
    let even = pods.div_ceil(nodes) * nodes;
    match (even - pods) * 3 <= pods {
        true => even,
        false => pods,
    }
}

/// How so many pods are on so many nodes when they are spread, and what that does.
pub(super) fn spread_words(pods: usize, nodes: usize) -> String {
    let each = pods.checked_div(nodes).unwrap_or_default();
    match () {
        () if pods <= nodes => {
            format!("{pods} pods on as many of {nodes} nodes get the same")
        }
        () if pods.is_multiple_of(nodes) => format!(
            "{pods} pods, {each} on each of {nodes} nodes, get {} each",
            percent(1.0 / pods as f64)
        ),
        () => format!(
            "{pods} pods, {each} or {} on each of {nodes} nodes, are as even as they go",
            each + 1
        ),
    }
}
