//! The kubectl plugin as a process, against an API server that speaks `pods/exec` as the kubelet does:
//! WebSocket, v5.channel.k8s.io. What is asked for is run: the program itself, on manifests.

use e2e::cleanup::ScratchDir;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{Message, accept_hdr};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kube-proxy");
const PROTOCOL: &str = "v5.channel.k8s.io";

/// What the fake cluster does.
#[derive(Clone, Copy, Debug, Default)]
struct Behaviour {
    /// 403 to the list of pods.
    pods_are_forbidden: bool,
    /// 403 to every exec.
    exec_is_forbidden: bool,
    /// There is no pod.
    empty: bool,
    /// A node whose pod never answers.
    silent: Option<&'static str>,
}

struct Cluster {
    dir: ScratchDir,
}

impl Cluster {
    /// Three nodes with a proxy each, one, two and three pods of shop/web.
    fn start(behaviour: Behaviour) -> Self {
        let dir = ScratchDir::create("plugin").expect("a directory");
        let manifests = dir.path().join("manifests");
        std::fs::create_dir(&manifests).expect("a directory");
        let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/advise/tests/worked.yaml");
        std::fs::copy(objects, manifests.join("worked.yaml")).expect("a copy");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
            "users": [{"name": "fake", "user": {"token": "x"}}],
        });
        std::fs::write(dir.path().join("kubeconfig"), kubeconfig.to_string()).expect("a file");
        let manifests: Arc<Path> = manifests.into();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, manifests) = (stream.expect("a connection"), manifests.clone());
                std::thread::spawn(move || answer(stream, behaviour, &manifests));
            }
        });
        Self { dir }
    }

    fn manifests(&self) -> String {
        self.dir.path().join("manifests").display().to_string()
    }

    fn ask(&self, words: &str) -> Output {
        let kubeconfig = self.dir.path().join("kubeconfig");
        let mut plugin = Command::new(PROGRAM);
        plugin.arg0("/home/me/.krew/bin/kubectl-svc_doctor");
        plugin.env("KUBECONFIG", kubeconfig).env("NO_COLOR", "1");
        plugin
            .args(words.split_whitespace())
            .output()
            .expect("it runs")
    }
}

/// One connection: kube's client keeps it for all requests but those that become WebSockets.
fn answer(mut stream: TcpStream, behaviour: Behaviour, manifests: &Path) {
    loop {
        let line = first_line(&stream);
        if line.is_empty() {
            return;
        }
        if line.contains("/exec?") && !behaviour.exec_is_forbidden {
            return exec(stream, &line, behaviour, manifests);
        }
        read_head(&mut stream);
        let forbidden = behaviour.pods_are_forbidden || line.contains("/exec?");
        let (status, body) = match forbidden {
            true => ("403 Forbidden", status_forbidden()),
            false => ("200 OK", pods(&line, behaviour)),
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .expect("room");
    }
}

/// The request's first line, which stays to be read.
fn first_line(stream: &TcpStream) -> String {
    let mut bytes = [0; 4096];
    loop {
        let length = stream.peek(&mut bytes).unwrap_or(0);
        let text = String::from_utf8_lossy(&bytes[..length]);
        match text.split_once("\r\n") {
            Some((line, _)) => return line.to_owned(),
            None if length == 0 => return String::new(),
            None => std::thread::yield_now(),
        }
    }
}

fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
}

fn status_forbidden() -> Value {
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 403,
        "reason": "Forbidden", "message": "pods is forbidden: User \"me\" cannot"})
}

/// The chart's pods: none has kubeadm's label.
fn pods(line: &str, behaviour: Behaviour) -> Value {
    let asked_for = line.contains("app.kubernetes.io%2Fname%3Dkube-proxy-rs");
    let nodes: &[&str] = match asked_for && !behaviour.empty {
        true => &["n3", "n1", "n2"],
        false => &[],
    };
    let pod = |node: &&str| {
        json!({"metadata": {"name": format!("proxy-{node}"), "namespace": "kube-system"},
            "spec": {"nodeName": node, "containers": []}, "status": {"phase": "Running"}})
    };
    let items: Vec<Value> = nodes.iter().map(pod).collect();
    json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": items})
}

/// Runs what is asked for, as the kubelet does, and tells how it ended.
fn exec(stream: TcpStream, line: &str, behaviour: Behaviour, manifests: &Path) {
    let target = line.split(' ').nth(1).expect("a target");
    let (path, query) = target.split_once('?').expect("a query");
    let pod = path
        .trim_end_matches("/exec")
        .rsplit('/')
        .next()
        .expect("a pod");
    let node = pod.trim_start_matches("proxy-").to_owned();
    let asked: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let values = |key: &str| {
        let these = asked.iter().filter(|(name, _)| name == key);
        these.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(values("container"), ["kube-proxy"]);
    #[allow(clippy::result_large_err)]
    let choose = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let offered = request.headers()["sec-websocket-protocol"]
            .to_str()
            .expect("text");
        assert!(offered.contains(PROTOCOL), "{offered}");
        let chosen = PROTOCOL.parse().expect("a header");
        response
            .headers_mut()
            .insert("sec-websocket-protocol", chosen);
        Ok(response)
    };
    let mut socket = accept_hdr(stream, choose).expect("a WebSocket");
    if behaviour.silent == Some(node.as_str()) {
        // Until the plugin has had enough.
        while socket.read().is_ok() {}
        return;
    }
    let command = values("command");
    assert_eq!(command[0], "kube-proxy");
    let output = Command::new(PROGRAM)
        .args(&command[1..])
        .arg(format!("--manifests={}", manifests.display()))
        .arg(format!("--hostname-override={node}"))
        .env("NO_COLOR", "1")
        .output()
        .expect("it runs");
    let mut send = |channel: u8, data: &[u8]| {
        let frame = [&[channel], data].concat();
        socket.send(Message::Binary(frame.into())).expect("room");
    };
    // In pieces, as it comes.
    let (first, rest) = output.stdout.split_at(output.stdout.len() / 2);
    send(1, first);
    send(2, &output.stderr);
    send(1, rest);
    send(3, status(output.status.code()).to_string().as_bytes());
    let _ = socket.close(None);
    while socket.read().is_ok() {}
}

