//! `kube-proxy top` beside a daemon whose rules translate real connections, on a terminal and
//! without one.

use anyhow::{Context, Result, ensure};
use e2e::address::{Pair, cluster_ip};
use e2e::{Answers, Bed, Daemon, Pod, Server, manifest, wait};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// On which the pods answer line by line, so that connections stay.
const PORT: u16 = 9090;

/// Waits for something, and gives it.
fn awaited<T>(what: &str, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let mut found = None;
    wait::until(what, SOON, || {
        found = Some(look()?);
        Ok(())
    })?;
    found.context("nothing")
}

/// One node with two pods behind a Service, a client pod, and the daemon.
struct Rig {
    // Before the bed, so that it ends first.
    daemon: Daemon,
    pods: Vec<Pod>,
    _servers: Vec<Server>,
    client: Pod,
    bed: Bed,
    dir: PathBuf,
}

impl Rig {
    fn new(name: &str) -> Result<Self> {
        let bed = Bed::build(1)?;
        let own = &bed.nodes()[0];
        let counts = [("net/netfilter/nf_conntrack_acct", "1")];
        own.namespace().sysctls(&counts)?;
        let pods = vec![own.pod("echo-1")?, own.pod("echo-2")?];
        let server = |pod: &Pod| Server::start(pod.namespace(), pod.name(), PORT, Answers::Line);
        let servers = pods.iter().map(server).collect::<Result<_>>()?;
        let client = own.pod("client")?;
        let dir = std::env::temp_dir().join(format!("kpr-top-{}-{name}", std::process::id()));
        let objects = dir.join("objects");
        std::fs::create_dir_all(&objects)?;
        manifest::write(&objects, "node", &[manifest::node(own)])?;
        manifest::write(&objects, "echo", &service("echo", 10, &pods))?;
        let objects = objects.to_str().context("a path")?.to_owned();
        let mut daemon = Daemon::start(own, &["--manifests", &objects], &dir)?;
        daemon.wait_live(own)?;
        Ok(Self {
            daemon,
            pods,
            _servers: servers,
            client,
            bed,
            dir,
        })
    }

    fn objects(&self) -> PathBuf {
        self.dir.join("objects")
    }

    /// The command, on the node.
    fn top(&self, words: &[&str]) -> Result<Command> {
        let own = &self.bed.nodes()[0];
        let mut command = own.namespace().command(e2e::binary()?);
        command.arg("top").args(words);
        command.arg("--manifests").arg(self.objects());
        command.args(["--hostname-override", own.name(), "--interval", "300ms"]);
        Ok(command)
    }

    /// A connection that stays open once the Service answers.
    fn connect(&self, address: IpAddr, port: u16) -> Result<TcpStream> {
        let target = SocketAddr::new(address, port);
        awaited("a connection", || {
            let stream = self
                .client
                .namespace()
                .run(|| TcpStream::connect_timeout(&target, Duration::from_secs(1)))??;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            (&stream).write_all(b"there?\n")?;
            let mut answer = String::new();
            BufReader::new(&stream).read_line(&mut answer)?;
            ensure!(answer.contains("there?"), "answered {answer:?}");
            Ok(stream)
        })
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.daemon.tail(20));
        }
        std::fs::remove_dir_all(&self.dir).ok();
    }
}

/// A Service with its slices.
fn service(name: &str, number: u8, pods: &[Pod]) -> Vec<Value> {
    let Pair { v4, .. } = cluster_ip(number);
    let port = json!({"name": "line", "port": 80, "protocol": "TCP"});
    let mut objects = vec![json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "clusterIP": v4,
            "clusterIPs": cluster_ip(number).both(),
            "ipFamilies": ["IPv4", "IPv6"],
            "ports": [port],
        },
    })];
    let pods: Vec<&Pod> = pods.iter().collect();
    for mut slice in manifest::endpoint_slices(name, &pods) {
        slice["ports"] = json!([{"name": "line", "port": PORT, "protocol": "TCP"}]);
        objects.push(slice);
    }
    objects
}

