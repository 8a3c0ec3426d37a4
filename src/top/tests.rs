//! Rows in every form, and what keys do to them.

use super::answer::{Top, report};
use super::options::{Form, Options};
use super::order::Order;
use super::refused::attribute;
use super::sample::{Drops, Rates, Reason, Row, Sample, per_second};
use super::screen::{Next, Screen};
use super::units;
use super::wanted::{asked, is_wanted};
use crate::inspect::Asked;
use crate::netlink::Room;
use crate::report::{Data, Format, Output, Report, Source};
use ratatui_core::backend::TestBackend;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use rules::finding::Severity;
use rules::model::{EndpointAddr, ObjectName, Protocol};
use rules::nft::ruleset::Counter;
use rules::usage::Refusals;
use std::io;
use std::time::Duration;

fn endpoint(address: &str) -> EndpointAddr {
    EndpointAddr {
        address: address.parse().expect("an address"),
        port: 8080,
    }
}

fn row(name: &str, port: &str, rates: (f64, u64, f64)) -> Row {
    let (namespace, name) = name.split_once('/').expect("two names");
    let (new, open, bytes) = rates;
    Row {
        service: ObjectName::new(namespace, name),
        port_name: port.into(),
        protocol: Protocol::Tcp,
        number: 80,
        rates: Rates {
            new,
            open,
            packets: bytes / 1000.0,
            bytes,
        },
        serving: 3,
        busiest: None,
        spread: None,
        refusals: Refusals::default(),
        drops: None,
    }
}

fn sample() -> Sample {
    let mut web = row("shop/web", "http", (812.4, 4301, 92_100_000.0));
    web.busiest = Some((endpoint("10.244.1.5"), 0.34));
    web.spread = Some(2.04);
    web.drops = Some(Drops {
        per_second: None,
        reason: "none on this node",
    });
    let mut dns = row("kube-system/kube-dns", "dns", (2140.0, 310, 400_000.0));
    dns.protocol = Protocol::Udp;
    dns.number = 53;
    dns.busiest = Some((endpoint("fd00:10:244::3"), 0.51));
    dns.spread = Some(1.0);
    let mut idle = row("shop/idle", "", (0.0, 0, 0.0));
    idle.serving = 0;
    idle.drops = Some(Drops {
        per_second: Some(3.5),
        reason: "no endpoint",
    });
    Sample {
        node: "n2".into(),
        time: Duration::from_secs(2),
        took: Duration::from_millis(31),
        room: Some(Room {
            entries: 4711,
            limit: Some(262_144),
        }),
        rows: vec![idle, web, dns],
        other: Rates {
            new: 0.5,
            open: 2,
            packets: 1.0,
            bytes: 100.0,
        },
        counts_traffic: true,
        drops: Some(vec![
            Reason {
                per_second: 3.5,
                reason: "no endpoint",
            },
            Reason {
                per_second: 0.0,
                reason: "source range",
            },
        ]),
        sources: vec![Source::fresh("manifests"), Source::fresh("conntrack")],
    }
}

/// Without what the kernel may not count.
fn poor() -> Sample {
    let mut sample = sample();
    sample.counts_traffic = false;
    sample.drops = None;
    sample.rows.iter_mut().for_each(|row| row.drops = None);
    let unseen = Source::unseen("packets and bytes", "the kernel does not count them");
    sample.sources.push(unseen);
    sample
}

fn text(report: &Report<Top>, format: Format) -> String {
    let output = Output {
        format,
        fail_on: Some(Severity::Error),
    };
    anstream::adapter::strip_str(&output.text(report)).to_string()
}

#[test]
fn one_look_for_people() {
    let by_new = report(sample(), Order::New, 2);
    insta::assert_snapshot!("once", text(&by_new, Format::Table));
    let by_name = report(sample(), Order::Name, 0);
    insta::assert_snapshot!("once-wide", text(&by_name, Format::Wide));
    insta::assert_snapshot!(
        "once-poor",
        text(&report(poor(), Order::Open, 0), Format::Table)
    );
}

#[test]
fn one_look_for_programs() {
    let mut all = report(sample(), Order::Spread, 0);
    all.generated_at = "2026-11-28T13:00:00Z".to_owned();
    insta::assert_snapshot!("json", text(&all, Format::Json));
    let poor = serde_json::to_value(report(poor(), Order::New, 1)).expect("JSON");
    assert_eq!(poor["drops"], serde_json::Value::Null);
    assert_eq!(poor["conntrack"]["accounting"], false);
    assert_eq!(
        poor["services"][0]["bytesPerSecond"],
        serde_json::Value::Null
    );
    assert_eq!(poor["services"].as_array().map(Vec::len), Some(1));
    assert_eq!(poor["ports"], 3, "how many there are");
}

