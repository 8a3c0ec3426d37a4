//! The chart: bars on a logarithmic scale, as plain SVG that follows the reader's colours.

use std::fmt::Write as _;

use crate::bench_upstream::report::{Row, number};

const SHOWN: [(&str, &str); 4] = [
    ("first_sync_s", "first sync, s"),
    ("update_sync_ms_p50", "sync of one change, ms"),
    ("peak_rss_mb", "peak resident memory, MB"),
    ("cpu_s", "CPU until programmed, s"),
];
const LEFT: f64 = 250.0;
const WIDTH: f64 = 380.0;
const BAR: f64 = 14.0;
/// The scale's ends, as powers of ten.
const DECADES: (f64, f64) = (-3.0, 4.0);

pub(crate) fn svg(rows: &[Row]) -> String {
    let mut bars = String::new();
    let mut y = 40.0;
    for row in rows {
        let _ = writeln!(
            bars,
            r#"<text x="8" y="{:.0}" class="size">{} endpoints</text>"#,
            y + 4.0,
            row.size
        );
        y += 16.0;
        for (name, title) in SHOWN {
            let _ = writeln!(bars, r#"<text x="8" y="{:.0}">{title}</text>"#, y + 18.0);
            let theirs = row.upstream.as_ref().and_then(|figures| figures.get(name));
            bar(&mut bars, "upstream", y, theirs.copied());
            bar(&mut bars, "ours", y + BAR, row.ours.get(name).copied());
            y += 2.0 * BAR + 8.0;
        }
        y += 16.0;
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {y:.0}" role="img">
<title>upstream's kube-proxy and ours, logarithmic scale</title>
<style>
text {{ font: 12px sans-serif; fill: #24292f }}
.size {{ font-weight: bold }}
.upstream {{ fill: #9aa4ae }}
.ours {{ fill: #1f7a4d }}
@media (prefers-color-scheme: dark) {{
text {{ fill: #d7dde3 }}
.upstream {{ fill: #6b7680 }}
.ours {{ fill: #3fb37a }}
}}
</style>
<rect x="{LEFT}" y="10" width="12" height="12" class="upstream"/><text x="268" y="20">upstream</text>
<rect x="350" y="10" width="12" height="12" class="ours"/><text x="368" y="20">ours (each tick of length is a factor; the scale is logarithmic)</text>
{bars}</svg>
"##
    )
}

fn bar(out: &mut String, class: &str, y: f64, value: Option<f64>) {
    let Some(value) = value.filter(|value| *value > 0.0) else {
        let _ = writeln!(
            out,
            r#"<text x="{LEFT}" y="{:.0}">not run</text>"#,
            y + 11.0
        );
        return;
    };
    let (low, high) = DECADES;
    let part = ((value.log10() - low) / (high - low)).clamp(0.005, 1.0);
    let width = WIDTH * part;
    let _ = writeln!(
        out,
        r#"<rect x="{LEFT}" y="{y:.0}" width="{width:.0}" height="{:.0}" class="{class}"/><text x="{:.0}" y="{:.0}">{}</text>"#,
        BAR - 1.0,
        LEFT + width + 6.0,
        y + 11.0,
        number(value)
    );
}
