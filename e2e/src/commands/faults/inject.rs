//! The library that is preloaded into the daemon, from `e2e/inject`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::faults::proxy::Launch;

/// What shall go wrong: see `plan::Plan` there.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    call: &'static str,
    first: u32,
    count: u32,
    action: String,
}

impl Plan {
    /// The calls of this kind from the `first` on, `count` of them.
    pub(crate) fn new(call: &'static str, first: u32, count: u32, action: &str) -> Self {
        Self {
            call,
            first,
            count,
            action: action.to_owned(),
        }
    }
}

/// The files by which it is told.
pub(crate) struct Inject {
    library: PathBuf,
    control: PathBuf,
    clock: PathBuf,
    id: u32,
}

impl Inject {
    /// With nothing planned.
    ///
    /// # Errors
    /// If the library isn't built, or the files can't be written.
    pub(crate) fn new(directory: &Path) -> Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let library = program.with_file_name("libinject.so");
        anyhow::ensure!(
            library.is_file(),
            "{} is missing: `make faults` builds it",
            library.display()
        );
        let mut inject = Self {
            library,
            control: directory.join("inject"),
            clock: directory.join("clock"),
            id: 0,
        };
        inject.clear()?;
        inject.set_clock(0)?;
        // Of the fault before this one.
        std::fs::remove_file(inject.control.with_extension("done")).ok();
        Ok(inject)
    }

    /// The same launch with the library.
    ///
    /// # Errors
    /// If a path is not UTF-8.
    pub(crate) fn launch(&self, launch: Launch) -> Result<Launch> {
        let variable = |name: &str, path: &Path| -> Result<(String, String)> {
            let path = path.to_str().context("a path in UTF-8")?;
            Ok((name.to_owned(), path.to_owned()))
        };
        Ok(Launch {
            environment: vec![
                variable("LD_PRELOAD", &self.library)?,
                variable("INJECT_CONTROL", &self.control)?,
                variable("INJECT_CLOCK", &self.clock)?,
            ],
            ..launch
        })
    }

    /// Follows this plan from now on.
    ///
    /// # Errors
    /// If it can't be written.
    pub(crate) fn plan(&mut self, plan: &Plan) -> Result<()> {
        self.id += 1;
        let Plan {
            call,
            first,
            count,
            action,
        } = plan;
        let line = format!("{} {call} {first} {count} {action}\n", self.id);
        self.replace(&self.control, &line)
    }

    /// Nothing more goes wrong.
    ///
    /// # Errors
    /// If it can't be written.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.replace(&self.control, "")
    }

    /// By how many seconds the wall clock is wrong.
    ///
    /// # Errors
    /// If it can't be written.
    pub(crate) fn set_clock(&self, seconds: i64) -> Result<()> {
        self.replace(&self.clock, &seconds.to_string())
    }

    /// How often the last plan was carried out.
    pub(crate) fn done(&self) -> usize {
        let path = self.control.with_extension("done");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let prefix = format!("{} ", self.id);
        text.lines()
            .filter(|line| line.starts_with(&prefix))
            .count()
    }

    /// Whether the last plan was carried out.
    pub(crate) fn is_done(&self) -> bool {
        self.done() > 0
    }

    /// Whole or not at all: the daemon reads at any time.
    fn replace(&self, path: &Path, text: &str) -> Result<()> {
        let draft = path.with_extension("draft");
        std::fs::write(&draft, text).with_context(|| format!("write {}", draft.display()))?;
        std::fs::rename(&draft, path).with_context(|| format!("write {}", path.display()))
    }
}
