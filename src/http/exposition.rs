//! Metrics in the formats that Prometheus asks for.

use super::Answer;
use super::accept::accepted;
use crate::metrics::start_time;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::StatusCode;
use hyper::header::{ACCEPT_ENCODING, HeaderMap};
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, ProtobufEncoder, TextEncoder};
use std::io::Write;

const PROTOBUF: &str = "application/vnd.google.protobuf";
const FAMILY: &str = "io.prometheus.client.MetricFamily";

/// Answers with these metrics, as text or protobuf, packed if the client
/// unpacks. Upstream offers no OpenMetrics either.
pub(super) fn expose(families: &[MetricFamily], headers: &HeaderMap) -> Answer {
    let (encoded, content_type) = match encode(families, headers) {
        Ok(encoded) => encoded,
        Err(error) => {
            let text = format!("An error has occurred while serving metrics:\n\n{error}\n");
            return Answer::error(StatusCode::INTERNAL_SERVER_ERROR, text);
        }
    };
    let packed = takes_gzip(headers).then(|| pack(&encoded)).flatten();
    let is_packed = packed.is_some();
    let answer = Answer::plain(&content_type, packed.unwrap_or(encoded));
    let answer = if is_packed {
        answer.with_header("content-encoding", "gzip")
    } else {
        answer
    };
    match start_time() {
        Some(start) => answer.with_header("process-start-time-unix", &format!("{start:.0}")),
        None => answer,
    }
}

fn encode(families: &[MetricFamily], headers: &HeaderMap) -> prometheus::Result<(Vec<u8>, String)> {
    let mut body = Vec::new();
    for range in accepted(headers) {
        // Every name here is the same in all of them.
        let escaping = match range.parameter("escaping") {
            known @ ("allow-utf-8" | "dots" | "values") => known,
            _ => "underscores",
        };
        let delimited = (FAMILY, "delimited");
        if range.media == PROTOBUF
            && (range.parameter("proto"), range.parameter("encoding")) == delimited
        {
            ProtobufEncoder::new().encode(families, &mut body)?;
            let content_type =
                format!("{PROTOBUF}; proto={FAMILY}; encoding=delimited; escaping={escaping}");
            return Ok((body, content_type));
        }
        if range.media == "text/plain" && matches!(range.parameter("version"), "" | "0.0.4") {
            return text(families, escaping);
        }
    }
    text(families, "underscores")
}

fn text(families: &[MetricFamily], escaping: &str) -> prometheus::Result<(Vec<u8>, String)> {
    let mut body = Vec::new();
    TextEncoder::new().encode(families, &mut body)?;
    let content_type = format!("text/plain; version=0.0.4; charset=utf-8; escaping={escaping}");
    Ok((body, content_type))
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let header = headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    header
        .into_iter()
        .flat_map(|all| all.split(','))
        .any(|own| {
            let (coding, parameters) = own.split_once(';').unwrap_or((own, ""));
            coding.trim() == "gzip" && parameters.replace(' ', "") != "q=0"
        })
}

/// Writing to memory does not fail; if it did, the plain form is as good.
fn pack(body: &[u8]) -> Option<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(body).ok()?;
    packer.finish().ok()
}
