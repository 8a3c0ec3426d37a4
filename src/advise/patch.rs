//! Remedies as manifests alone, for kubectl.

use super::advice::Advice;
use std::fmt::Write;

/// `-o patch`: the recommended manifests for `kubectl apply`, and the other ways as comments.
pub fn patch(advice: &Advice) -> String {
    let mut out = String::new();
    comment(
        &mut out,
        &format!("Service {}: {}.", advice.service, advice.verdict.summary),
    );
    let with_manifest = |recommended| {
        let all = advice.remedies.iter();
        all.filter(move |own| own.recommended == recommended && own.manifest.is_some())
    };
    if with_manifest(true).next().is_none() {
        comment(&mut out, "Nothing has to be applied.");
    } else {
        comment(
            &mut out,
            "kubectl apply --server-side --field-manager=kube-proxy-advise -f FILE\n\
             takes all of it, and merges it with the objects that are there; each document alone\n\
             is a patch for kubectl patch --patch-file, too.",
        );
    }
    for remedy in with_manifest(true) {
        out.push_str("---\n");
        comment(&mut out, &format!("{}: {}.", remedy.title, remedy.why));
        out.push_str(remedy.manifest.as_deref().unwrap_or_default());
    }
    for remedy in with_manifest(false) {
        out.push_str("---\n");
        comment(
            &mut out,
            &format!("Or else: {}: {}.", remedy.title, remedy.why),
        );
        comment(&mut out, remedy.manifest.as_deref().unwrap_or_default());
        if let Some(command) = &remedy.command {
            comment(&mut out, command);
        }
    }
    out
}

fn comment(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "# {line}");
    }
}