#[test]
fn a_line_is_what_its_schema_says() {
    let schema = serde_json::to_value(schemars::schema_for!(Report<Top>)).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    for sample in [sample(), poor()] {
        let line = serde_json::to_value(report(sample, Order::New, 0)).expect("JSON");
        let errors: Vec<String> = validator
            .iter_errors(&line)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    assert_eq!(Top::KIND, "Top");
}

#[test]
fn orders_put_the_largest_first_and_equals_by_name() {
    for (order, expected) in [
        (
            Order::New,
            ["kube-system/kube-dns", "shop/web", "shop/idle"],
        ),
        (
            Order::Open,
            ["shop/web", "kube-system/kube-dns", "shop/idle"],
        ),
        (
            Order::Bytes,
            ["shop/web", "kube-system/kube-dns", "shop/idle"],
        ),
        (
            Order::Drops,
            ["shop/idle", "shop/web", "kube-system/kube-dns"],
        ),
        (
            Order::Spread,
            ["shop/web", "kube-system/kube-dns", "shop/idle"],
        ),
        (
            Order::Name,
            ["kube-system/kube-dns", "shop/idle", "shop/web"],
        ),
    ] {
        let mut rows = sample().rows;
        order.sort(&mut rows);
        let names: Vec<String> = rows.iter().map(|row| row.service.to_string()).collect();
        assert_eq!(names, expected, "{order}");
    }
}

#[test]
fn a_rate_of_drops_is_whose_it_can_only_be() {
    let none = Refusals::default();
    let no_endpoint = Refusals {
        no_endpoint: true,
        ..none
    };
    let source_range = Refusals {
        source_range: true,
        ..none
    };
    let both = Refusals {
        no_local_endpoint: true,
        ..source_range
    };
    let packets = |packets| {
        [
            (Counter::NoEndpoint, packets),
            (Counter::SourceRange, packets),
        ]
    };
    let told = |per_second, reason| Some(Drops { per_second, reason });
    let known = |per_second, reason| told(Some(per_second), reason);
    // What a port refuses for, what others do, how many packets, and what is told of it.
    for (own, others, count, expected) in [
        (none, vec![], 10, None),
        (none, vec![no_endpoint], 10, None),
        (no_endpoint, vec![], 10, known(5.0, "no endpoint")),
        (no_endpoint, vec![], 0, known(0.0, "no endpoint")),
        (
            no_endpoint,
            vec![source_range],
            10,
            known(5.0, "no endpoint"),
        ),
        (
            no_endpoint,
            vec![no_endpoint],
            10,
            told(None, "no endpoint"),
        ),
        (source_range, vec![], 10, known(5.0, "source range")),
        (source_range, vec![], 0, None),
        (source_range, vec![source_range], 10, None),
        (both, vec![], 0, known(0.0, "none on this node")),
        (both, vec![], 10, known(5.0, "source range")),
    ] {
        let mut rows = [row("shop/web", "http", (0.0, 0, 0.0))];
        rows[0].refusals = own;
        let all = others.iter().copied().chain([own]);
        let counts = packets(count).into();
        attribute(&mut rows, all, &counts, Duration::from_secs(2));
        assert_eq!(
            rows[0].drops, expected,
            "{own:?} beside {others:?}, {count}"
        );
    }
}

#[test]
fn what_can_be_asked_for() {
    let (web, dns) = (
        ObjectName::new("shop", "web"),
        ObjectName::new("kube-system", "dns"),
    );
    for (text, of_web, of_dns) in [
        ("", true, true),
        ("shop", true, false),
        ("shop/web", true, false),
        ("kube-system/dns", false, true),
        ("shop/we", false, false),
    ] {
        let asked = asked(text).expect("a scope");
        assert_eq!(
            (is_wanted(&asked, &web), is_wanted(&asked, &dns)),
            (of_web, of_dns),
            "{text}"
        );
    }
    for text in ["/", "shop/", "/web", "a/b/c", "//"] {
        assert_eq!(asked(text), None, "{text}");
    }
}

#[test]
fn numbers_as_people_read_them() {
    let counts = [0, 9, 999, 1000, 4301, 1_234_567].map(units::count);
    assert_eq!(counts, ["0", "9", "999", "1,000", "4,301", "1,234,567"]);
    let rates = [0.0, 0.04, 0.5, 9.94, 9.96, 812.4, 2140.0].map(units::rate);
    assert_eq!(rates, ["0", "<0.1", "0.5", "9.9", "10", "812", "2,140"]);
    let bytes = [0.0, 999.0, 999.96, 92_100_000.0, 1.5e12, 2.5e15].map(units::bytes);
    assert_eq!(
        bytes,
        ["0 B", "999 B", "1.0 kB", "92.1 MB", "1.5 TB", "2500.0 TB"]
    );
    assert_eq!(per_second(5, Duration::ZERO), 0.0, "no time has passed yet");
    assert_eq!(per_second(5, Duration::from_secs(3)), 1.67);
}

fn options() -> Options {
    Options {
        asked: Asked::All,
        order: Order::New,
        rows: 50,
        interval: Duration::from_secs(2),
        form: Form::Screen,
    }
}

fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// What is on a screen of that size, without what is right of the text.
fn drawn(screen: &mut Screen, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal
        .draw(|frame| screen.draw(frame.area(), frame.buffer_mut()))
        .expect("a drawing");
    let buffer = terminal.backend().buffer();
    let lines = (0..height).map(|y| {
        let cells = (0..width).map(|x| buffer[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned() + "\n"
    });
    lines.collect()
}

#[test]
fn the_screen_has_what_fits() {
    let mut screen = Screen::new(&options());
    insta::assert_snapshot!("screen-before", drawn(&mut screen, 100, 6));
    screen.take(Ok(sample()));
    insta::assert_snapshot!("screen", drawn(&mut screen, 120, 8));
    insta::assert_snapshot!("screen-narrow", drawn(&mut screen, 60, 6));
    // Too small for anything, and still no panic.
    for (width, height) in [(0, 0), (1, 1), (5, 2), (20, 3), (3, 40)] {
        drawn(&mut screen, width, height);
    }
    screen.take(Ok(poor()));
    insta::assert_snapshot!("screen-poor", drawn(&mut screen, 120, 8));
    screen.take(Err(io::Error::from_raw_os_error(libc::EPERM)));
    let text = drawn(&mut screen, 120, 8);
    assert!(text.contains("shop/web"), "the last look stays: {text}");
    assert!(
        text.contains("conntrack: Operation not permitted"),
        "{text}"
    );
}

#[test]
fn keys_sort_scroll_and_filter() {
    let mut screen = Screen::new(&options());
    let mut many = sample();
    many.rows = (0..100)
        .map(|number| row(&format!("ns/s{number:03}"), "p", (0.0, number, 0.0)))
        .collect();
    screen.take(Ok(many));
    let first = |screen: &mut Screen| {
        let text = drawn(screen, 100, 14);
        let line = text.lines().nth(3).unwrap_or_default().to_owned();
        line.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    for (code, expected) in [
        (KeyCode::Null, "ns/s000:p"),
        (KeyCode::Down, "ns/s001:p"),
        (KeyCode::PageDown, "ns/s011:p"),
        (KeyCode::Up, "ns/s010:p"),
        (KeyCode::End, "ns/s090:p"),
        (KeyCode::Down, "ns/s090:p"),
        (KeyCode::PageUp, "ns/s080:p"),
        (KeyCode::Char('o'), "ns/s099:p"),
        (KeyCode::Char('a'), "ns/s000:p"),
        (KeyCode::Char('/'), "ns/s000:p"),
        (KeyCode::Char('7'), "ns/s007:p"),
        (KeyCode::Char('q'), ""),
        (KeyCode::Backspace, "ns/s007:p"),
        (KeyCode::Char('0'), "ns/s070:p"),
        (KeyCode::Enter, "ns/s070:p"),
        (KeyCode::Char('o'), "ns/s070:p"),
        (KeyCode::Esc, "ns/s099:p"),
    ] {
        assert_eq!(screen.key(key(code)), Next::Go, "{code:?}");
        assert_eq!(first(&mut screen), expected, "{code:?}");
    }
    let control = |letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
    screen.key(key(KeyCode::Char('/')));
    assert_eq!(
        screen.key(control('c')),
        Next::Quit,
        "while a filter is typed as well"
    );
    screen.key(key(KeyCode::Enter));
    assert_eq!(screen.key(key(KeyCode::Char('q'))), Next::Quit);
}

#[test]
fn names_are_no_commands_to_the_terminal() {
    let mut screen = Screen::new(&options());
    let mut evil = sample();
    evil.rows = vec![row("ns/a\u{1b}[2Jb\nc", "p\r", (1.0, 1, 1.0))];
    screen.take(Ok(evil));
    screen.tell(Some("a\u{1b}]0;title\u{7}".to_owned()));
    let text = drawn(&mut screen, 80, 6);
    assert!(text.contains("ns/a"), "{text}");
    assert!(!text.contains(['\u{1b}', '\r', '\u{7}']), "{text:?}");
}
