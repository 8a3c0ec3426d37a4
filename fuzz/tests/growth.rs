//! An input four times as long takes about four times as long. What grows with the square is how
//! one object stops a whole node.

use kube_proxy::fuzzing::manifest;
use kube_proxy::{cli, config, netlink};
use nix::time::{ClockId, clock_gettime};
use rules::model::Family;
use rules::nft::{Planner, print};
use rules::{Config, State};
use std::fmt::Write;
use std::time::Duration;

/// The processor's time of this thread, which others on the machine do not use up.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .expect("a clock")
        .into()
}

fn time(work: impl Fn()) -> Duration {
    // The best of three, as caches and page faults only ever add.
    let once = || {
        let start = processor_time();
        work();
        processor_time() - start
    };
    [once(), once(), once()].into_iter().min().expect("three")
}

/// What is linear takes 4 times as long, what is quadratic 16 times.
fn check(what: &str, n: usize, make: impl Fn(usize) -> String, work: impl Fn(&str)) {
    const LIMIT: u32 = 8;
    const LEAST: Duration = Duration::from_millis(2);
    let (small, large) = (make(n), make(4 * n));
    let (short, long) = (time(|| work(&small)), time(|| work(&large)));
    let limit = short.max(LEAST) * LIMIT;
    assert!(
        long < limit,
        "{what}: {n} take {short:?}, {} take {long:?}",
        4 * n
    );
}

/// All that the product does with a manifest before the kernel has it.
fn plan(text: &str) {
    let extension = if text.starts_with('{') {
        "json"
    } else {
        "yaml"
    };
    let mut state = State::new();
    for event in manifest(extension, text).events {
        state.apply(event);
    }
    for family in Family::ALL {
        let mut planner = Planner::new(Config::new(family, "n1"));
        let pending = planner.prepare(&state, &[], Default::default);
        let pending = pending.expect("a first sync");
        assert!(!print::transaction(&pending.transaction).is_empty());
        let bytes = netlink::encode(&pending.transaction).expect("nothing is too long");
        assert!(!bytes.is_empty());
        planner.commit(pending);
    }
}

fn list(n: usize, item: impl Fn(usize) -> String) -> String {
    let items: Vec<String> = (0..n).map(item).collect();
    items.join(",")
}

fn v4(network: u8, n: usize) -> String {
    format!("{network}.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255)
}

fn service(name: &str, more: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{name}"}},
        "spec":{{"clusterIP":"10.96.0.1",{more}}}}}"#
    )
}

fn slice(name: &str, endpoints: &str) -> String {
    format!(
        r#"{{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{{
        "name":"{name}","labels":{{"kubernetes.io/service-name":"a"}}}},"addressType":"IPv4",
        "ports":[{{"name":"","port":80}}],"endpoints":[{endpoints}]}}"#
    )
}

