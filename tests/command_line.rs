//! Command lines as a process is given them: what goes to which stream, and how it ends.

use std::process::{Command, Stdio};

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn said(words: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_kube-proxy"))
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

#[test]
fn what_is_asked_for_goes_to_standard_output() {
    for (words, begins) in [
        (&["--help"][..], "Keeps this node's nftables rules"),
        (&["stray", "-v3", "-h"], "Keeps this node's nftables rules"),
        (&["render", "--help"], "Prints the rules"),
        (&["completion", "-h"], "Prints a script"),
        (&["completion", "bash"], "_kube__proxy() {"),
        (&["--version"], "Kubernetes v"),
        (&["--version=raw"], "version.Info{"),
    ] {
        let said = said(words);
        assert_eq!(said.code, Some(0), "{words:?}");
        assert!(said.out.starts_with(begins), "{words:?}: {}", said.out);
        assert_eq!(said.err, "", "{words:?}");
    }
}

#[test]
fn a_wrong_command_line_ends_at_once() {
    for (words, code, err) in [
        (
            &["--confg=x"][..],
            1,
            "Error: unknown flag: --confg\nDid you mean --config?\n\
             `kube-proxy --help` lists the flags.\n",
        ),
        (
            &["unwanted"],
            1,
            "Error: \"kube-proxy\" does not take any arguments, got [\"unwanted\"]\n\
             Commands: render, explain, trace, advise, check, top, echo, probe, completion.\n`kube-proxy --help` lists the flags.\n",
        ),
        (
            &["-v"],
            1,
            "Error: flag needs an argument: 'v' in -v\n`kube-proxy --help` lists the flags.\n",
        ),
        (
            &["render", "--cleanup"],
            1,
            "Error: unknown flag: --cleanup\n--cleanup is a flag of the daemon.\n\
             `kube-proxy render --help` lists the flags.\n",
        ),
        (
            &["completion", "zhs"],
            2,
            "Error: invalid argument \"zhs\" for <shell>: \
             allowed: bash, elvish, fish, powershell, zsh\n\
             `kube-proxy completion --help` lists the flags.\n",
        ),
    ] {
        let said = said(words);
        assert_eq!(said.code, Some(code), "{words:?}");
        assert_eq!(said.err, err, "{words:?}");
        assert_eq!(said.out, "", "{words:?}");
    }
}

#[test]
fn what_cannot_be_done_is_one_line_of_the_log() {
    for words in [
        &["--config=/nonexistent"][..],
        &["render", "--config=/nonexistent"],
    ] {
        let said = said(words);
        assert_eq!(said.code, Some(1), "{words:?}");
        assert_eq!(said.err.lines().count(), 1, "{words:?}: {}", said.err);
        assert!(
            said.err.contains("failed complete"),
            "{words:?}: {}",
            said.err
        );
        assert!(said.err.contains("/nonexistent"), "{words:?}: {}", said.err);
    }
}
