//! `/configz`, `/flagz` and `/statusz` (docs/reference.md#metrics-port).

use super::{Site, raw};
use e2e::http::Request;

const SERVER: &str = "127.0.0.1:10249";
const BETA: &str = "application/json;g=config.k8s.io;v=v1beta1;as=Flagz";

fn site() -> Site {
    let site = Site::new();
    drop(site.serve(&["--proxy-mode=nftables", "--masquerade-all", "-v=3"]));
    site.get(SERVER, "/healthz");
    site
}

fn ask(site: &Site, path: &str, headers: &[(&str, &str)]) -> String {
    let request = headers
        .iter()
        .fold(Request::new(path), |request, (name, value)| {
            request.header(name, value)
        });
    raw(&site.send(SERVER, &request))
}

#[test]
fn text_is_for_everybody_who_takes_text() {
    let site = site();
    let flagz = raw(&site.get(SERVER, "/flagz"));
    let (head, body) = flagz.split_once("\n\n").expect("a head and a body");
    assert!(
        head.starts_with("HTTP/1.1 200 OK\nContent-Type: text/plain; charset=utf-8\nConnection"),
        "{head}"
    );
    let begin = "\nkube-proxy flagz\nWarning: This endpoint is not meant to be machine parseable, \
                 has no formatting compatibility guarantees and is for debugging purposes only.\n\
                 bind-address: 0.0.0.0\nbind-address-hard-fail: false\n";
    assert!(body.starts_with(begin), "{body}");
    for accept in ["*/*", "text/*", "application/xml, */*;q=0.1", "text/plain,"] {
        assert_eq!(
            ask(&site, "/flagz", &[("Accept", accept)]),
            flagz,
            "{accept}"
        );
    }
    let statusz = site.get(SERVER, "/statusz").body;
    let names: Vec<&str> = statusz
        .lines()
        .filter_map(|line| Some(line.split_once(": ")?.0))
        .collect();
    assert_eq!(
        names,
        [
            "Warning",
            "Started",
            "Up",
            "Go version",
            "Binary version",
            "Emulation version",
            "Paths"
        ]
    );
}

#[test]
fn objects_are_for_those_that_ask_for_exactly_them() {
    let site = site();
    let flagz = ask(&site, "/flagz", &[("Accept", BETA)]);
    assert!(
        flagz.contains(&format!("Content-Type: {BETA}\n"))
            && flagz.contains(
                "{\"kind\":\"Flagz\",\"apiVersion\":\"config.k8s.io/v1beta1\",\
                 \"metadata\":{\"name\":\"kube-proxy\"},\"flags\":{\"bind-address\":\"0.0.0.0\""
            )
            && flagz.contains("\"v\":\"3\",")
            && flagz.ends_with("\"}}\n"),
        "{flagz}"
    );
    let people = [("Accept", BETA), ("User-Agent", "curl/8")];
    assert!(ask(&site, "/flagz", &people).contains("\n    \"v\": \"3\",\n"));
    assert!(ask(&site, "/flagz?pretty=0", &people).contains("\"v\":\"3\","));
    let old = ask(
        &site,
        "/flagz",
        &[("Accept", &BETA.replace("v1beta1", "v1alpha1"))],
    );
    assert!(
        old.contains(
            "Warning: 299 - \"This version of the flagz endpoint is deprecated. Please use a \
             newer version.\"\n"
        ),
        "{old}"
    );
    let yaml = "application/yaml;g=config.k8s.io;v=v1beta1;as=Statusz";
    let statusz = ask(&site, "/statusz", &[("Accept", yaml)]);
    assert!(
        statusz.contains(&format!("Content-Type: {yaml}\n"))
            && statusz.contains("apiVersion: config.k8s.io/v1beta1\nbinaryVersion: 1.37.2\n"),
        "{statusz}"
    );
}

#[test]
fn anything_else_is_refused_in_its_own_form() {
    let site = site();
    insta::assert_snapshot!(ask(&site, "/statusz", &[("Accept", "application/json")]), @r#"
    HTTP/1.1 406 Not Acceptable
    Content-Type: application/json
    Connection: close
    Content-Length: 209

    {"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"only the following media types are accepted: application/json, application/yaml, text/plain","reason":"NotAcceptable","code":406}
    "#);
    for accept in ["text/html", "garbage", BETA, "TEXT/PLAIN"] {
        let refusal = ask(&site, "/statusz", &[("Accept", accept)]);
        let is_indented = refusal.ends_with("\n  \"code\": 406\n}");
        assert!(
            refusal.starts_with("HTTP/1.1 406") && is_indented,
            "{accept}: {refusal}"
        );
    }
    let yaml = ask(&site, "/statusz", &[("Accept", "application/yaml")]);
    assert!(
        yaml.ends_with("reason: NotAcceptable\nstatus: Failure\n"),
        "{yaml}"
    );
}

#[test]
fn the_configuration_is_under_its_groups_name() {
    let site = site();
    let response = site.get(SERVER, "/configz");
    assert_eq!(response.header("content-type"), Some("application/json"));
    let config: serde_json::Value = serde_json::from_str(&response.body).expect("JSON");
    let config = &config["kubeproxy.config.k8s.io"];
    assert_eq!(config["kind"], "KubeProxyConfiguration");
    assert_eq!(config["nftables"]["masqueradeAll"], true);
}
