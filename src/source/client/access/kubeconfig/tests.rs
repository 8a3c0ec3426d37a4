//! Kubeconfigs, and what client-go 0.37 makes of the same ones, but for what is said to differ.

use super::*;
use e2e::cleanup::ScratchDir;
use serde_json::{Value, json};

const SERVER: &str = "https://10.9.0.2:6443";

/// A kubeconfig with a cluster c and a user u, and a value for some pointer.
fn config(cluster: Value, user: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    })
}

fn with(mut config: Value, pointer: &str, value: Value) -> Value {
    *config.pointer_mut(pointer).expect(pointer) = value;
    config
}

fn plain(user: Value) -> Value {
    config(json!({"server": SERVER}), user)
}

fn parse(value: &Value, master: Option<&str>) -> anyhow::Result<Access> {
    let file = File::parse(&value.to_string()).map_err(anyhow::Error::msg)?;
    access(&file, Path::new("/etc/kubernetes"), master)
}

/// The URL, then whatever is not the default.
fn shown(access: &Access) -> String {
    let server = &access.server;
    let mut words = vec![format!(
        "{}://{}{}",
        server.scheme(),
        server.authority(),
        server.prefix()
    )];
    match &access.token {
        Token::None => {}
        Token::Fixed(value) => words.push(value.to_str().expect("text").to_owned()),
        Token::File { path, instead } => {
            words.push(format!("{}, or {instead:?}", path.display()));
        }
    }
    if let Authority::These(pem) = &access.tls.authority {
        words.push(format!("ca {pem:?}"));
    }
    if access.tls.insecure {
        words.push("insecure".to_owned());
    }
    if let Some(name) = &access.tls.server_name {
        words.push(format!("name {name}"));
    }
    if let Some((certificate, key)) = &access.tls.identity {
        words.push(format!("identity {certificate:?} {key:?}"));
    }
    if let Some(proxy) = &access.proxy {
        words.push(format!("proxy {proxy}"));
    }
    for (name, value) in &access.headers {
        words.push(format!("{name}={}", value.to_str().expect("text")));
    }
    words.join(" ")
}

#[test]
fn what_is_used() {
    let ca = |more: Value| {
        let mut cluster = json!({"server": SERVER, "certificate-authority": "pki/ca.crt"});
        let map = cluster.as_object_mut().expect("an object");
        map.extend(more.as_object().expect("an object").clone());
        cluster
    };
    let token = || json!({"token": "x"});
    let ca_shown = "ca File(\"/etc/kubernetes/pki/ca.crt\")";
    for (file, expected) in [
        (plain(token()), format!("{SERVER} Bearer x")),
        (plain(json!(null)), SERVER.to_owned()),
        (
            config(ca(json!({})), token()),
            format!("{SERVER} Bearer x {ca_shown}"),
        ),
        (
            config(
                json!({"server": SERVER, "certificate-authority": ""}),
                token(),
            ),
            format!("{SERVER} Bearer x"),
        ),
        (
            config(
                json!({"server": SERVER, "certificate-authority-data": "eA=="}),
                token(),
            ),
            format!("{SERVER} Bearer x ca Inline"),
        ),
        (
            config(
                json!({"server": SERVER, "insecure-skip-tls-verify": true}),
                token(),
            ),
            format!("{SERVER} Bearer x insecure"),
        ),
        (
            config(
                json!({"server": SERVER, "tls-server-name": "x.example"}),
                token(),
            ),
            format!("{SERVER} Bearer x name x.example"),
        ),
        (
            config(json!({"server": "https://10.9.0.2/a/b/"}), token()),
            "https://10.9.0.2/a/b Bearer x".to_owned(),
        ),
        // Nothing says that the token may be sent in the clear.
        (
            config(json!({"server": "10.9.0.2:6443"}), token()),
            "http://10.9.0.2:6443".to_owned(),
        ),
        // client-go does not send it, whatever the scheme is.
        (
            config(json!({"server": "http://10.9.0.2"}), token()),
            "http://10.9.0.2 Bearer x".to_owned(),
        ),
        (
            config(json!({"server": "https://a:b@10.9.0.2"}), json!({})),
            "https://10.9.0.2 Basic YTpi".to_owned(),
        ),
        (
            config(
                json!({"server": SERVER, "proxy-url": "socks5://p"}),
                token(),
            ),
            format!("{SERVER} Bearer x proxy socks5://p:1080"),
        ),
        (
            plain(json!({"tokenFile": "token"})),
            format!("{SERVER} /etc/kubernetes/token, or None"),
        ),
        (
            plain(json!({"tokenFile": "/run/token", "token": "x"})),
            format!("{SERVER} /run/token, or Some(Sensitive)"),
        ),
        (
            plain(json!({"username": "a", "password": "b"})),
            format!("{SERVER} Basic YTpi"),
        ),
        (
            plain(json!({"client-certificate": "a.crt", "client-key": "a.key"})),
            format!(
                "{SERVER} identity File(\"/etc/kubernetes/a.crt\") File(\"/etc/kubernetes/a.key\")"
            ),
        ),
        (plain(json!({"client-key": "a.key"})), SERVER.to_owned()),
        (
            plain(json!({"as": "me", "as-uid": "1", "as-groups": ["g", "h"],
                         "as-user-extra": {"a/b": ["c"]}})),
            format!(
                "{SERVER} impersonate-user=me impersonate-uid=1 impersonate-group=g \
                 impersonate-group=h impersonate-extra-a%2fb=c"
            ),
        ),
        (
            with(plain(token()), "/contexts/0/context/user", json!("nobody")),
            SERVER.to_owned(),
        ),
        (
            with(plain(token()), "/contexts/0/context/user", json!(null)),
            SERVER.to_owned(),
        ),
    ] {
        let access = parse(&file, None).unwrap_or_else(|error| panic!("{file}: {error:#}"));
        assert_eq!(shown(&access), expected, "{file}");
    }
}

