//! What cannot be read: it is told, it holds nothing up, and its objects stay.

use super::{Dir, service};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn what_is_no_file_is_one_line_and_never_waited_for() {
    let mut dir = Dir::new("kinds");
    dir.write("web.yaml", &service("web", 80));
    nix::unistd::mkfifo(&dir.path("a.yaml"), Mode::S_IRWXU).expect("a FIFO");
    std::fs::create_dir(dir.path("b.yaml")).expect("a directory");
    let _socket = UnixListener::bind(dir.path("c.yaml")).expect("a socket");
    symlink("/dev/zero", dir.path("d.yaml")).expect("a link");
    // Sparse: it takes no room.
    let large = File::create(dir.path("e.yaml")).expect("a file");
    large.set_len((64 << 20) + 1).expect("a length");
    std::fs::write(dir.path("f.yaml"), b"kind: \xff").expect("a file");
    symlink("nowhere", dir.path("g.yaml")).expect("a link");
    symlink("h.yaml", dir.path("h.yaml")).expect("a link");
    let (events, problems) = dir.load();
    assert_eq!(events, ["Service default/web 80"]);
    assert_eq!(
        problems,
        [
            "a.yaml: is a FIFO and no file; left out",
            "b.yaml: is a directory and no file; left out",
            "c.yaml: is a socket and no file; left out",
            "d.yaml: is a device and no file; left out",
            "e.yaml: has 64 MiB, of which 64 are read at most; split it; left out",
            "f.yaml: is no UTF-8 from byte 6; left out",
            "g.yaml: is a link that leads nowhere; left out",
            "h.yaml: Too many levels of symbolic links (os error 40); left out",
        ]
    );
    assert!(
        dir.manifests.is_incomplete(),
        "links may lead somewhere yet"
    );
    dir.remove("g.yaml");
    dir.remove("h.yaml");
    let (events, problems) = dir.load();
    assert_eq!((events.len(), problems.len()), (0, 6));
    assert!(!dir.manifests.is_incomplete(), "the rest stays what it is");
}

#[test]
fn what_can_no_longer_be_read_keeps_its_objects() {
    let mut dir = Dir::new("keeps");
    dir.write("web.yaml", &service("web", 80));
    dir.events();
    dir.remove("web.yaml");
    nix::unistd::mkfifo(&dir.path("web.yaml"), Mode::S_IRWXU).expect("a FIFO");
    let told = ["web.yaml: is a FIFO and no file; its objects stay as they were"];
    assert_eq!(dir.load(), (Vec::new(), told.map(str::to_owned).to_vec()));
    assert_eq!(dir.load().1, told, "as long as it is so");
    dir.remove("web.yaml");
    dir.write("web.yaml", &service("web", 81));
    assert_eq!(dir.events(), ["Service default/web 81"]);
    dir.remove("web.yaml");
    nix::unistd::mkfifo(&dir.path("web.yaml"), Mode::S_IRWXU).expect("a FIFO");
    dir.load();
    dir.remove("web.yaml");
    assert_eq!(dir.events(), ["no Service default/web"]);
}

#[test]
fn a_failure_that_passes_leaves_no_trace() {
    let mut dir = Dir::new("passes");
    dir.write(".target", &service("web", 80));
    symlink(".target", dir.path("web.yaml")).expect("a link");
    assert_eq!(dir.events(), ["Service default/web 80"]);
    dir.rename(".target", ".away");
    let (events, problems) = dir.load();
    assert_eq!(events, Vec::<String>::new());
    let told = "web.yaml: is a link that leads nowhere; its objects stay as they were";
    assert_eq!(problems, [told]);
    assert!(dir.manifests.is_incomplete(), "it is to be tried again");
    // The same file as before, as after a moment without descriptors.
    dir.rename(".away", ".target");
    dir.events();
    assert!(!dir.manifests.is_incomplete());
    dir.write(".target", &service("web", 81));
    assert_eq!(dir.events(), ["Service default/web 81"]);
}

#[test]
fn a_file_that_is_being_written_is_read_when_it_rests() {
    let mut dir = Dir::new("written");
    let stop = AtomicBool::new(false);
    let path = dir.path("web.yaml");
    std::fs::write(&path, service("web", 80)).expect("a file");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = File::options().append(true).open(&path).expect("a file");
            let comment = b"# ".repeat(1 << 19);
            while !stop.load(Ordering::Relaxed) {
                file.write_all(&comment).expect("room");
                // A file system without room for much.
                if file.metadata().is_ok_and(|own| own.len() > 32 << 20) {
                    file.set_len(0).expect("a length");
                }
            }
        });
        let seen = e2e::wait::until(
            "a look while it is written",
            Duration::from_secs(30),
            || {
                let (events, problems) = dir.load();
                let busy = "web.yaml: is being written; ";
                let seen = problems.iter().any(|own| own.starts_with(busy));
                anyhow::ensure!(seen, "{events:?} {problems:?}");
                anyhow::ensure!(dir.manifests.is_incomplete(), "it is to be tried again");
                Ok(())
            },
        );
        stop.store(true, Ordering::Relaxed);
        seen.expect("seen");
    });
    std::fs::write(&path, service("web", 81)).expect("a file");
    let (events, _) = dir.load();
    assert_eq!(events, ["Service default/web 81"]);
}

#[test]
fn endless_problems_end() {
    let mut dir = Dir::new("endless");
    let items = "{},".repeat(10_000);
    dir.write(
        "a.json",
        &format!("{{\"kind\":\"List\",\"items\":[{items}{{}}]}}"),
    );
    let (_, problems) = dir.load();
    assert_eq!(problems.len(), 201);
    assert_eq!(problems[200], "a.json: 9801 more problems");
}
