//! The commands: one module each, and one line in [`COMMANDS`].

pub mod completion;
pub mod daemon;
pub mod render;

pub use daemon::DAEMON;

use clap::ArgMatches;

/// A command of the program.
#[derive(Debug)]
pub struct Command {
    /// The word that asks for it; the daemon's is the program's name.
    pub name: &'static str,
    /// Gives clap's command its flags, and the lines of its help.
    pub build: fn(clap::Command) -> clap::Command,
    /// Does what its flags ask for.
    pub run: fn(&ArgMatches) -> anyhow::Result<()>,
    /// The exit code for a wrong command line.
    pub usage_exit: u8,
}

/// Those that have a name, in the order of `kube-proxy --help`.
pub static COMMANDS: &[Command] = &[render::RENDER, completion::COMPLETION];

impl Command {
    /// What is typed to get it.
    pub fn path(&self) -> String {
        if self.name == DAEMON.name {
            self.name.to_owned()
        } else {
            format!("{} {}", DAEMON.name, self.name)
        }
    }
}
