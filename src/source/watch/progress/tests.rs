//! What is asked for after each answer and each failure.

use super::*;
use http::{HeaderMap, StatusCode};
use serde_json::json;

const LONG: Duration = Duration::from_secs(400);

fn stream(version: &str) -> Ask {
    let version = version.to_owned();
    Ask::Stream { version }
}

fn page(version: &str, limited: bool, token: Option<&str>) -> Ask {
    Ask::Page {
        version: version.to_owned(),
        limited,
        token: token.map(str::to_owned),
    }
}

fn watch(version: &str) -> Ask {
    let version = version.to_owned();
    Ask::Watch { version }
}

fn at(ask: Ask, version: Option<&str>) -> Progress {
    Progress {
        ask,
        version: version.map(str::to_owned),
        ..Progress::default()
    }
}

fn refused(code: u16) -> Failure {
    let code = StatusCode::from_u16(code).expect("a status");
    Failure::Refused(Refusal::answer(code, &HeaderMap::new(), b""))
}

fn in_stream(code: u16) -> Failure {
    let status = json!({"kind": "Status", "code": code, "message": ""});
    Failure::Refused(Refusal::event(status.to_string().as_bytes()))
}

fn too_large() -> Failure {
    let message = "Too large resource version: 9, current: 5";
    let status = json!({"code": 504, "message": message}).to_string();
    let code = StatusCode::GATEWAY_TIMEOUT;
    Failure::Refused(Refusal::answer(code, &HeaderMap::new(), status.as_bytes()))
}

fn broken() -> Failure {
    Failure::Broken("connection refused".to_owned())
}

fn garbage() -> Failure {
    Failure::Garbage("<html>".to_owned())
}

const NO_HEADERS: Failure = Failure::Silent(Silent::Headers(LONG));
const NO_BODY: Failure = Failure::Silent(Silent::Body(LONG));

#[test]
fn a_list_is_streamed_from_memory_and_goes_on_as_the_watch() {
    let mut progress = Progress::default();
    assert_eq!(*progress.ask(), stream("0"));
    progress.listed("7".to_owned());
    assert_eq!(*progress.ask(), watch("7"));
    progress.heard("9".to_owned());
    assert_eq!(
        progress.ended(LONG, 3, LONG, 1.0).expect("no failure"),
        Duration::ZERO
    );
    assert_eq!(*progress.ask(), watch("9"));
}

#[test]
fn pages_follow_one_another() {
    let mut progress = at(page("0", true, None), None);
    progress.more("b".to_owned());
    assert_eq!(*progress.ask(), page("0", true, Some("b")));
    progress.more("c".to_owned());
    assert_eq!(*progress.ask(), page("0", true, Some("c")));
    progress.listed("7".to_owned());
    assert_eq!(*progress.ask(), watch("7"));
}