fn status(code: Option<i32>) -> Value {
    match code.expect("no signal") {
        0 => json!({"metadata": {}, "status": "Success"}),
        code => json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]}}),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_node_is_asked_and_their_reports_are_one() {
    let cluster = Cluster::start(Behaviour::default());
    let output = cluster.ask("advise shop/web -o json --fail-on never");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["kind"], "NodeReports");
    let reports = report["reports"].as_array().expect("reports");
    let nodes: Vec<&str> = reports
        .iter()
        .filter_map(|own| own["node"].as_str())
        .collect();
    assert_eq!(nodes, ["n1", "n2", "n3"]);
    for own in reports {
        assert_eq!(own["report"]["kind"], "Advice");
        assert_eq!(own["report"]["node"], own["node"]);
    }
    // The worked example has pods on three nodes: 1, 2 and 3.
    let busiest = &reports[0]["report"]["policies"]["Local"]["endpoints"][0];
    assert!(
        busiest["share"].as_f64().expect("a share") > 0.33,
        "{busiest}"
    );
    let table = cluster.ask("advise shop/web --fail-on never");
    let table = text(&table.stdout);
    for node in nodes {
        assert!(table.contains(&format!("proxy-{node}")), "{table}");
    }
}

#[test]
fn one_nodes_answer_comes_as_it_is() {
    let cluster = Cluster::start(Behaviour::default());
    let output = cluster.ask("--node n2 advise shop/web -o html --fail-on never");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = text(&output.stdout);
    assert!(page.starts_with("<!DOCTYPE html>"), "{page}");
    assert!(page.contains("seen from n2"), "{page}");
    let unknown = cluster.ask("--node n2 advise shop/nobody");
    assert_eq!(unknown.status.code(), Some(3));
    assert!(
        text(&unknown.stderr).contains("nobody"),
        "{}",
        text(&unknown.stderr)
    );
    let output = cluster.ask("--node n4 advise shop/web");
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("they run on n1, n2, n3"));
    let wrong = cluster.ask("--node n2 advise shop/web --balancer=nope");
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_node_that_does_not_answer_is_named_and_others_count() {
    let cluster = Cluster::start(Behaviour {
        silent: Some("n2"),
        ..Behaviour::default()
    });
    let output = cluster.ask("--timeout 10 advise shop/web --fail-on never");
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        shown.contains("node n2") && shown.contains("no answer within 10 s"),
        "{shown}"
    );
    let nobody = cluster.ask("advise shop/nobody");
    assert_eq!(nobody.status.code(), Some(3));
    assert!(text(&nobody.stderr).contains("nobody"));
}

#[test]
fn without_rights_it_looks_from_here_and_says_so() {
    for behaviour in [
        Behaviour {
            pods_are_forbidden: true,
            ..Behaviour::default()
        },
        Behaviour {
            exec_is_forbidden: true,
            ..Behaviour::default()
        },
    ] {
        let cluster = Cluster::start(behaviour);
        for node in ["", "--node n1"] {
            let words = format!(
                "{node} advise shop/web -o json --fail-on never --manifests={} --hostname-override=n1",
                cluster.manifests()
            );
            let output = cluster.ask(&words);
            let said = text(&output.stderr);
            assert!(output.status.success(), "{said}");
            assert!(
                said.contains("Looking from here") && said.contains("pods/exec"),
                "{said}"
            );
            let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(report["kind"], "Advice");
        }
    }
}

#[test]
fn a_cluster_without_proxies_and_one_that_is_away() {
    let cluster = Cluster::start(Behaviour {
        empty: true,
        ..Behaviour::default()
    });
    let output = cluster.ask("-n net advise shop/web");
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(
        said.contains("no pod of kube-proxy runs in namespace net"),
        "{said}"
    );
    let away = json!({"apiVersion": "v1", "kind": "Config", "current-context": "away",
        "clusters": [{"name": "away", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "away", "context": {"cluster": "away", "user": "away"}}],
        "users": [{"name": "away", "user": {}}]});
    let kubeconfig = cluster.dir.path().join("away");
    std::fs::write(&kubeconfig, away.to_string()).expect("a file");
    let output = cluster.ask(&format!(
        "--kubeconfig {} advise shop/web",
        kubeconfig.display()
    ));
    assert_eq!(output.status.code(), Some(3));
    assert!(
        text(&output.stderr).contains("refused"),
        "{}",
        text(&output.stderr)
    );
}
