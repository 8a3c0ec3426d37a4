//! Reports of earlier runs: a page may be made of several, as a large size takes long.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bench_upstream::measure::Figures;
use crate::bench_upstream::packets::PacketRow;
use crate::bench_upstream::report::{Report, Row};
use crate::size::Size;

/// Adds what a `report.json` holds.
pub(crate) fn add(report: &mut Report, path: &Path) -> Result<()> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(name)?;
    let value: Value = serde_json::from_str(&text).with_context(name)?;
    let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
    for own in list("sizes") {
        report.sizes.push(row(&own).with_context(name)?);
    }
    for own in list("packets") {
        let row = PacketRow::from_json(&own);
        report.packets.push(row.with_context(name)?);
    }
    Ok(())
}

fn row(value: &Value) -> Result<Row> {
    let number = |name: &str| -> Result<usize> {
        let number = value[name].as_u64().with_context(|| name.to_owned())?;
        Ok(usize::try_from(number)?)
    };
    Ok(Row {
        size: Size {
            services: number("services")?,
            endpoints: number("endpoints")?,
        },
        upstream: figures(&value["upstream"]),
        ours: figures(&value["ours"]).context("ours")?,
        floor: figures(&value["floor"]),
    })
}

fn figures(value: &Value) -> Option<Figures> {
    let all = value.as_object()?.iter();
    let known = all.filter_map(|(name, value)| {
        // A handful of names, for as long as the program runs.
        let name: &'static str = String::leak(name.clone());
        Some((name, value.as_f64()?))
    });
    Some(known.collect())
}