#[test]
fn after_each_failure_the_next_request_is_the_one_that_helps() {
    let end = Failure::Incomplete("ended before it was complete");
    let quiet = Failure::Incomplete("brought no object for 30 s");
    for (before, version, failure, after) in [
        // A streamed list.
        (stream("0"), None, broken(), stream("0")),
        (stream("0"), None, NO_HEADERS, page("0", true, None)),
        (stream("0"), None, NO_BODY, page("0", true, None)),
        (stream("0"), None, quiet, page("0", true, None)),
        (stream("7"), Some("7"), end, page("7", false, None)),
        (stream("0"), None, garbage(), page("0", true, None)),
        (stream("0"), None, refused(400), page("0", true, None)),
        (stream("7"), Some("7"), refused(422), page("7", false, None)),
        (stream("0"), None, in_stream(500), page("0", true, None)),
        (stream("0"), None, refused(500), page("0", true, None)),
        (stream("0"), None, refused(401), stream("0")),
        (stream("0"), None, refused(403), stream("0")),
        (stream("0"), None, refused(429), stream("0")),
        (stream("0"), None, refused(503), stream("0")),
        (stream("0"), None, in_stream(429), stream("0")),
        (stream("7"), Some("7"), refused(410), stream("")),
        (stream("7"), Some("7"), in_stream(410), stream("")),
        (stream("7"), Some("7"), too_large(), stream("")),
        // Pages.
        (
            page("0", true, Some("b")),
            None,
            NO_BODY,
            page("0", true, Some("b")),
        ),
        (
            page("0", true, Some("b")),
            None,
            broken(),
            page("0", true, Some("b")),
        ),
        (
            page("0", true, Some("b")),
            None,
            refused(429),
            page("0", true, Some("b")),
        ),
        (
            page("0", true, Some("b")),
            None,
            refused(503),
            page("0", true, Some("b")),
        ),
        (
            page("0", true, Some("b")),
            None,
            refused(410),
            page("0", false, None),
        ),
        (page("0", true, Some("b")), None, garbage(), stream("0")),
        (
            page("7", false, None),
            Some("7"),
            refused(410),
            page("", true, None),
        ),
        (
            page("7", false, None),
            Some("7"),
            too_large(),
            page("", true, None),
        ),
        (page("7", false, None), Some("7"), refused(403), stream("7")),
        // A watch.
        (watch("7"), Some("7"), broken(), watch("7")),
        (watch("7"), Some("7"), NO_HEADERS, watch("7")),
        (watch("7"), Some("7"), NO_BODY, watch("7")),
        (watch("7"), Some("7"), refused(401), watch("7")),
        (watch("7"), Some("7"), refused(429), watch("7")),
        (watch("7"), Some("7"), refused(500), watch("7")),
        (watch("7"), Some("7"), refused(504), watch("7")),
        (watch("7"), Some("7"), in_stream(429), watch("7")),
        (watch("7"), Some("7"), refused(410), stream("7")),
        (watch("7"), Some("7"), in_stream(410), stream("7")),
        (watch("7"), Some("7"), in_stream(500), stream("7")),
        (watch("7"), Some("7"), in_stream(0), stream("7")),
        (watch("7"), Some("7"), refused(404), stream("7")),
        (watch("7"), Some("7"), too_large(), stream("")),
        (watch("7"), Some("7"), Failure::Undecodable, stream("7")),
        (watch("7"), Some("7"), garbage(), stream("7")),
    ] {
        let mut progress = at(before.clone(), version);
        let pause = progress.failed(&failure, Duration::ZERO, 0.5);
        assert_eq!(*progress.ask(), after, "{before:?} after {failure}");
        let no_stream = matches!(before, Ask::Stream { .. })
            && matches!(&failure, Failure::Refused(refusal) if is_no_stream(refusal));
        assert_eq!(pause.as_millis(), if no_stream { 0 } else { 1200 });
    }
}

#[test]
fn streaming_is_tried_at_each_list_unless_the_server_said_that_it_does_not() {
    for (failure, next) in [
        (refused(422), page("7", false, None)),
        (NO_HEADERS, stream("7")),
        (
            Failure::Incomplete("brought no object for 30 s"),
            stream("7"),
        ),
    ] {
        let mut progress = Progress::default();
        progress.failed(&failure, Duration::ZERO, 0.0);
        assert!(matches!(progress.ask(), Ask::Page { .. }));
        progress.listed("7".to_owned());
        progress.failed(&in_stream(410), LONG, 0.0);
        assert_eq!(*progress.ask(), next, "{failure}");
    }
    // Who answers after a failure may be another one.
    let mut progress = Progress::default();
    progress.failed(&refused(400), Duration::ZERO, 0.0);
    progress.listed("7".to_owned());
    progress.failed(&broken(), Duration::ZERO, 0.0);
    progress.failed(&refused(410), Duration::ZERO, 0.0);
    assert_eq!(*progress.ask(), stream("7"));
}

