//! What the files of a directory mean, and what becomes of them over time.

mod follow;
mod forms;
mod history;
mod malformed;
mod replaced;
mod unreadable;

use super::Manifests;
use e2e::cleanup::ScratchDir;
use rules::Change;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A directory of manifests and what was read from it.
struct Dir {
    scratch: ScratchDir,
    manifests: Manifests,
    writes: u32,
}

impl Dir {
    /// An empty one; each test has a name of its own.
    fn new(test: &str) -> Self {
        let scratch = ScratchDir::create(&format!("manifests-{test}")).expect("a directory");
        Self {
            manifests: Manifests::new(scratch.path(), "n1"),
            scratch,
            writes: 0,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Writes a file at a time of its own, as two writes of a test may be
    /// closer to each other than the file system's clock tells apart.
    fn write(&mut self, name: &str, text: &str) {
        self.writes += 1;
        let time = SystemTime::now() + self.writes * Duration::from_secs(1);
        std::fs::write(self.path(name), text).expect("a file");
        let file = std::fs::File::options().write(true).open(self.path(name));
        let file = file.expect("the file just written");
        file.set_modified(time).expect("a time");
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).expect("a file to remove");
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).expect("a file to rename");
    }

    /// Reads what is new; returns events and problems, one short line each.
    fn load(&mut self) -> (Vec<String>, Vec<String>) {
        let mut events = Vec::new();
        let problems = self.manifests.load(&mut |event| events.push(short(&event)));
        let prefix = format!("{}/", self.scratch.path().display());
        let problems = problems.expect("a directory that can be read");
        let shown = problems
            .iter()
            .map(|problem| problem.to_string().replace(&prefix, ""));
        (events, shown.collect())
    }

    /// The same where nothing may be wrong.
    fn events(&mut self) -> Vec<String> {
        let (events, problems) = self.load();
        assert_eq!(problems, Vec::<String>::new());
        events
    }
}

/// Kind and name of what an event is about, and its ports.
fn short(event: &Change) -> String {
    match event {
        Change::Service(own) => {
            let ports: Vec<String> = own.ports.iter().map(|port| port.port.to_string()).collect();
            format!("Service {} {}", own.name, ports.join(" "))
        }
        Change::ServiceGone(name) => format!("no Service {name}"),
        Change::Slice(own) => format!("Slice {} of {}", own.name, own.service),
        Change::SliceGone(name) => format!("no Slice {name}"),
        Change::Node(own) => format!("Node {}", own.name),
        Change::NodeGone => "no Node".to_owned(),
        Change::ServiceCidr(own) => format!("ServiceCIDR {}", own.name),
        Change::ServiceCidrGone(name) => format!("no ServiceCIDR {name}"),
        Change::ListBegin(kind) => format!("list of {kind:?} begins"),
        Change::ListEnd(kind) => format!("list of {kind:?} ends"),
    }
}

/// A Service as YAML.
fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  \
         clusterIP: 10.96.0.10\n  ports:\n  - port: {port}\n"
    )
}
