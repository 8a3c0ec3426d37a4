//! What commands that look at a cluster have in common: their flags, and the settings, which are
//! those of the daemon where nothing else is given.

use super::startup;
use crate::config::{self, MODE_IPTABLES, MODE_NFTABLES};
use crate::mode::Mode;
use crate::options::{Complete, Options, flags};
use crate::report;
use crate::settings::Settings;
use clap::ArgMatches;
use std::path::Path;

/// Gives a command the flags that say where objects come from and what counts of them, `-o` and
/// `--fail-on`.
pub(super) fn flags(command: clap::Command, more_formats: &[&'static str]) -> clap::Command {
    let defaults = Options::default();
    command
        .args(
            flags::PLANNING
                .iter()
                .flat_map(|group| group.args(&defaults)),
        )
        .args(report::args(more_formats))
}

/// The settings: what the flags say, or where none says where objects come from, those of the
/// daemon in whose container this runs. The log is started.
pub(super) fn settings(matches: &ArgMatches) -> anyhow::Result<Settings> {
    let (options, complete) = complete(matches)?;
    Settings::new(&options, complete)
}

/// The same as mode nftables has them, whatever mode the configuration is for; and whether that is
/// iptables.
pub(super) fn nftables_settings(matches: &ArgMatches) -> anyhow::Result<(Settings, Mode)> {
    let (options, mut complete) = complete(matches)?;
    let mode = match complete.config.mode == MODE_IPTABLES {
        true => Mode::Iptables,
        false => Mode::Nftables,
    };
    MODE_NFTABLES.clone_into(&mut complete.config.mode);
    config::set_mode_defaults(&mut complete.config);
    Ok((Settings::new(&options, complete)?, mode))
}

fn complete(matches: &ArgMatches) -> anyhow::Result<(Options, Complete)> {
    let given = Options::new(matches);
    let daemons = match given.names_a_source() {
        true => None,
        false => of_the_daemon(Path::new("/proc/1/cmdline"), matches),
    };
    // The daemon's default is upstream's.
    let (options, mode) = match daemons {
        Some(options) => (options, MODE_IPTABLES),
        None => (given, MODE_NFTABLES),
    };
    let complete = startup::complete(&options, mode)?;
    startup::start_logging(&complete)?;
    startup::validate(&complete)?;
    Ok((options, complete))
}

/// The daemon's options with those of this command on top; `None` if no daemon is there.
fn of_the_daemon(cmdline: &Path, matches: &ArgMatches) -> Option<Options> {
    let cmdline = std::fs::read(cmdline).ok()?;
    let mut words = cmdline
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned());
    let program = words.next()?;
    let name = Path::new(&program).file_name()?;
    if name != "kube-proxy" {
        return None;
    }
    let mut words: Vec<String> = words.collect();
    // Behind the last one is a zero, too.
    words.pop_if(|last| last.is_empty());
    let mut options = Options::parse(&words).ok()?;
    options.add(matches);
    Some(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2e::cleanup::ScratchDir;

    fn matches(words: &[&str]) -> ArgMatches {
        let command = flags(clap::Command::new("look"), &[]);
        crate::pflag::matches(command, words).expect("flags")
    }

    #[test]
    fn settings_are_those_of_the_daemon_with_what_is_given_on_top() {
        let dir = ScratchDir::create("look").expect("a directory");
        let cmdline = dir.path().join("cmdline");
        let words = "/usr/local/bin/kube-proxy\0--kubeconfig=/k\0--hostname-override=n1\0-v3\0";
        std::fs::write(&cmdline, words).expect("a file");
        let given = matches(&["--hostname-override=n2", "-o", "json"]);
        let options = of_the_daemon(&cmdline, &given).expect("a daemon");
        let values = options.values();
        for row in [
            ("kubeconfig", "/k"),
            ("hostname-override", "n2"),
            ("v", "3"),
        ] {
            assert!(values.contains(&(row.0, row.1.to_owned())), "{row:?}");
        }
        std::fs::write(&cmdline, "/bin/bash\0-c\0x\0").expect("a file");
        assert!(of_the_daemon(&cmdline, &given).is_none());
    }

    #[test]
    fn whoever_names_a_source_does_not_mean_the_daemons() {
        for (words, names) in [
            (&["--kubeconfig=x"][..], true),
            (&["--manifests=x"], true),
            (&["--master=x"], true),
            (&["--config=x"], true),
            (&["--hostname-override=x"], false),
            (&[], false),
        ] {
            let options = Options::new(&matches(words));
            assert_eq!(options.names_a_source(), names, "{words:?}");
        }
    }
}
