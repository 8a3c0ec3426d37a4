//! What a watch sends.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::channel::Sender;
use hyper::body::Bytes;
use serde_json::json;

use super::Shared;
use super::answer::Query;
use super::behaviour::Kind;
use super::store::line;

/// As the real one's.
const BOOKMARKS: Duration = Duration::from_secs(60);

/// Where a watch begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// With all objects and a bookmark that says so.
    Bookmarked,
    /// With all objects.
    Beginning,
    /// After this resourceVersion.
    Version(u64),
}

type Body = Sender<Bytes, std::io::Error>;
/// The client is gone.
struct Gone;

/// Sends until the client goes, its time is up, or all watches are ended.
pub(super) fn send(
    shared: Arc<Shared>,
    kind: Kind,
    from: From,
    query: &Query,
    body: Body,
) -> impl Future<Output = ()> + Send + use<> {
    let seconds = query
        .get("timeoutSeconds")
        .and_then(|text| text.parse().ok());
    let watch = Watch {
        shared,
        kind,
        only: query.name().map(str::to_owned),
        body,
        version: 0,
    };
    async move {
        let limit = Duration::from_secs(seconds.unwrap_or(1 << 20));
        tokio::time::timeout(limit, watch.run(from)).await.ok();
    }
}

struct Watch {
    shared: Arc<Shared>,
    kind: Kind,
    only: Option<String>,
    body: Body,
    version: u64,
}

impl Watch {
    async fn run(mut self, from: From) -> Result<(), Gone> {
        // Before anything is read, so that no change is missed.
        let mut changed = self.shared.version.subscribe();
        let mut ended = self.shared.ended.subscribe();
        self.begin(from).await?;
        let mut bookmarks = tokio::time::interval(BOOKMARKS);
        bookmarks.reset();
        loop {
            self.changes().await?;
            tokio::select! {
                _ = changed.changed() => {}
                _ = ended.changed() => return Ok(()),
                _ = bookmarks.tick() => self.bookmark(false).await?,
            }
        }
    }

    async fn begin(&mut self, from: From) -> Result<(), Gone> {
        if let From::Version(version) = from {
            self.version = version;
            return Ok(());
        }
        let objects = {
            let store = self.shared.store();
            self.version = store.version();
            store.of_kind(self.kind, self.only.as_deref())
        };
        for object in objects {
            self.line(line("ADDED", &object)).await?;
        }
        match from {
            From::Bookmarked => self.bookmark(true).await,
            _ => Ok(()),
        }
    }

    async fn changes(&mut self) -> Result<(), Gone> {
        let since = self.shared.store().since(self.kind, self.version);
        let Some((changes, version)) = since else {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "reason": "Expired", "message": "too old resource version", "code": 410,
            });
            self.line(line("ERROR", &status)).await?;
            return Err(Gone);
        };
        for change in changes {
            if self.only.as_ref().is_none_or(|only| *only == change.name) {
                self.line(change.line.to_string()).await?;
            }
        }
        self.version = version;
        Ok(())
    }

    async fn bookmark(&mut self, is_end_of_list: bool) -> Result<(), Gone> {
        let (kind, _, api) = self.kind.about();
        let mut metadata = json!({"resourceVersion": self.version.to_string()});
        if is_end_of_list {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"kind": kind, "apiVersion": api, "metadata": metadata});
        self.line(line("BOOKMARK", &object)).await
    }

    async fn line(&mut self, text: String) -> Result<(), Gone> {
        self.body.send_data(text.into()).await.map_err(|_| Gone)
    }
}
