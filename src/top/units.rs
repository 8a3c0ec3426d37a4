//! Numbers as people read them.

/// `4,301`.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Events per second: `0`, `<0.1`, `0.5`, `812`, `2,140`.
pub(super) fn rate(per_second: f64) -> String {
    if per_second == 0.0 {
        return "0".to_owned();
    }
    if per_second < 0.05 {
        return "<0.1".to_owned();
    }
    if per_second < 9.95 {
        return format!("{per_second:.1}");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts by time are neither negative nor near 2^64"
    )]
    count(per_second.round() as u64)
}

/// Bytes per second in powers of 1000, as networks are measured: `0 B`, `92.1 MB`.
pub(super) fn bytes(per_second: f64) -> String {
    let mut value = per_second;
    for unit in ["B", "kB", "MB", "GB"] {
        // What would be shown as 1000.0 is one of the next unit.
        if value < 999.95 {
            let digits = usize::from(unit != "B");
            return format!("{value:.digits$} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// `34%`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// `2.0x`.
pub(super) fn times(factor: f64) -> String {
    format!("{factor:.1}x")
}
