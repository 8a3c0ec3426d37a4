//! `kube-proxy echo`: answers how a connection arrived, to be run in a pod behind a Service.

use super::{Command, Exits};
use crate::config::LoggingConfiguration;
use crate::echo::{EchoOptions, Identity, Mode, Server};
use crate::{descriptors, logging};
use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, value_parser};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The command.
pub const ECHO: Command = Command {
    name: "echo",
    build,
    run,
    exits: Exits::OF_COMMANDS,
};

fn build(command: clap::Command) -> clap::Command {
    let address = Arg::new("address")
        .long("address")
        .help("Where to listen; 0.0.0.0 is all addresses of both IP families.")
        .value_parser(value_parser!(IpAddr))
        .default_value("0.0.0.0")
        .overrides_with("address");
    let port = Arg::new("port")
        .long("port")
        .help("The TCP port; 0 is any free one, which is logged.")
        .value_parser(value_parser!(u16))
        .default_value("8080")
        .overrides_with("port");
    let proxy_protocol = Arg::new("proxy-protocol")
        .long("proxy-protocol")
        .help("Whether connections may, or have to, begin with a PROXY header.")
        .value_parser(PossibleValuesParser::new(Mode::ALL.map(Mode::name)))
        .default_value(Mode::Accept.name())
        .overrides_with("proxy-protocol");
    command
        .about("Answers HTTP requests with how they arrived: whose address the pod sees.")
        .override_usage("kube-proxy echo [flags]")
        .after_help("It names itself by POD_NAME, POD_NAMESPACE and NODE_NAME of its environment.")
        .args([address, port, proxy_protocol].map(|arg| arg.help_heading("Server")))
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    logging::start(&LoggingConfiguration::default());
    descriptors::raise();
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let address = matches.get_one("address").copied().unwrap_or(any);
    let port = matches.get_one("port").copied().unwrap_or_default();
    let mode = matches.get_one::<String>("proxy-protocol");
    let mode = Mode::ALL
        .into_iter()
        .find(|known| Some(known.name()) == mode.map(String::as_str));
    let options = EchoOptions {
        address: SocketAddr::new(address, port),
        proxy_protocol: mode.unwrap_or(Mode::Accept),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        let [terminate, interrupt] = signals.map(|signal| signal.context("waiting for signals"));
        let stop = told(terminate?, interrupt?);
        let server = Server::bind(options)?;
        tracing::info!(
            "echo: listening on {}; PROXY protocol: {}",
            server.address()?,
            options.proxy_protocol.name()
        );
        server.answer(Identity::from_environment(), stop).await;
        anyhow::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn told(mut terminate: Signal, mut interrupt: Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("echo: told to stop; finishing what is under way");
}
