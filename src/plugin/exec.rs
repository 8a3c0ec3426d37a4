//! A command in a proxy's pod, and what it answers.

use super::pods::Proxy;
use super::words::Words;
use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::AttachParams;
use kube::{Api, Client};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest answer that is read, in bytes: a report on all Services of a large cluster has some
/// megabytes.
const LIMIT: u64 = 64 << 20;

/// What is run there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question(pub(super) Vec<String>);

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) code: u8,
}

impl Question {
    /// The command as it was given.
    pub(super) fn as_it_is(words: &Words) -> Self {
        let mut command = vec!["kube-proxy".to_owned(), words.command.clone()];
        command.extend(words.arguments.iter().cloned());
        Self(command)
    }

    /// The command with an answer for programs; of flags that are given twice the last one counts.
    pub(super) fn as_data(words: &Words) -> Self {
        let Self(mut command) = Self::as_it_is(words);
        command.extend(["--output=json", "--fail-on=never"].map(str::to_owned));
        Self(command)
    }
}

/// Runs it, and waits for its end.
///
/// # Errors
/// The API server's or the kubelet's; that it takes too long; that there is no such program.
pub(super) async fn ask(
    client: &Client,
    words: &Words,
    proxy: &Proxy,
    Question(command): &Question,
) -> anyhow::Result<Answer> {
    let limit = Duration::from_secs(words.timeout);
    let asked = tokio::time::timeout(limit, run(client, words, proxy, command));
    let Ok(answer) = asked.await else {
        bail!("no answer within {} s (--timeout)", words.timeout);
    };
    answer
}

async fn run(
    client: &Client,
    words: &Words,
    proxy: &Proxy,
    command: &[String],
) -> anyhow::Result<Answer> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &words.namespace);
    let params = AttachParams::default()
        .container(&words.container)
        .stdin(false)
        .stdout(true)
        .stderr(true);
    let process = pods
        .exec(&proxy.pod, command.iter().cloned(), &params)
        .await;
    let mut process = process.with_context(|| format!("running a command in pod {}", proxy.pod))?;
    let (stdout, stderr) = (process.stdout(), process.stderr());
    let status = process.take_status();
    let (stdout, stderr) = tokio::try_join!(text(stdout), text(stderr))?;
    let status = match status {
        Some(status) => status.await,
        None => None,
    };
    let code = code(status.as_ref(), &stderr)?;
    Ok(Answer {
        stdout,
        stderr,
        code,
    })
}

async fn text(stream: Option<impl AsyncRead + Unpin>) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        let mut stream = stream.take(LIMIT + 1);
        stream
            .read_to_end(&mut bytes)
            .await
            .context("reading the answer")?;
    }
    if bytes.len() as u64 > LIMIT {
        bail!("the answer has more than {} MiB", LIMIT >> 20);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The exit code that the kubelet tells in the channel for errors (v4.channel.k8s.io and later).
fn code(status: Option<&Status>, stderr: &str) -> anyhow::Result<u8> {
    let Some(status) = status else {
        bail!("the connection to the pod ended before the command did");
    };
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status
        .details
        .iter()
        .filter_map(|details| details.causes.as_ref());
    let code = causes
        .flatten()
        .find(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .and_then(|cause| cause.message.as_deref()?.parse().ok());
    match code {
        Some(code) => Ok(code),
        None => bail!(
            "{}{}",
            status
                .message
                .as_deref()
                .unwrap_or("the command did not run"),
            last_line(stderr)
        ),
    }
}

fn last_line(stderr: &str) -> String {
    let last = stderr.lines().rfind(|line| !line.trim().is_empty());
    last.map_or(String::new(), |line| format!(": {line}"))
}

impl Answer {
    /// Why there is no report, where there is none: what it said last.
    pub(super) fn complaint(&self) -> String {
        let said = self.stderr.lines().rfind(|line| !line.trim().is_empty());
        let said = said.unwrap_or("it said nothing").to_owned();
        format!("exit code {}: {said}", self.code)
    }
}
