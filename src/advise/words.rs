//! Figures as people read them.

/// A share.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}