/// The row of a Service in an answer.
fn row<'a>(answer: &'a Value, name: &str) -> Option<&'a Value> {
    let rows = answer["services"].as_array()?;
    rows.iter().find(|row| row["name"] == name)
}

/// Answers that come line by line.
struct Lines {
    child: Child,
    /// `None` once nobody reads them any more.
    lines: Option<BufReader<ChildStdout>>,
}

impl Lines {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()?;
        let lines = child.stdout.take().map(BufReader::new);
        Ok(Self { child, lines })
    }

    fn next(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.lines
            .as_mut()
            .context("a pipe")?
            .read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("{line:?} is no JSON"))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn one_look_counts_what_is_open_at_each_endpoint() -> Result<()> {
    let rig = Rig::new("once")?;
    let mut open = Vec::new();
    for address in cluster_ip(10).both() {
        for _ in 0..5 {
            open.push(rig.connect(address, 80)?);
        }
    }
    let output = rig
        .top(&["default/echo", "-o", "json", "--once"])?
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let echo = row(&answer, "echo").context("a row")?;
    assert_eq!(echo["open"], 10, "{answer:#}");
    assert_eq!(echo["serving"], 2, "of each family: {answer:#}");
    // By the connections themselves: the pods say who they are.
    let share = echo["busiest"]["share"].as_f64().context("a share")?;
    let spread = echo["spread"].as_f64().context("a spread")?;
    // Five connections of two pods in each family: 3 by 2.5 at least, 5 by 2.5 at most.
    assert!((1.2..=2.0).contains(&spread), "{answer:#}");
    assert!((0.3..=0.5).contains(&share), "{answer:#}");
    let address: IpAddr = echo["busiest"]["address"]
        .as_str()
        .context("text")?
        .parse()?;
    assert!(
        rig.pods.iter().any(|pod| pod.addresses().contains(address)),
        "{answer:#}"
    );
    assert!(answer["seconds"].as_f64() >= Some(0.3), "{answer:#}");

    let output = rig.top(&["--once"])?.output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.success() && text.contains("default/echo:line"),
        "{text}"
    );
    // No terminal, no screen.
    let output = rig.top(&[])?.stdin(Stdio::null()).output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        text.contains("default/echo:line") && !text.contains('\u{1b}'),
        "{text:?}"
    );
    Ok(())
}

