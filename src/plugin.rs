//! The kubectl plugin: asks the proxies on the nodes by running their own binary in their pods
//! (`pods/exec`), and puts what they say together (docs/plugin.md).
//!
//! It is the same program under another name: `kubectl-svc_doctor` is what kubectl looks for when
//! it is asked for `kubectl svc-doctor`.

mod exec;
mod merge;
mod pods;
mod words;

pub use merge::NodeReports;

use crate::cli;
use crate::config::LoggingConfiguration;
use crate::logging;
use crate::pflag::UsageError;
use crate::report::Report;
use anyhow::Context;
use exec::{Answer, Question};
use futures::StreamExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use pods::Proxy;
use std::process::ExitCode;
use words::Words;

/// What kubectl calls the program.
pub const NAME: &str = "kubectl-svc_doctor";
/// Nodes that are asked at a time.
const AT_A_TIME: usize = 8;

/// Whether the program was called by the plugin's name; of a build without the daemon it is
/// the only thing that can be meant.
pub fn is_meant(program: &str) -> bool {
    let file = program.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = file.strip_suffix(".exe").unwrap_or(file);
    cfg!(not(feature = "node")) || name == NAME
}

/// Does what the words after the program's name ask for.
pub fn run<S: AsRef<str>>(words: &[S]) -> ExitCode {
    logging::start(&LoggingConfiguration::default());
    let done = match words::parse(words) {
        Ok(Some(words)) => ask(&words),
        Ok(None) => cli::print(words::HELP).map(|()| ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(code) => code,
        Err(error) if error.is::<UsageError>() => {
            eprintln!("Error: {error}\n`kubectl svc-doctor --help` lists the flags.");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn ask(words: &Words) -> anyhow::Result<ExitCode> {
    if words.local {
        return Ok(locally(words));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    match runtime.block_on(ask_nodes(words))? {
        Asked::Done(code) => Ok(code),
        Asked::Forbidden(why) => {
            eprintln!(
                "Looking from here, without the kernel's side and other nodes: {why}. For more, \
                 allow create of pods/exec in namespace {}",
                words.namespace
            );
            Ok(locally(words))
        }
    }
}

/// What came of asking nodes.
enum Asked {
    /// It has been printed.
    Done(ExitCode),
    /// It may not be asked.
    Forbidden(String),
}

async fn ask_nodes(words: &Words) -> anyhow::Result<Asked> {
    let client = client(words).await?;
    let proxies = match pods::find(&client, words).await {
        Ok(proxies) => proxies,
        Err(error) if pods::is_forbidden(&error) => {
            let why = format!("no right to list pods in namespace {}", words.namespace);
            return Ok(Asked::Forbidden(why));
        }
        Err(error) => return Err(error),
    };
    match &proxies[..] {
        [proxy] => one(&client, words, proxy).await,
        proxies => many(&client, words, proxies).await,
    }
}

/// One node's answer goes out as it comes.
async fn one(client: &Client, words: &Words, proxy: &Proxy) -> anyhow::Result<Asked> {
    let question = Question::as_it_is(words);
    match exec::ask(client, words, proxy, &question).await {
        Ok(answer) => {
            eprint!("{}", answer.stderr);
            cli::print(&answer.stdout)?;
            Ok(Asked::Done(ExitCode::from(answer.code)))
        }
        Err(error) if pods::is_forbidden(&error) => Ok(Asked::Forbidden(format!(
            "no right to run a command in pod {}/{}",
            words.namespace, proxy.pod
        ))),
        Err(error) => Err(error),
    }
}

/// Several nodes' answers are put together.
async fn many(client: &Client, words: &Words, proxies: &[Proxy]) -> anyhow::Result<Asked> {
    let output = words.output()?;
    let question = &Question::as_data(words);
    let asked = proxies
        .iter()
        .map(|proxy| async move { (proxy, exec::ask(client, words, proxy, question).await) });
    let answers: Vec<(&Proxy, anyhow::Result<Answer>)> = futures::stream::iter(asked)
        .buffered(AT_A_TIME)
        .collect()
        .await;
    let forbidden =
        |answer: &anyhow::Result<Answer>| answer.as_ref().is_err_and(pods::is_forbidden);
    if answers.iter().all(|(_, answer)| forbidden(answer)) {
        let why = format!(
            "no right to run a command in pods of namespace {}",
            words.namespace
        );
        return Ok(Asked::Forbidden(why));
    }
    let report: Report<NodeReports> = merge::merge(&words.command, answers)?;
    Ok(Asked::Done(output.print(&report)?))
}

async fn client(words: &Words) -> anyhow::Result<Client> {
    let options = KubeConfigOptions {
        context: words.context.clone(),
        ..KubeConfigOptions::default()
    };
    let config = match &words.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .with_context(|| format!("--kubeconfig {}", path.display()))?;
            Config::from_custom_kubeconfig(file, &options).await
        }
        None => Config::from_kubeconfig(&options).await,
    };
    let config = config.context("reading the kubeconfig")?;
    Client::try_from(config).context("setting up the API client")
}

/// The command itself, in this process.
fn locally(words: &Words) -> ExitCode {
    let mut local = vec![words.command.clone()];
    local.extend(words.arguments.iter().cloned());
    let names_a_source = |word: &String| {
        ["--kubeconfig", "--manifests", "--master", "--config"]
            .iter()
            .any(|flag| word.starts_with(flag))
    };
    if !words.arguments.iter().any(names_a_source)
        && let Some(path) = words.kubeconfig.clone().or_else(default_kubeconfig)
    {
        local.push(format!("--kubeconfig={}", path.display()));
    }
    cli::run(&local)
}

/// Where kubectl looks: the first file of `KUBECONFIG`, or the one in the home.
fn default_kubeconfig() -> Option<std::path::PathBuf> {
    let from_environment = std::env::var_os("KUBECONFIG")
        .and_then(|list| std::env::split_paths(&list).find(|path| !path.as_os_str().is_empty()));
    let in_home = || Some(std::env::home_dir()?.join(".kube").join("config"));
    from_environment.or_else(in_home)
}

#[cfg(test)]
mod tests;
