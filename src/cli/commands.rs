//! The commands: one module each, and one line in [`COMMANDS`].

pub mod advise;
#[cfg(feature = "node")]
pub mod check;
pub mod completion;
pub mod daemon;
#[cfg(feature = "node")]
pub mod echo;
#[cfg(feature = "node")]
pub mod explain;
pub mod probe;
pub mod render;
#[cfg(feature = "node")]
pub mod top;
#[cfg(feature = "node")]
pub mod trace;

pub use daemon::DAEMON;

use clap::ArgMatches;
use std::process::ExitCode;

/// A command of the program.
#[derive(Debug)]
pub struct Command {
    /// The word that asks for it; the daemon's is the program's name.
    pub name: &'static str,
    /// Gives clap's command its flags, and the lines of its help.
    pub build: fn(clap::Command) -> clap::Command,
    /// Does what its flags ask for; the exit code is that of what was found.
    pub run: fn(&ArgMatches) -> anyhow::Result<ExitCode>,
    /// The exit codes for what it cannot do.
    pub exits: Exits,
}

/// Exit codes of a command that did not do what it was asked for (docs/cli.md#exit-codes).
#[derive(Clone, Copy, Debug)]
pub struct Exits {
    /// The command line is none.
    pub usage: u8,
    /// Whatever else went wrong.
    pub failure: u8,
}

impl Exits {
    /// Upstream's (docs/reference.md#command-line).
    pub const OF_THE_DAEMON: Self = Self {
        usage: 1,
        failure: 1,
    };
    /// Where 1 stands for problems that were found.
    pub const OF_COMMANDS: Self = Self {
        usage: 2,
        failure: 3,
    };
}

/// Those that have a name, in the order of `kube-proxy --help`.
pub static COMMANDS: &[Command] = &[
    render::RENDER,
    #[cfg(feature = "node")]
    explain::EXPLAIN,
    #[cfg(feature = "node")]
    trace::TRACE,
    advise::ADVISE,
    #[cfg(feature = "node")]
    check::CHECK,
    #[cfg(feature = "node")]
    top::TOP,
    #[cfg(feature = "node")]
    echo::ECHO,
    probe::PROBE,
    completion::COMPLETION,
];

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