fn endpoint(n: usize) -> String {
    format!(r#"{{"addresses":["{}"]}}"#, v4(11, n))
}

fn objects(items: &[String]) -> String {
    let items = items.join(",");
    format!(r#"{{"apiVersion":"v1","kind":"List","items":[{items}]}}"#)
}

const PORT: &str = r#""ports":[{"port":80}]"#;

#[test]
fn parts_of_a_service() {
    let of = |make: fn(usize) -> String| {
        move |n| objects(&[service("a", &make(n)), slice("e", &list(3, endpoint))])
    };
    check(
        "external IPs",
        2000,
        of(|n| {
            format!(
                r#""externalIPs":[{}],{PORT}"#,
                list(n, |n| format!("\"{}\"", v4(12, n)))
            )
        }),
        plan,
    );
    check(
        "the same external IP",
        5000,
        of(|n| {
            format!(
                r#""externalIPs":[{}],{PORT}"#,
                list(n, |_| "\"12.0.0.1\"".to_owned())
            )
        }),
        plan,
    );
    check(
        "ports",
        1500,
        of(|n| {
            format!(
                r#""ports":[{}]"#,
                list(n, |n| format!(r#"{{"name":"p{n}","port":{}}}"#, n + 1))
            )
        }),
        plan,
    );
    check(
        "the same port",
        3000,
        of(|n| {
            format!(
                r#""ports":[{}]"#,
                list(n, |n| format!(r#"{{"name":"p{n}","port":1}}"#))
            )
        }),
        plan,
    );
    check(
        "bad ports",
        5000,
        of(|n| {
            format!(
                r#""ports":[{{"port":1}},{}]"#,
                list(n, |n| format!(r#"{{"name":"p{n}","port":-1}}"#))
            )
        }),
        plan,
    );
    check(
        "cluster IPs",
        5000,
        of(|n| {
            format!(
                r#""clusterIPs":[{}],{PORT}"#,
                list(n, |n| format!("\"{}\"", v4(12, n)))
            )
        }),
        plan,
    );
    let ranges = |n| {
        let all = list(n, |n| format!("\"{}/{}\"", v4(12, n), 32 - n % 24));
        format!(
            r#""loadBalancerSourceRanges":[{all}],{PORT}}},"status":{{"loadBalancer":{{"ingress":[{{"ip":"13.0.0.1"}}]}}"#
        )
    };
    check("source ranges", 2000, of(ranges), plan);
    let ingress = |n| {
        let all = list(n, |n| format!(r#"{{"ip":"{}"}}"#, v4(12, n)));
        format!(r#""type":"LoadBalancer",{PORT}}},"status":{{"loadBalancer":{{"ingress":[{all}]}}"#)
    };
    check("ingress addresses", 2000, of(ingress), plan);
}

#[test]
fn endpoints_of_a_service() {
    let affinity = format!(r#""sessionAffinity":"ClientIP",{PORT}"#);
    for (what, more) in [("endpoints", PORT), ("endpoints with affinity", &affinity)] {
        let make = |n| objects(&[service("a", more), slice("e", &list(n, endpoint))]);
        check(what, 2000, make, plan);
    }
    let same = |n| objects(&[service("a", PORT), slice("e", &list(n, |_| endpoint(1)))]);
    check("the same endpoint", 4000, same, plan);
    let slices = |n| {
        let slices = (0..n).map(|n| slice(&format!("e{n}"), &endpoint(n)));
        objects(&slices.chain([service("a", PORT)]).collect::<Vec<_>>())
    };
    check("slices of a Service", 700, slices, plan);
    let both = |n| {
        let addresses = list(n, |n| format!("\"{}\"", v4(12, n)));
        let more = format!(r#""externalIPs":[{addresses}],{PORT}"#);
        objects(&[service("a", &more), slice("e", &list(n, endpoint))])
    };
    check("addresses and endpoints", 700, both, plan);
    let hints = |n| {
        let zones = list(n, |n| format!(r#"{{"name":"z{n}"}}"#));
        let hinted = format!(r#"{{"addresses":["11.0.0.1"],"hints":{{"forZones":[{zones}]}}}}"#);
        objects(&[service("a", PORT), slice("e", &hinted)])
    };
    check("hints", 4000, hints, plan);
}

#[test]
fn many_objects() {
    let contested = |n| {
        let more = format!(r#""externalIPs":["12.0.0.1"],{PORT}"#);
        let own = |n: usize| service(&format!("s{n}"), &more).replace("10.96.0.1", &v4(10, n));
        objects(&(0..n).map(own).collect::<Vec<_>>())
    };
    check("Services that ask for one address", 700, contested, plan);
    let same = |n| objects(&(0..n).map(|_| service("a", PORT)).collect::<Vec<_>>());
    check("a Service again and again", 1500, same, plan);
    let ranges = |n| {
        let all = list(n, |n| format!("\"{}/32\"", v4(12, n)));
        format!(
            r#"{{"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{{"name":"a"}},"spec":{{"cidrs":[{all}]}}}}"#
        )
    };
    check("Service ranges", 4000, ranges, plan);
    let addresses = |n| {
        let all = list(n, |n| {
            format!(r#"{{"type":"InternalIP","address":"{}"}}"#, v4(12, n))
        });
        format!(
            r#"{{"apiVersion":"v1","kind":"Node","metadata":{{"name":"n1"}},"status":{{"addresses":[{all}]}}}}"#
        )
    };
    check("a node's addresses", 4000, addresses, plan);
}

#[test]
fn shapes_of_text() {
    let repeat = |part: &'static str| move |n: usize| part.repeat(n);
    check("documents", 2000, repeat("---\na: 1\n"), plan);
    check("blank lines", 50_000, repeat("\n"), plan);
    check("comments", 20_000, repeat("# a\n"), plan);
    check("opening brackets", 2000, repeat("["), plan);
    check("opening braces", 2000, repeat("{\"a\":"), plan);
    check("dashes", 2000, repeat("- "), plan);
    check("quotes", 20_000, repeat("\""), plan);
    check(
        "one long line",
        20_000,
        |n| format!("a: {}", "x ".repeat(n)),
        plan,
    );
    check(
        "keys",
        2000,
        |n| {
            (0..n).fold(String::new(), |mut all, n| {
                let _ = writeln!(all, "k{n}: v");
                all
            })
        },
        plan,
    );
    check(
        "aliases",
        2000,
        |n| format!("a: &a [x]\nb: [{}]\n", list(n, |_| "*a".to_owned())),
        plan,
    );
    check(
        "anchors",
        2000,
        |n| {
            list(n, |n| format!("&a{n} x"))
                .replace(',', ", ")
                .replace('&', "- &")
                .replace(", ", "\n")
        },
        plan,
    );
    check(
        "a block",
        10_000,
        |n| format!("a: |\n{}", "  x\n".repeat(n)),
        plan,
    );
    check(
        "indentation",
        300,
        |n| {
            (0..n).fold(String::new(), |mut all, n| {
                let _ = writeln!(all, "{}a:", " ".repeat(n));
                all
            })
        },
        plan,
    );
}

#[test]
fn settings() {
    let head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    let decode = |text: &str| drop(config::decode(text));
    let with = |make: fn(usize) -> String| move |n| format!("{head}{}", make(n));
    check(
        "unknown fields",
        2000,
        with(|n| list(n, |n| format!("f{n}: 1")).replace(',', "\n")),
        decode,
    );
    check(
        "the same field",
        2000,
        with(|n| "mode: a\n".repeat(n)),
        decode,
    );
    check(
        "ranges",
        2000,
        with(|n| {
            format!(
                "nodePortAddresses: [{}]",
                list(n, |n| format!("{}/32", v4(12, n)))
            )
        }),
        decode,
    );
    check(
        "digits of a duration",
        20_000,
        with(|n| format!("configSyncPeriod: {}s", "1".repeat(n))),
        decode,
    );
    check(
        "parts of a duration",
        5000,
        with(|n| format!("configSyncPeriod: {}", "1ns".repeat(n))),
        decode,
    );
    check(
        "digits of a quantity",
        20_000,
        with(|n| {
            format!(
                "logging: {{options: {{json: {{infoBufferSize: \"{}\"}}}}}}",
                "1".repeat(n)
            )
        }),
        decode,
    );
    let parse = |text: &str| drop(cli::parse(&text.split(' ').collect::<Vec<_>>()));
    check("words", 5000, |n| "--v=1 ".repeat(n), parse);
    check("letters", 5000, |n| format!("-{}", "h".repeat(n)), parse);
    check(
        "patterns",
        2000,
        |n| format!("--vmodule={}", list(n, |n| format!("a{n}=1"))),
        parse,
    );
    check(
        "gates",
        2000,
        |n| format!("--feature-gates={}", list(n, |n| format!("A{n}=true"))),
        parse,
    );
}
