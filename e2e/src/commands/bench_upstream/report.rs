//! What a run came to: as JSON, as a table, as a page.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::bench_upstream::chart;
use crate::bench_upstream::measure::Figures;
use crate::bench_upstream::packets::PacketRow;
use crate::mode::Mode;
use crate::report::write_report;
use crate::size::Size;

/// Name in the report, title, unit.
const SHOWN: [(&str, &str); 15] = [
    ("first_sync_s", "first sync, s"),
    ("start_to_programmed_s", "start → last Service answers, s"),
    ("update_sync_ms_p50", "sync of one change p50, ms"),
    ("update_sync_ms_p99", "sync of one change p99, ms"),
    ("change_to_packet_ms_p50", "change → packet p50, ms"),
    ("change_to_packet_ms_p99", "change → packet p99, ms"),
    ("service_sync_ms_p50", "sync of a new Service p50, ms"),
    ("burst_s", "burst of 1,000 changes, s"),
    ("burst_cpu_s", "CPU of the burst, s"),
    ("peak_rss_mb", "peak resident memory, first sync, MB"),
    (
        "peak_rss_with_children_mb",
        "the same with children, sampled, MB",
    ),
    (
        "peak_rss_after_changes_mb",
        "peak resident memory, whole run, MB",
    ),
    ("cpu_s", "CPU, start → programmed, s"),
    ("cpu_ms_per_update", "CPU of one change, ms"),
    ("kernel_mb", "kernel memory of the table, MB"),
];
const BEGIN: &str = "<!-- bench-upstream begins -->\n";
const END: &str = "<!-- bench-upstream ends -->\n";

/// One size.
#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) size: Size,
    pub(crate) upstream: Option<Figures>,
    pub(crate) ours: Figures,
    /// How many times as much upstream takes, by the figures' names.
    ratio: Figures,
    pub(crate) floor: Option<Figures>,
}

impl Row {
    pub(crate) fn new(
        size: Size,
        upstream: Option<Figures>,
        ours: Figures,
        floor: Option<Figures>,
    ) -> Self {
        let ratio = |(name, _): &(&str, &str)| {
            let (upstream, ours) = (upstream.as_ref()?.get(*name)?, ours.get(*name)?);
            (*ours > 0.0).then(|| ((*name).to_owned(), upstream / ours))
        };
        Self {
            size,
            ratio: SHOWN.iter().filter_map(ratio).collect(),
            upstream,
            ours,
            floor,
        }
    }

    fn is_bound(&self) -> bool {
        let upstream = self.upstream.as_ref();
        upstream.is_some_and(|figures| figures.contains_key("lower_bound"))
    }
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) packets: Vec<PacketRow>,
    pub(crate) sizes: Vec<Row>,
}

impl Report {
    /// Adds what an earlier run wrote: a page may be made of several, as a large size takes long.
    pub(crate) fn add(&mut self, path: &Path) -> Result<()> {
        let name = || path.display().to_string();
        let text = fs::read_to_string(path).with_context(name)?;
        let earlier: Self = serde_json::from_str(&text).with_context(name)?;
        self.packets.extend(earlier.packets);
        self.sizes.extend(earlier.sizes);
        Ok(())
    }

    /// Writes `target/bench/report.json`, or that of another mode.
    pub(crate) fn save(&self, mode: Mode) -> Result<PathBuf> {
        write_report(&mode.directory("bench"), self)
    }

    /// Tables as Markdown, which a terminal shows well enough.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for row in &self.sizes {
            size_table(&mut text, row);
        }
        if !self.packets.is_empty() {
            text.push_str(
                "| connections to | Services | upstream, 1/s | ours, 1/s | ratio (middle half) \
                 | upstream, first answer | ours, first answer | failed |\n\
                 |---|--:|--:|--:|--:|--:|--:|--:|\n",
            );
            for row in &self.packets {
                text.push_str(&row.line());
            }
        }
        text
    }

    /// Replaces this program's part of the mode's page in `docs`, and its chart.
    pub(crate) fn write_docs(&self, mode: Mode) -> Result<()> {
        let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).with_file_name("docs");
        let name = mode.directory("benchmarks");
        let path = docs.join(format!("{name}.md"));
        let page = fs::read_to_string(&path)
            .unwrap_or_else(|_| format!("# Benchmarks of mode {mode}\n\n"));
        let ours = format!("{BEGIN}\n{}\n{END}", self.text().trim_end());
        let page = match (page.find(BEGIN), page.find(END)) {
            (Some(begin), Some(end)) if begin < end => {
                format!("{}{ours}{}", &page[..begin], &page[end + END.len()..])
            }
            _ => format!("{page}\n{ours}"),
        };
        fs::write(&path, page).with_context(|| format!("write {}", path.display()))?;
        fs::write(docs.join(format!("{name}.svg")), chart::svg(&self.sizes))?;
        let report = docs.join(format!("{name}.json"));
        fs::copy(self.save(mode)?, report).context("copy the report")?;
        Ok(())
    }
}

fn size_table(text: &mut String, row: &Row) {
    let bound = if row.is_bound() { "> " } else { "" };
    let _ = writeln!(
        text,
        "| {} | upstream | ours | upstream / ours |\n|---|--:|--:|--:|",
        row.size
    );
    for (name, title) in SHOWN {
        let Some(ours) = row.ours.get(name) else {
            continue;
        };
        let theirs = row.upstream.as_ref().and_then(|figures| figures.get(name));
        let theirs = theirs.map_or("—".into(), |value| format!("{bound}{}", number(*value)));
        let ratio = row.ratio.get(name);
        let ratio = ratio.map_or("—".into(), |value| format!("{bound}{}", number(*value)));
        let _ = writeln!(text, "| {title} | {theirs} | {} | {ratio} |", number(*ours));
    }
    if let Some(floor) = &row.floor {
        let first_sync = row.ours.get("first_sync_s").copied().unwrap_or(f64::NAN);
        let of = |name: &str| floor.get(name).copied().unwrap_or(f64::NAN);
        let _ = writeln!(
            text,
            "\nThe floor: {:.1} MB of messages for {} elements, sent by a program that does \
             nothing else: {:.0} ms (median of 7); planning them {:.0} ms, encoding {:.0} ms, all \
             three {:.2} × the floor. The daemon's first sync: {:.2} × the floor, {:.2} µs an \
             element.",
            of("bytes") / 1e6,
            of("elements"),
            of("send_ms"),
            of("plan_ms"),
            of("encode_ms"),
            of("whole_ms") / of("send_ms"),
            first_sync * 1e3 / of("send_ms"),
            first_sync * 1e6 / of("elements"),
        );
    }
    text.push('\n');
}

/// With about three digits that count.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_in_docs_can_be_added_to() {
        let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).with_file_name("docs");
        let mut report = Report::default();
        report.add(&docs.join("benchmarks.json")).expect("a report");
        let [packets, sizes] = [report.packets.len(), report.sizes.len()];
        assert!(packets > 0 && sizes > 0, "{packets} {sizes}");
        let text = fs::read_to_string(docs.join("benchmarks.md")).expect("the page");
        assert!(text.contains(report.text().trim_end()), "{}", report.text());
    }
}
