//! What the servers answer, byte for byte (docs/reference.md#health-port and what follows), by
//! real requests in network namespaces of their own.

mod attacks;
mod health;
mod metrics;
mod oddities;
mod service_health;
mod zpages;

use crate::about::About;
use crate::events::Recorder;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::mode::Mode;
use crate::settings::Settings;
use crate::telemetry::Telemetry;
use e2e::Namespace;
use e2e::http::{Request, Response};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// A runtime whose threads, and so whose sockets, are in a namespace.
struct Site {
    runtime: Option<Runtime>,
    namespace: Namespace,
    telemetry: Telemetry,
}

impl Site {
    fn new() -> Self {
        // Tests are clients as well, all in one process.
        crate::descriptors::raise();
        let namespace = Namespace::create("http").expect("a namespace, which needs root");
        let runtime = namespace.run(|| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
        });
        let health = Arc::new(Health::new(Duration::from_secs(60)));
        let metrics = Metrics::new().expect("metrics");
        Self {
            runtime: Some(runtime.expect("the namespace").expect("a runtime")),
            namespace,
            telemetry: Telemetry {
                metrics,
                health,
                events: Recorder::nowhere(),
            },
        }
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it runs until the end")
    }

    /// The health and the metrics server with these flags.
    fn serve(&self, flags: &[&str]) -> tokio::task::JoinHandle<anyhow::Result<()>> {
        self.serve_profiling(flags, false)
    }

    /// The same, with or without `/debug`.
    fn serve_profiling(
        &self,
        flags: &[&str],
        profiling: bool,
    ) -> tokio::task::JoinHandle<anyhow::Result<()>> {
        let mut words = flags.to_vec();
        if profiling {
            words.push("--profiling");
        }
        let settings = settings(&words);
        let about = About::new(&settings, Mode::Nftables);
        let servers = super::serve((&settings).into(), about, self.telemetry.clone());
        self.runtime().spawn(servers)
    }

    /// Answers to a GET, once there is a server.
    fn get(&self, server: &str, path: &str) -> Response {
        let server: SocketAddr = server.parse().expect("an address");
        let mut response = None;
        e2e::wait::until("an answer", Duration::from_secs(30), || {
            response = Some(self.namespace.get(server, path)?);
            Ok(())
        })
        .expect("a server");
        response.expect("an answer")
    }

    /// The answer to a request, from a server that is there.
    fn send(&self, server: &str, request: &Request) -> Response {
        let server: SocketAddr = server.parse().expect("an address");
        let sent = self
            .namespace
            .run(|| e2e::http::send(server, request, Duration::from_secs(5)));
        sent.expect("the namespace").expect("an answer")
    }

    fn refuses(&self, server: &str) -> bool {
        let server: SocketAddr = server.parse().expect("an address");
        self.namespace.get(server, "/").is_err()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Its sockets would keep the namespace alive.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

fn settings(flags: &[&str]) -> Settings {
    Settings::from_flags(flags).expect("flags")
}

/// The answer as it came, but for its date.
fn raw(response: &Response) -> String {
    let head = response.head.lines();
    let kept = head.filter(|line| !line.to_lowercase().starts_with("date: "));
    let head: Vec<&str> = kept.collect();
    format!("{}\n\n{}", head.join("\n"), response.body)
}
