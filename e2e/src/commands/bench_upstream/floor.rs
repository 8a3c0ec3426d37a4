//! The least that a first sync can take: its bytes, sent by a program that does nothing else.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use e2e::{Namespace, manifest};
use serde_json::Value;

use crate::bench_upstream::measure::Figures;
use crate::bench_upstream::rig::Rig;
use crate::size::Size;

/// Lists what the API server holds into files, and lets `replay` plan, encode and send it.
pub(crate) fn measure(rig: &Rig, size: Size) -> Result<Figures> {
    let program = program()?;
    let directory = rig.directory().join("objects");
    std::fs::create_dir_all(&directory)?;
    for (kind, version, path) in [
        ("Service", "v1", "/api/v1/services"),
        (
            "EndpointSlice",
            "discovery.k8s.io/v1",
            "/apis/discovery.k8s.io/v1/endpointslices",
        ),
        ("Node", "v1", "/api/v1/nodes"),
        (
            "ServiceCIDR",
            "networking.k8s.io/v1",
            "/apis/networking.k8s.io/v1/servicecidrs",
        ),
    ] {
        let mut list: Value = serde_json::from_str(&rig.api.get(path)?)?;
        // The items of a list don't say what they are.
        for item in list["items"].as_array_mut().into_iter().flatten() {
            item["kind"] = kind.into();
            item["apiVersion"] = version.into();
        }
        let items = list["items"].as_array().cloned().unwrap_or_default();
        manifest::write(&directory, kind, &items)?;
    }
    let namespace = Namespace::create("floor")?;
    let directory = directory.to_str().context("directory name is not UTF-8")?;
    let program = program.to_str().context("program name is not UTF-8")?;
    let printed = namespace.exec(&[program, directory, "7"])?;
    let mut figures = Figures::new();
    for line in printed.lines() {
        let (name, value) = line.split_once(' ').context("replay's answer")?;
        for known in [
            "bytes",
            "elements",
            "plan_ms",
            "encode_ms",
            "send_ms",
            "whole_ms",
        ] {
            if name == known {
                figures.insert(known.to_owned(), value.trim().parse()?);
            }
        }
    }
    eprintln!("{size}: floor: {figures:.3?}");
    Ok(figures)
}

fn program() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let path = program.with_file_name("examples").join("replay");
    ensure!(path.is_file(), "{} is not built", path.display());
    Ok(path)
}
