//! One look as a report, a line of JSON for each look, or a screen that is drawn anew.

use super::answer::report;
use super::observer::Observer;
use super::options::{Form, Options};
use super::sample::Sample;
use super::screen::{Next, Screen};
use super::terminal::Terminal;
use crate::settings::Settings;
use anyhow::Context;
use ratatui_crossterm::crossterm::event::Event;
use std::io::{self, Write};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver};

/// Looks, and tells what it saw.
///
/// # Errors
/// Nothing can be looked at, or nobody takes what is told.
pub fn run(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("kube-proxy")
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let result = runtime.block_on(tell(settings, options));
    // A look under way is of no use any more.
    runtime.shutdown_background();
    result
}

async fn tell(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    let observer = Observer::open(settings, options.asked.clone()).await?;
    let changes = match options.form {
        Form::Report(_) | Form::Line => mpsc::channel(1).1,
        Form::Lines | Form::Screen => observer.follow(settings).await?,
    };
    let (told, mut samples) = mpsc::channel(1);
    let terminal = match options.form {
        Form::Screen => Some(Terminal::open().context("setting up the terminal")?),
        _ => None,
    };
    tokio::spawn(observer.run(changes, options.interval, told));
    match (terminal, options.form) {
        (Some(terminal), _) => screen(terminal, samples, options).await,
        (None, Form::Report(output)) => output.print(&report(
            next(&mut samples).await?,
            options.order,
            options.rows,
        )),
        (None, Form::Line) => {
            line(next(&mut samples).await?, options)?;
            Ok(ExitCode::SUCCESS)
        }
        (None, _) => {
            while line(next(&mut samples).await?, options)? {}
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The next look.
async fn next(samples: &mut Receiver<io::Result<Sample>>) -> anyhow::Result<Sample> {
    let sample = samples.recv().await.context("nobody looks any more")?;
    sample.context("conntrack: listing flows")
}

/// Writes a look as a line of JSON; `false` if nobody reads them any more.
fn line(sample: Sample, options: &Options) -> anyhow::Result<bool> {
    let report = report(sample, options.order, options.rows);
    let mut line = serde_json::to_vec(&report).context("a line of JSON")?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    match out.write_all(&line).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("writing a line"),
    }
}

/// Draws until somebody wants it to end. The terminal is as before when this returns.
async fn screen(
    mut terminal: Terminal,
    mut samples: Receiver<io::Result<Sample>>,
    options: &Options,
) -> anyhow::Result<ExitCode> {
    let mut keys = terminal.events();
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("waiting for SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("waiting for SIGHUP")?;
    let mut screen = Screen::new(options);
    loop {
        screen.tell(terminal.last_line());
        terminal.draw(&mut screen).context("drawing")?;
        tokio::select! {
            sample = samples.recv() => screen.take(sample.context("nobody looks any more")?),
            event = keys.recv() => match event.context("nobody reads the keyboard any more")? {
                Event::Key(key) if screen.key(key) == Next::Quit => break,
                _ => {}
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => break,
        }
    }
    Ok(ExitCode::SUCCESS)
}
