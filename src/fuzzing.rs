//! Entry points for the targets of the package `fuzz`: the places where bytes from outside come
//! in, without the files, sockets and clocks around them. Only there with the feature `fuzzing`.

use crate::about::About;
use crate::events::Recorder;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::mode::Mode;
use crate::settings::Settings;
use crate::telemetry::Telemetry;
use crate::{http, source};
use rules::{Change, ObjectKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

pub use crate::netlink::fuzzing::datagram;
pub use crate::source::answers::Answer;
pub use crate::source::kubeconfigs::{kubeconfig, proxy};

/// What a manifest comes to on the node `n1`.
#[derive(Debug, Default)]
pub struct Manifest {
    /// Its objects, in the order of the file.
    pub events: Vec<Change>,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// Reads a manifest; the extension `json` chooses JSON, any other one YAML.
pub fn manifest(extension: &str, text: &str) -> Manifest {
    let path = Path::new("fuzz").with_extension(extension);
    let (events, problems) = source::read_text(&path, text, "n1");
    Manifest { events, problems }
}

/// What an API server's answer comes to: a list, or the events of a watch.
pub fn answer<'a>(
    kind: ObjectKind,
    is_list: bool,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Answer {
    source::answers::answer(kind, is_list, pieces)
}

/// The health and the metrics server, without their sockets.
#[derive(Clone)]
pub struct Servers {
    about: About,
    telemetry: Telemetry,
}

impl Servers {
    /// With every page that there is.
    ///
    /// # Errors
    /// The flags or the metrics are wrong, which is a mistake of this program.
    pub fn new() -> anyhow::Result<Self> {
        let gates = "--feature-gates=ComponentFlagz=true,ComponentStatusz=true";
        let flags = ["--hostname-override=n1", "--profiling", gates];
        let telemetry = Telemetry {
            health: Arc::new(Health::new(Duration::from_secs(60))),
            metrics: Metrics::new()?,
            events: Recorder::nowhere(),
        };
        let about = About::new(&Settings::from_flags(&flags)?, Mode::Nftables);
        Ok(Self { about, telemetry })
    }

    /// Answers on a connection until it ends; inside a runtime.
    pub async fn answer(self, stream: impl AsyncRead + AsyncWrite + Unpin, is_metrics: bool) {
        http::answer_stream(stream, is_metrics, self.about, self.telemetry).await;
    }
}
