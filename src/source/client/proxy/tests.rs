//! What Go 1.26 with golang.org/x/net v0.57 and client-go 0.37 says about the same environments
//! (go.json): `httpproxy.FromEnvironment` within `NewProxierWithNoProxyCIDR`.

use super::environment::Unusable;
use super::*;
use crate::source::client::server::Server;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Table {
    targets: Vec<String>,
    /// For each value of `NO_PROXY` a `p` for each target that goes through the proxy.
    no_proxy: BTreeMap<String, String>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    env: BTreeMap<String, String>,
    target: String,
    proxy: String,
    #[serde(default)]
    error: bool,
}

fn table() -> Table {
    serde_json::from_str(include_str!("go.json")).expect("the table")
}

fn ask(env: &BTreeMap<String, String>, target: &str) -> Result<Option<Proxy>, Unusable> {
    let server = Server::parse(target).expect(target);
    Environment::new(|name| env.get(name).cloned()).proxy(
        server.scheme(),
        server.host(),
        server.port(),
    )
}

#[test]
fn no_proxy_means_the_targets_that_it_means_in_go() {
    let table = table();
    assert!(table.no_proxy.len() > 50);
    let mut wrong = Vec::new();
    for (no_proxy, expected) in &table.no_proxy {
        let env = BTreeMap::from([
            ("HTTPS_PROXY".to_owned(), "http://p:1".to_owned()),
            ("HTTP_PROXY".to_owned(), "http://q:2".to_owned()),
            ("NO_PROXY".to_owned(), no_proxy.clone()),
        ]);
        let found: String = table
            .targets
            .iter()
            .map(|target| match ask(&env, target) {
                Ok(None) => '.',
                Ok(Some(_)) => 'p',
                Err(_) => 'e',
            })
            .collect();
        if found != *expected {
            wrong.push((no_proxy, expected, found));
        }
    }
    assert!(wrong.is_empty(), "{:?}: {wrong:#?}", table.targets);
}

#[test]
fn environments_name_the_proxies_that_they_name_in_go() {
    let table = table();
    assert!(table.rows.len() > 300);
    for row in &table.rows {
        let what = format!("{:?} {}: {:?}", row.env, row.target, row.proxy);
        match ask(&row.env, &row.target) {
            Ok(None) => assert!(row.proxy.is_empty() && !row.error, "{what}"),
            Ok(Some(proxy)) => {
                // A zone is escaped in a URL, and not in Go's answer.
                let expected = row.proxy.replace("%eth0", "%25eth0");
                let expected = Url::parse(&expected).expect(&what);
                assert_eq!(expected.hostname(), proxy.host, "{what}");
                let default = match proxy.kind {
                    Kind::Http => "80",
                    Kind::Https => "443",
                    Kind::Socks5 => "1080",
                };
                let port = match expected.port() {
                    "" => default,
                    port => port,
                };
                assert_eq!(port, proxy.port.to_string(), "{what}");
                assert!(expected.scheme.starts_with(match proxy.kind {
                    Kind::Http => "http",
                    Kind::Https => "https",
                    Kind::Socks5 => "socks5",
                }));
                assert_eq!(expected.user, proxy.user, "{what}");
            }
            // Go goes on without a proxy, and says nothing.
            Err(error) if error.ignored => assert!(row.proxy.is_empty() && !row.error, "{what}"),
            Err(error) if row.error => assert!(error.why.contains("CGI"), "{what} {error:?}"),
            // Go would find out when it connects.
            Err(error) => {
                let hopeless = ["ftp:", "://h:99999", "http://:"];
                let hopeless =
                    hopeless.iter().any(|own| row.proxy.contains(own)) || row.proxy == "http://";
                assert!(hopeless, "{what} {error:?}");
            }
        }
    }
}

#[test]
fn a_kubeconfig_s_proxy_needs_a_scheme() {
    let proxy = Proxy::from_kubeconfig("http://user:p%40ss@10.9.0.3:3128").expect("a proxy");
    assert_eq!(proxy.to_string(), "http://10.9.0.3:3128");
    let header = proxy.authorization().expect("a header");
    // user:p@ss
    assert_eq!(header, "Basic dXNlcjpwQHNz");
    assert_eq!(proxy.user(), Some(("user", "p@ss")));
    let proxy = Proxy::from_kubeconfig("socks5://[2001:db8::3]").expect("a proxy");
    assert_eq!(proxy.to_string(), "socks5://[2001:db8::3]:1080");
    for (text, says) in [
        ("10.9.0.3:3128", "colon"),
        ("proxy:3128", "its scheme is \"proxy\""),
        ("ftp://proxy", "its scheme is \"ftp\""),
        ("socks5h://proxy", "its scheme is \"socks5h\""),
        ("http://", "no host"),
        ("http://secret:word@h:x", "its port \"x\""),
    ] {
        let error = Proxy::from_kubeconfig(text).expect_err(text);
        assert!(error.contains(says), "{text}: {error}");
        assert!(!error.contains("word"), "{error}");
    }
}