#[test]
fn what_is_lost_is_listed_from_etcd_once() {
    let mut progress = at(stream("7"), Some("7"));
    progress.failed(&refused(410), Duration::ZERO, 0.0);
    progress.failed(&refused(422), Duration::ZERO, 0.0);
    assert_eq!(*progress.ask(), page("", true, None));
    progress.listed("3".to_owned());
    progress.failed(&Failure::Undecodable, Duration::ZERO, 0.0);
    assert_eq!(*progress.ask(), page("3", false, None));
}

#[test]
fn pauses_grow_until_a_watch_has_lived_for_a_while() {
    let mut progress = at(watch("7"), Some("7"));
    let short = Duration::from_secs(3);
    let mut pauses = Vec::new();
    for lived in [Duration::ZERO, short, short, LONG, short] {
        pauses.push(progress.failed(&broken(), lived, 0.0).as_millis());
        // Neither a list nor an event is enough: an object that nobody can read comes with both.
        progress.listed("8".to_owned());
        progress.heard("9".to_owned());
    }
    assert_eq!(pauses, [800, 1600, 3200, 800, 1600]);
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it() {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", "20".parse().expect("a header"));
    let refusal = Refusal::answer(StatusCode::TOO_MANY_REQUESTS, &headers, b"");
    let mut progress = Progress::default();
    let pause = progress.failed(&Failure::Refused(refusal), Duration::ZERO, 0.0);
    assert_eq!(pause.as_secs(), 20);
}

#[test]
fn a_watch_that_ends_at_once_is_no_success() {
    let mut progress = at(watch("7"), Some("7"));
    let mut asked = Vec::new();
    for _ in 0..2 {
        let ended = progress.ended(Duration::ZERO, 0, LONG, 0.0);
        let failure = ended.expect_err("very short");
        progress.failed(&failure, Duration::ZERO, 0.0);
        asked.push(progress.ask().clone());
    }
    assert_eq!(asked, [watch("7"), stream("7")]);
    // Nor is one that brings something and ends: there is a pause, and it grows.
    let mut progress = at(watch("7"), Some("7"));
    let pauses: Vec<u128> = (0..3)
        .map(|_| {
            let pause = progress.ended(Duration::ZERO, 1, LONG, 0.0);
            pause.expect("no failure").as_millis()
        })
        .collect();
    assert_eq!(pauses, [800, 1600, 3200]);
}

#[test]
fn watches_that_end_before_their_time_come_again_within_a_second() {
    let mut progress = at(watch("7"), Some("7"));
    for (lived, random, pause) in [
        (1, 0.5, 500),
        (20, 1.0, 1000),
        (20, 1.0, 1000),
        (100, 0.5, 500),
        (100, 1.0, 1000),
        (299, 1.0, 0),
    ] {
        let wanted = Duration::from_secs(300);
        let ended = progress.ended(Duration::from_secs(lived), 5, wanted, random);
        assert_eq!(ended.expect("no failure").as_millis(), pause);
    }
}

#[test]
fn patience_grows_where_no_bookmarks_come() {
    let mut progress = at(watch("7"), Some("7"));
    let mut patience = Vec::new();
    for bookmarks in [true, false, false, false, true, false] {
        if bookmarks {
            progress.bookmarked();
        }
        assert_eq!(progress.expects(&NO_BODY, LONG), !bookmarks);
        progress.failed(&NO_BODY, LONG, 0.0);
        patience.push(progress.patience().as_secs());
    }
    assert_eq!(patience, [90, 180, 240, 240, 90, 180]);
}

#[test]
fn the_first_time_that_a_version_expires_is_no_news() {
    let mut progress = at(watch("7"), Some("7"));
    assert!(progress.expects(&in_stream(410), Duration::ZERO));
    progress.failed(&in_stream(410), Duration::ZERO, 0.0);
    assert!(!progress.expects(&in_stream(410), Duration::ZERO));
    assert!(progress.expects(&in_stream(410), LONG));
    let progress = Progress::default();
    assert!(progress.expects(&refused(422), Duration::ZERO));
    assert!(!progress.expects(&refused(403), Duration::ZERO));
    assert!(!progress.expects(&NO_HEADERS, Duration::ZERO));
}
