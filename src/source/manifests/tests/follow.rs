//! Following a directory.

use super::{Dir, service, short};
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver};

/// Far longer than a change takes to be seen.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

pub(super) async fn next(events: &mut Receiver<rules::Change>) -> String {
    let event = tokio::time::timeout(LIMIT, events.recv()).await;
    short(&event.expect("an event in time").expect("an event"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_listed_once_and_then_every_change_follows() {
    let mut dir = Dir::new("follow");
    dir.write("web.yaml", &service("web", 80));
    let (sender, mut events) = mpsc::channel(16);
    let manifests = super::Manifests::new(dir.scratch.path(), "n1");
    let task = tokio::spawn(manifests.follow(sender));
    let mut listed = Vec::new();
    for _ in 0..9 {
        listed.push(next(&mut events).await);
    }
    assert_eq!(
        listed,
        [
            "list of Node begins",
            "list of ServiceCidr begins",
            "list of Service begins",
            "list of EndpointSlice begins",
            "Service default/web 80",
            "list of Node ends",
            "list of ServiceCidr ends",
            "list of Service ends",
            "list of EndpointSlice ends",
        ]
    );
    // Written aside and renamed into place, as careful writers do.
    dir.write(".db", &service("db", 5432));
    dir.rename(".db", "db.yaml");
    assert_eq!(next(&mut events).await, "Service default/db 5432");
    dir.write("web.yaml", &service("web", 81));
    assert_eq!(next(&mut events).await, "Service default/web 81");
    dir.remove("web.yaml");
    assert_eq!(next(&mut events).await, "no Service default/web");
    // With nobody to tell, there is nothing left to follow for.
    drop(events);
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_not_there_is_named() {
    let dir = std::path::Path::new("/nonexistent/dir");
    let (sender, _events) = mpsc::channel(16);
    let error = super::Manifests::new(dir, "n1").follow(sender).await;
    let error = format!("{:#}", error.expect_err("no directory"));
    assert!(
        error.starts_with("--manifests /nonexistent/dir: "),
        "{error}"
    );
}
