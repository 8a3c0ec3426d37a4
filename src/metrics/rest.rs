//! `rest_client_*`: the client of the API server, counted as client-go counts.

use super::maker::Maker;
use prometheus::{Histogram, HistogramVec, IntCounterVec};
use std::time::Instant;

const TIMES: [f64; 12] = [
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0,
];
const SIZES: [f64; 11] = [
    64.0,
    256.0,
    512.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];

/// A handle; clones share the metrics.
#[derive(Clone, Debug)]
pub struct RestMetrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    request_sizes: HistogramVec,
    response_sizes: HistogramVec,
    waits: HistogramVec,
}

impl RestMetrics {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        let by_verb = ["verb", "host"];
        Ok(Self {
            requests: make.int_counters(
                "rest_client_requests_total",
                "Requests to the API server",
                &["code", "method", "host"],
            )?,
            durations: make.histograms(
                "rest_client_request_duration_seconds",
                "Time that requests took, but for watches",
                &TIMES,
                &by_verb,
            )?,
            request_sizes: make.histograms(
                "rest_client_request_size_bytes",
                "Bodies of requests, but for watches",
                &SIZES,
                &by_verb,
            )?,
            response_sizes: make.histograms(
                "rest_client_response_size_bytes",
                "Bodies of answers, but for watches",
                &SIZES,
                &by_verb,
            )?,
            waits: make.histograms(
                "rest_client_rate_limiter_duration_seconds",
                "Time that requests were held back to keep to the allowed rate",
                &TIMES,
                &by_verb,
            )?,
        })
    }

    /// A request was let go after waiting for so long.
    pub fn waited(&self, verb: &str, host: &str, seconds: f64) {
        self.waits.with_label_values(&[verb, host]).observe(seconds);
    }

    /// A request has its final answer; `None` for none at all.
    pub fn answered(&self, verb: &str, host: &str, code: Option<u16>) {
        let code = code.map_or_else(|| "<error>".to_owned(), |code| code.to_string());
        self.requests.with_label_values(&[&code, verb, host]).inc();
    }

    /// A request with a body of this size begins that is not a watch.
    pub fn begin(&self, verb: &str, host: &str, size: f64) -> Exchange {
        let labels = &[verb, host];
        self.request_sizes.with_label_values(labels).observe(size);
        Exchange {
            begun: Instant::now(),
            received: None,
            duration: self.durations.with_label_values(labels),
            size: self.response_sizes.with_label_values(labels),
        }
    }
}

/// A request under way; its end is its drop.
#[derive(Debug)]
pub struct Exchange {
    begun: Instant,
    /// What came of the body; `None` before there is an answer.
    received: Option<f64>,
    duration: Histogram,
    size: Histogram,
}

impl Exchange {
    /// Some of the answer is there.
    pub fn receive(&mut self, bytes: usize) {
        *self.received.get_or_insert_default() += bytes as f64;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.duration.observe(self.begun.elapsed().as_secs_f64());
        if let Some(received) = self.received {
            self.size.observe(received);
        }
    }
}
