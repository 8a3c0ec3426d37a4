use super::commands::completion::script;
use super::commands::{COMMANDS, DAEMON};
use super::{Request, help_of, parse, root};
use crate::pflag::UsageError;
use clap_complete::Shell;
use e2e::cleanup::ScratchDir;
use std::io::Write;
use std::process::{Command, Stdio};

fn error(words: &[&str]) -> UsageError {
    parse(words).1.expect_err("an error")
}

fn help(words: &[&str]) -> String {
    match parse(words).1.expect("help") {
        Request::Help(text) => text,
        Request::Run(_) => panic!("{words:?}: no help"),
    }
}

#[test]
fn help_of_each_command() {
    for command in std::iter::once(&DAEMON).chain(COMMANDS) {
        let text = help_of(command);
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{}: {line}", command.name);
        }
        insta::assert_snapshot!(format!("help-{}", command.name), text);
    }
}

#[test]
fn help_is_for_the_command_that_is_asked() {
    assert_eq!(help(&["--help"]), help_of(&DAEMON));
    assert_eq!(help(&["stray", "-v3", "-h"]), help_of(&DAEMON));
    for command in COMMANDS {
        assert_eq!(help(&[command.name, "-h"]), help_of(command));
    }
}

#[test]
fn advice_for_what_is_wrong() {
    let rows: [&[&str]; 17] = [
        &["--confg=x"],
        &["--masquerad_all"],
        &["--nothing-like-it"],
        &["--manifest", "x"],
        &["--family=ipv4"],
        &["-config=x"],
        &["stray"],
        &["rendr"],
        &["-v3", "render"],
        &["render", "stray"],
        &["render", "--healthz-port=1"],
        &["render", "--famly=ipv4"],
        &["render", "--family=ipv5"],
        &["render", "--family"],
        &["completion"],
        &["completion", "zhs"],
        &["completion", "--config=x"],
    ];
    let said: Vec<String> = rows
        .iter()
        .map(|words| format!("kube-proxy {}\n{}\n", words.join(" "), error(words)))
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn the_last_family_wins() {
    let words = ["render", "--family=ipv4", "--family", "ipv6", "-v=3"];
    let Ok(Request::Run(matches)) = parse(&words).1 else {
        panic!("{words:?} are a command line");
    };
    assert_eq!(
        matches.get_one::<String>("family").map(String::as_str),
        Some("ipv6")
    );
}

#[test]
fn clap_finds_nothing_wrong_with_the_commands() {
    root().debug_assert();
}

/// What bash completes after these words; `-n` alone would take a script that completes nothing.
fn completed(words: &str) -> String {
    let ask = format!(
        "eval \"$(cat)\"; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         \"$(complete -p kube-proxy | sed 's/.*-F \\([^ ]*\\).*/\\1/')\" kube-proxy \
         \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash")
        .args(["-uc", &ask])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // It warns that compopt is for completion alone.
        .stderr(Stdio::null())
        .spawn()
        .expect("bash");
    let mut input = bash.stdin.take().expect("a pipe");
    input
        .write_all(script(Shell::Bash).as_bytes())
        .expect("it reads");
    drop(input);
    let output = bash.wait_with_output().expect("an end");
    assert!(output.status.success(), "{words}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    for (words, expected) in [
        ("kube-proxy ren", "render"),
        (
            "kube-proxy --conntrack-m",
            "--conntrack-max-per-core --conntrack-min",
        ),
        ("kube-proxy render --fam", "--family"),
        ("kube-proxy render --healthz", ""),
        ("kube-proxy render --family ''", "ipv4 ipv6"),
        ("kube-proxy --detect-local-mode No", "NodeCIDR"),
        ("kube-proxy completion z", "zsh"),
    ] {
        assert_eq!(completed(words), expected, "{words}");
    }
}

#[test]
fn man_pages_have_every_flag() {
    let dir = ScratchDir::create("man").expect("a directory");
    clap_mangen::generate_to(root(), dir.path()).expect("pages");
    for command in std::iter::once(&DAEMON).chain(COMMANDS) {
        let name = command.path().replace(' ', "-");
        let page = dir.path().join(format!("{name}.1"));
        let page = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{name}: {error}"));
        for section in ["TH", "SH NAME", "SH SYNOPSIS", "SH DESCRIPTION"] {
            assert!(page.contains(&format!("\n.{section}")), "{name}: {section}");
        }
        // A dash is escaped, so that it can be copied from the page.
        let text = page.replace("\\-", "-");
        for flag in help_of(command)
            .split_whitespace()
            .filter(|word| word.starts_with("--"))
        {
            let flag = flag
                .trim_end_matches([',', '.'])
                .split('[')
                .next()
                .unwrap_or_default();
            assert!(text.contains(flag), "{name}: {flag}");
        }
    }
}