#[test]
fn lines_tell_what_is_new_and_follow_the_objects() -> Result<()> {
    let rig = Rig::new("lines")?;
    let stays = rig.connect(cluster_ip(10).v4.into(), 80)?;
    let mut lines = Lines::start(rig.top(&["-o", "json"])?)?;
    let first = lines.next()?;
    let echo = row(&first, "echo").context("a row")?;
    assert_eq!(
        (&echo["open"], &echo["newPerSecond"]),
        (&json!(1), &json!(0.0)),
        "{first:#}"
    );

    // Short ones, which are gone before they could be seen.
    for _ in 0..7 {
        drop(rig.connect(cluster_ip(10).v4.into(), 80)?);
    }
    let (mut new, mut bytes) = (0.0, 0.0);
    wait::until("seven new connections, one open", SOON, || {
        let line = lines.next()?;
        let echo = row(&line, "echo").context("a row")?;
        let rate = |key: &str| echo[key].as_f64().context("a rate");
        let seconds = line["seconds"].as_f64().context("a time")?;
        new += rate("newPerSecond")? * seconds;
        bytes += rate("bytesPerSecond")? * seconds;
        ensure!(new > 6.9 && echo["open"] == 1, "{new} of {line:#}");
        Ok(())
    })?;
    assert!(new < 7.1, "{new} new ones");
    // Seven times a SYN, a line and their answers at least.
    assert!(bytes > 7.0 * 5.0 * 40.0, "{bytes} bytes");

    // Nobody is behind it: the rules reject, and count.
    manifest::write(&rig.objects(), "idle", &service("idle", 12, &[]))?;
    wait::until("a rejected connection that is counted", SOON, || {
        let target = SocketAddr::new(cluster_ip(12).v4.into(), 80);
        let refused = rig
            .client
            .namespace()
            .run(|| TcpStream::connect_timeout(&target, Duration::from_secs(1)))?;
        ensure!(refused.is_err(), "somebody answers");
        let line = lines.next()?;
        let dropped = &row(&line, "idle").context("no row yet")?["dropped"];
        ensure!(dropped["reason"] == "no endpoint", "{line:#}");
        ensure!(dropped["perSecond"].as_f64() > Some(0.0), "{line:#}");
        let reasons = line["drops"].as_array().context("reasons")?;
        let own = reasons.iter().find(|own| own["reason"] == "no endpoint");
        assert_eq!(
            own.context("the reason")?["perSecond"],
            dropped["perSecond"]
        );
        Ok(())
    })?;

    manifest::write(&rig.objects(), "later", &service("later", 11, &rig.pods))?;
    let other = rig.connect(cluster_ip(11).v4.into(), 80)?;
    wait::until("the new Service's connection", SOON, || {
        let line = lines.next()?;
        let later = row(&line, "later").context("no row yet")?;
        ensure!(later["open"] == 1, "{line:#}");
        Ok(())
    })?;
    drop((stays, other));
    // Nobody reads any more: it ends by itself, as in a pipe to `head`.
    lines.lines = None;
    let status = awaited("its end", || lines.child.try_wait()?.context("still there"))?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[test]
fn what_is_not_there_is_said_in_a_line() -> Result<()> {
    let rig = Rig::new("unknown")?;
    for (words, code, said) in [
        (
            &["default/ecoh"][..],
            3,
            "there is no Service default/ecoh; did you mean default/echo?",
        ),
        (
            &["defualt"],
            3,
            "there is no Service in namespace defualt; did you mean default?",
        ),
        (&["default/"], 2, "neither a namespace nor a Service"),
        (&["--interval=1h"], 2, "between 200ms and 10s"),
        (&["--sort=size"], 2, "--sort"),
    ] {
        let output = rig.top(words)?.output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
        assert!(text.contains(said), "{words:?}: {text}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
    Ok(())
}

/// A terminal with the command on it.
struct OnTerminal {
    child: Child,
    /// The side of whoever looks at it.
    keyboard: File,
    /// What is shown and how it is set: the command's side, held open.
    side: OwnedFd,
    seen: Arc<Mutex<Vec<u8>>>,
}

/// The terminal's size.
const ROWS: NonZeroU16 = NonZeroU16::new(24).expect("more than none");
const COLUMNS: NonZeroU16 = NonZeroU16::new(120).expect("more than none");

impl OnTerminal {
    fn start(mut command: Command) -> Result<(Self, Termios)> {
        let size = Winsize {
            ws_row: ROWS.get(),
            ws_col: COLUMNS.get(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(&size, None)?;
        let before = tcgetattr(&pty.slave)?;
        let end = || pty.slave.try_clone().map(Stdio::from);
        let child = command
            .stdin(end()?)
            .stdout(end()?)
            .stderr(end()?)
            .spawn()?;
        let keyboard = File::from(pty.master);
        let mut screen = keyboard.try_clone()?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shown = seen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                shown
                    .lock()
                    .expect("a lock")
                    .extend_from_slice(&bytes[..length]);
            }
        });
        let terminal = Self {
            child,
            keyboard,
            side: pty.slave,
            seen,
        };
        Ok((terminal, before))
    }

    fn text(&self) -> String {
        let seen = self.seen.lock().expect("a lock");
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// What the screen looks like: of a line that changes only the cells that differ are written.
    fn screen(&self) -> String {
        let mut screen = vt100::Parser::new(ROWS, COLUMNS, 0);
        screen.process(&self.seen.lock().expect("a lock"));
        screen.screen().contents()
    }

    fn until_shown(&self, text: &str) -> Result<()> {
        wait::until(&format!("{text:?} on the screen"), SOON, || {
            let shown = self.screen();
            ensure!(shown.contains(text), "{shown}");
            Ok(())
        })
        .map(drop)
    }

    fn until_written(&self, bytes: &str) -> Result<()> {
        wait::until(&format!("{bytes:?} to the terminal"), SOON, || {
            let written = self.text();
            ensure!(written.contains(bytes), "{written:?}");
            Ok(())
        })
        .map(drop)
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn the_terminal_is_as_before_however_it_ends() -> Result<()> {
    let rig = Rig::new("terminal")?;
    let _open = rig.connect(cluster_ip(10).v4.into(), 80)?;
    for end in [
        None,
        Some(Signal::SIGTERM),
        Some(Signal::SIGINT),
        Some(Signal::SIGHUP),
    ] {
        let (mut terminal, before) = OnTerminal::start(rig.top(&[])?)?;
        terminal.until_shown("default/echo:line")?;
        let during = tcgetattr(&terminal.side)?;
        let cooked = LocalFlags::ICANON | LocalFlags::ECHO;
        assert!(
            !during.local_flags.intersects(cooked),
            "it reads key by key"
        );
        match end {
            None => terminal.keyboard.write_all(b"oq")?,
            Some(signal) => kill(Pid::from_raw(terminal.child.id().try_into()?), signal)?,
        }
        let status = awaited("its end", || {
            terminal.child.try_wait()?.context("still there")
        })?;
        ensure!(status.success(), "{end:?}: {status}");
        assert_eq!(tcgetattr(&terminal.side)?, before, "{end:?}");
        // The cursor is shown, and the alternate screen left, in the end.
        for (there, back) in [
            ("\u{1b}[?1049h", "\u{1b}[?1049l"),
            ("\u{1b}[?25l", "\u{1b}[?25h"),
        ] {
            terminal.until_written(back)?;
            let text = terminal.text();
            assert!(text.rfind(back) > text.rfind(there), "{end:?}: {text:?}");
        }
    }
    Ok(())
}

#[test]
fn the_log_does_not_get_onto_the_screen() -> Result<()> {
    let rig = Rig::new("log")?;
    let (mut terminal, _) = OnTerminal::start(rig.top(&[])?)?;
    terminal.until_shown("default/echo:line")?;
    let broken = rig.objects().join("broken.yaml");
    std::fs::write(&broken, "kind: [")?;
    terminal.until_shown("broken.yaml")?;
    // On the last line, cut to its width, and whole after the end.
    let during = terminal.text();
    terminal.keyboard.write_all(b"q")?;
    awaited("its end", || {
        terminal.child.try_wait()?.context("still there")
    })?;
    let left = "\u{1b}[?1049l";
    wait::until("the log behind the screen", SOON, || {
        let text = terminal.text();
        let (_, behind) = text.rsplit_once(left).context("still on it")?;
        ensure!(behind.contains("broken.yaml"), "{behind:?}");
        Ok(())
    })?;
    assert!(!during.contains(left), "{during:?}");
    Ok(())
}

/// The rights that it needs are said.
#[test]
fn without_rights_it_says_which() -> Result<()> {
    let rig = Rig::new("rights")?;
    let top = rig.top(&["--once"])?;
    let mut command = without_net_admin(&rig, &top)?;
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.contains("conntrack: not permitted") && text.contains("NET_ADMIN"),
        "{text}"
    );
    Ok(())
}

/// The same command without a capability.
fn without_net_admin(rig: &Rig, command: &Command) -> Result<Command> {
    let namespace = rig.bed.nodes()[0].namespace();
    let mut less = namespace.command(Path::new("setpriv"));
    less.args([
        "--bounding-set=-net_admin",
        "--inh-caps=-net_admin",
        "--ambient-caps=-net_admin",
    ]);
    less.arg(e2e::binary()?);
    less.args(command.get_args().skip_while(|word| *word != "top"));
    Ok(less)
}
