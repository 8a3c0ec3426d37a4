//! `kube-proxy advise [NAMESPACE/NAME]`: what the two external traffic policies cost.

use super::{Command, Exits};
use crate::advise::{self, Question};
use crate::cli::look;
use crate::pflag::{UsageError, quote};
use crate::report::{Data, Output, Report};
use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches};
use rules::advise::{Balancer, ClientAddress};
use rules::model::{ObjectName, TrafficPolicy};
use std::process::ExitCode;

/// The command.
pub const ADVISE: Command = Command {
    name: "advise",
    build,
    run,
    exits: Exits::OF_COMMANDS,
};

/// A format of its own: manifests for kubectl.
const PATCH: &str = "patch";

fn build(command: clap::Command) -> clap::Command {
    let flag = |name: &'static str, help: &'static str| {
        let arg = Arg::new(name).long(name).help(help);
        arg.help_heading("Question").overrides_with(name)
    };
    let command = command
        .about("Tells what both external traffic policies cost a Service, and what helps.")
        .override_usage("kube-proxy advise [[<namespace>/]<service>] [flags]")
        .after_help("Without a Service: all that have external traffic, the worst imbalance first.")
        .arg(
            Arg::new("service")
                .num_args(0..=1)
                .help("The Service; without one, all that have external traffic."),
        )
        .arg(
            flag(
                "namespace",
                "The namespace, where the Service is given without one.",
            )
            .short('n'),
        )
        .arg(
            flag(
                "to",
                "The policy to compare with; the other one than now by default.",
            )
            .value_parser(PossibleValuesParser::new(["Cluster", "Local"]))
            .ignore_case(true),
        )
        .arg(
            flag(
                "balancer",
                "How the balancer spreads connections: evenly over healthy nodes, by their number \
                 of endpoints (X-Load-Balancing-Endpoint-Weight), or evenly over zones first.",
            )
            .value_parser(PossibleValuesParser::new(["nodes", "endpoints", "zones"]))
            .default_value("nodes"),
        )
        .arg(
            flag(
                "client-address",
                "Whether the pods need the client's address; by default the Service's own words \
                 decide.",
            )
            .value_parser(PossibleValuesParser::new(["auto", "needed", "not-needed"]))
            .default_value("auto"),
        )
        .arg(flag(
            "port",
            "Name or number of the Service's port; the first one by default.",
        ));
    look::flags(command, &[PATCH])
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let asked = asked(matches)?;
    let output = Output::new(matches);
    let is_patch = matches
        .get_one::<String>("output")
        .is_some_and(|own| own == PATCH);
    if is_patch && matches!(asked, Asked::All(_)) {
        return Err(
            UsageError::new("-o patch needs a Service: kube-proxy advise NAMESPACE/NAME").into(),
        );
    }
    let question = question(matches);
    let settings = look::settings(matches)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    match asked {
        Asked::All(namespace) => {
            let looked = advise::all(&settings, namespace.as_deref(), &question);
            output.print(&runtime.block_on(looked)?)
        }
        Asked::One(name) => {
            let report = runtime.block_on(advise::one(&settings, &name, &question))?;
            match is_patch {
                true => printed(&output, &advise::patch(&report.data), &report),
                false => output.print(&report),
            }
        }
    }
}

/// Prints what is not the report itself, with the report's exit code.
fn printed<D: Data>(output: &Output, text: &str, report: &Report<D>) -> anyhow::Result<ExitCode> {
    crate::cli::print(text)?;
    Ok(output.exit_code(report))
}

/// What is asked about.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    All(Option<String>),
    One(ObjectName),
}

fn asked(matches: &ArgMatches) -> Result<Asked, UsageError> {
    let namespace = matches.get_one::<String>("namespace").cloned();
    let words = matches.get_one::<String>("service");
    let Some(service) = words.filter(|own| !own.is_empty()) else {
        return Ok(Asked::All(namespace));
    };
    let (given, name) = match service.split_once('/') {
        None => (None, service.as_str()),
        Some((given, name)) => (Some(given), name),
    };
    if given == Some("") || name.contains('/') || (given.is_none() && name.is_empty()) {
        return Err(UsageError::new(format!(
            "{} is no Service: it is NAMESPACE/NAME, or NAME with --namespace",
            quote(service)
        )));
    }
    if let (Some(given), Some(flag)) = (given, &namespace)
        && given != flag
    {
        return Err(UsageError::new(format!(
            "{} and --namespace {} name two namespaces",
            quote(service),
            quote(flag)
        )));
    }
    let namespace = given.map(str::to_owned).or(namespace);
    Ok(match name {
        // `shop/` is the namespace.
        "" => Asked::All(namespace),
        name => {
            let namespace = namespace.as_deref().unwrap_or("default");
            Asked::One(ObjectName::new(namespace, name))
        }
    })
}

fn question(matches: &ArgMatches) -> Question {
    let value = |flag| matches.get_one::<String>(flag).map(String::as_str);
    Question {
        to: value("to").map(|to| match to.eq_ignore_ascii_case("Local") {
            true => TrafficPolicy::Local,
            false => TrafficPolicy::Cluster,
        }),
        balancer: match value("balancer") {
            Some("endpoints") => Balancer::Endpoints,
            Some("zones") => Balancer::Zones,
            _ => Balancer::Nodes,
        },
        client_address: match value("client-address") {
            Some("needed") => ClientAddress::Needed,
            Some("not-needed") => ClientAddress::NotNeeded,
            _ => ClientAddress::Auto,
        },
        port: value("port").map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_named_in_all_ways() {
        let read = |words: &[&str]| {
            let matches = crate::pflag::matches(build(clap::Command::new("advise")), words);
            let asked = matches.and_then(|matches| asked(&matches));
            asked.map_err(|error| error.to_string())
        };
        let one = |namespace: &str, name: &str| Ok(Asked::One(ObjectName::new(namespace, name)));
        let all = |namespace: Option<&str>| Ok(Asked::All(namespace.map(str::to_owned)));
        assert_eq!(read(&["shop/web"]), one("shop", "web"));
        assert_eq!(read(&["web"]), one("default", "web"));
        assert_eq!(read(&["web", "-n", "shop"]), one("shop", "web"));
        assert_eq!(
            read(&["shop/web", "-n=shop", "--to=local"]),
            one("shop", "web")
        );
        assert_eq!(read(&[]), all(None));
        assert_eq!(read(&["shop/"]), all(Some("shop")));
        assert_eq!(read(&["--namespace", "shop"]), all(Some("shop")));
        for wrong in [
            &["a/b/c"][..],
            &["/web"],
            &["/"],
            &["shop/web", "-n", "other"],
            &["a", "b"],
        ] {
            read(wrong).expect_err("no Service");
        }
        for wrong in [
            &["--to=Both"][..],
            &["--balancer=x"],
            &["--client-address=x"],
            &["-o=x"],
        ] {
            read(wrong).expect_err("no such value");
        }
    }
}
