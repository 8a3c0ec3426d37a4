//! Directories that go, come back, and are swapped under a name that stays.

use super::follow::{LIMIT, next};
use super::{Manifests, service};
use e2e::cleanup::ScratchDir;
use rules::Change;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use tokio::sync::mpsc::{self, Receiver};

/// A directory within one, that is followed.
struct Followed {
    scratch: ScratchDir,
    events: Receiver<Change>,
}

impl Followed {
    /// After `prepare` has made the directory `dir`; what is in it has been told.
    async fn new(test: &str, prepare: impl FnOnce(&std::path::Path)) -> Self {
        let scratch = ScratchDir::create(&format!("replaced-{test}")).expect("a directory");
        prepare(scratch.path());
        let manifests = Manifests::new(&scratch.path().join("dir"), "n1");
        let (sender, events) = mpsc::channel(64);
        tokio::spawn(manifests.follow(sender));
        let mut followed = Self { scratch, events };
        while followed.next().await != "list of EndpointSlice ends" {}
        followed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).expect("a name to change");
    }

    async fn next(&mut self) -> String {
        next(&mut self.events).await
    }
}

fn make(dir: PathBuf, port: u16) {
    std::fs::create_dir(&dir).expect("a directory");
    std::fs::write(dir.join("web.yaml"), service("web", port)).expect("a file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_directory_takes_its_place() {
    let mut own = Followed::new("renamed", |top| make(top.join("dir"), 80)).await;
    make(own.path("new"), 81);
    own.rename("dir", "old");
    own.rename("new", "dir");
    assert_eq!(own.next().await, "Service default/web 81");
    // It is the new one that is watched.
    std::fs::write(own.path("dir/web.yaml"), service("web", 82)).expect("a file");
    assert_eq!(own.next().await, "Service default/web 82");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_away_takes_nothing_with_it() {
    let mut own = Followed::new("away", |top| make(top.join("dir"), 80)).await;
    std::fs::remove_dir_all(own.path("dir")).expect("a directory");
    let nothing = tokio::time::timeout(3 * super::super::follow::RETRY, own.events.recv()).await;
    // Its files may be seen to go before it does.
    if let Ok(event) = nothing {
        assert_eq!(
            super::short(&event.expect("an event")),
            "no Service default/web"
        );
    }
    make(own.path("dir"), 81);
    assert_eq!(own.next().await, "Service default/web 81");
    // Something else has its name for a while.
    own.rename("dir", "aside");
    std::fs::write(own.path("dir"), "").expect("a file");
    std::fs::write(own.path("aside/web.yaml"), service("web", 82)).expect("a file");
    std::fs::remove_file(own.path("dir")).expect("a file");
    own.rename("aside", "dir");
    assert_eq!(own.next().await, "Service default/web 82");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_swapped_as_the_kubelet_does() {
    let mut own = Followed::new("configmap", |top| {
        std::fs::create_dir(top.join("dir")).expect("a directory");
        make(top.join("dir/..1"), 80);
        symlink("..1", top.join("dir/..data")).expect("a link");
        symlink("..data/web.yaml", top.join("dir/web.yaml")).expect("a link");
    })
    .await;
    make(own.path("dir/..2"), 81);
    symlink("..2", own.path("dir/..data_tmp")).expect("a link");
    own.rename("dir/..data_tmp", "dir/..data");
    std::fs::remove_dir_all(own.path("dir/..1")).expect("a directory");
    assert_eq!(own.next().await, "Service default/web 81");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_watch_tells_is_seen_all_the_same() {
    let mut own = Followed::new("unseen", |top| {
        make(top.join("one"), 80);
        make(top.join("two"), 81);
        symlink("one", top.join("dir")).expect("a link");
    })
    .await;
    // The directory itself is a link, and another directory's names are not its.
    symlink("two", own.path("link")).expect("a link");
    own.rename("link", "dir");
    assert_eq!(own.next().await, "Service default/web 81");
    std::fs::write(own.path("elsewhere"), service("db", 1)).expect("a file");
    symlink("../elsewhere", own.path("two/db.yaml")).expect("a link");
    assert_eq!(own.next().await, "Service default/db 1");
    std::fs::write(own.path("elsewhere"), service("db", 2)).expect("a file");
    let start = std::time::Instant::now();
    assert_eq!(own.next().await, "Service default/db 2");
    assert!(start.elapsed() < LIMIT);
}