#[test]
fn the_flag_is_the_server_and_leaves_the_rest() {
    let url = Some("https://10.9.0.3:1");
    let named = json!({"server": SERVER, "tls-server-name": "x.example"});
    for (file, expected) in [
        (
            config(named, json!({"token": "x"})),
            "https://10.9.0.3:1 Bearer x",
        ),
        (
            config(json!({}), json!({"token": "x"})),
            "https://10.9.0.3:1 Bearer x",
        ),
        (
            with(plain(json!({"token": "x"})), "/current-context", json!("")),
            "https://10.9.0.3:1",
        ),
    ] {
        let access = parse(&file, url).expect("an access");
        assert_eq!(shown(&access), expected, "{file}");
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    let user = |user: Value| plain(user);
    let cluster = |cluster: Value| config(cluster, json!({"token": "x"}));
    for (file, says) in [
        (
            with(plain(json!({})), "/current-context", json!("")),
            "no current-context",
        ),
        (
            with(plain(json!({})), "/current-context", json!("x")),
            "current-context \"x\": there is no such context",
        ),
        (
            with(plain(json!({})), "/contexts/0/context/cluster", json!("x")),
            "context \"c\": there is no cluster \"x\"",
        ),
        (json!({}), "no current-context"),
        (
            json!({"clusters": null, "users": null, "contexts": null}),
            "no current-context",
        ),
        (
            with(plain(json!({})), "/kind", json!("Pod")),
            "kind \"Pod\"",
        ),
        (
            with(plain(json!({})), "/apiVersion", json!("v9")),
            "apiVersion \"v9\"",
        ),
        (
            cluster(json!({"certificate-authority": "a"})),
            "no server found for cluster \"c\"",
        ),
        (
            cluster(json!({"server": {}})),
            "expected string scalar at line 1",
        ),
        (
            cluster(json!({"server": "ftp://x"})),
            "server \"ftp://x\": its scheme is \"ftp\"",
        ),
        (
            cluster(json!({"server": "https://x:99999"})),
            "its port \"99999\" is out of range",
        ),
        (
            cluster(json!({"server": SERVER, "insecure-skip-tls-verify": true,
                           "certificate-authority": "ca.crt"})),
            "specifying a root certificates file with the insecure flag is not allowed",
        ),
        (
            cluster(json!({"server": SERVER, "certificate-authority-data": "%"})),
            "certificate-authority-data: not base64",
        ),
        (
            cluster(
                json!({"server": SERVER, "certificate-authority-data": "eA==",
                           "certificate-authority": "a"}),
            ),
            "certificate-authority and certificate-authority-data are both given",
        ),
        (
            cluster(json!({"server": SERVER, "proxy-url": "p:1"})),
            "proxy-url: its scheme is \"p\"",
        ),
        (
            user(
                json!({"exec": {"command": "aws", "apiVersion": "client.authentication.k8s.io/v1"}}),
            ),
            "user \"u\": exec: the credential plugin \"aws\" is not run",
        ),
        (
            user(json!({"auth-provider": {"name": "gcp"}})),
            "auth-provider: there is none",
        ),
        (user(json!({"username": "a", "token": "x"})), "only one way"),
        (
            user(json!({"username": "a", "tokenFile": "x"})),
            "only one way",
        ),
        (
            user(json!({"client-certificate": "a"})),
            "client-certificate without client-key",
        ),
        (user(json!({"as-groups": ["a"]})), "without as"),
        (
            user(json!({"as": "a\nb"})),
            "Impersonate-User: no value of a header",
        ),
        (user(json!({"token": "a\nb"})), "token: this is no token"),
    ] {
        let error = format!("{:#}", parse(&file, None).expect_err(says));
        assert!(error.contains(says), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn files_are_yaml_or_json_and_errors_one_line() {
    let scratch = ScratchDir::create("kubeconfig").expect("a directory");
    let path = scratch.path().join("config");
    let yaml = "\u{feff}apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n\
                - name: c\n  cluster: {server: 'https://10.9.0.2:6443', certificate-authority: ca.crt}\n\
                contexts:\n- {name: c, context: {cluster: c}}\nusers: null\nmine: [1]\n";
    std::fs::write(&path, yaml).expect("a file");
    let access = read(&path, None).expect("an access");
    let authority = scratch.path().join("ca.crt");
    assert_eq!(shown(&access), format!("{SERVER} ca File({authority:?})"));
    for text in ["", "a: [", "- 1", "clusters: 5", "\u{0}"] {
        std::fs::write(&path, text).expect("a file");
        let error = format!("{:#}", read(&path, None).expect_err(text));
        let begins = format!("--kubeconfig {}: ", path.display());
        assert!(error.starts_with(&begins), "{error}");
        assert!(!error.trim_end().contains('\n'), "{error}");
    }
}
