//! Servers that fall silent, forget, stammer, or are others altogether.

use super::*;

fn listed(name: &str, version: u32) -> Reply {
    events(&[added(name, version), bookmark(version, true)])
}

/// A list, and its watch is over after a minute.
fn listed_for_a_minute(name: &str, version: u32) -> Reply {
    ending(60, &[added(name, version), bookmark(version, true)])
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_never_answered_is_made_again() {
    let streams = |number, uri: &str| match number {
        0 => Reply::Nothing,
        // Streams may be what it hangs on.
        1 => {
            assert!(is_page(uri), "{uri}");
            Reply::Nothing
        }
        2 => whole(200, &list(&["a"], 7, "")),
        3 => Reply::Nothing,
        _ => {
            assert!(
                uri.contains("watch=true") && uri.contains("resourceVersion=7"),
                "{uri}"
            );
            events(&[added("b", 8)])
        }
    };
    let seen = follow(streams, 4).await;
    assert_eq!(seen.names(), ["begin", "a", "end", "b"]);
    for (number, at) in [(1, 30..=32), (2, 61..=66), (3, 61..=66), (4, 94..=104)] {
        assert!(at.contains(&seen.at(number)), "{number}: {:?}", seen.asked);
    }
    seen.has_metric(
        "kubeproxyrs_watch_failures_total{reason=\"silence\",resource=\"servicecidrs\"} 3",
    );
}

#[tokio::test(start_paused = true)]
async fn headers_and_then_silence() {
    let server = |number, _: &str| match number {
        // A streamed list, a page, a watch.
        0 | 1 | 3 => events(&[]),
        2 => whole(200, &list(&["a"], 7, "")),
        _ => events(&[added("b", 8)]),
    };
    let seen = follow(server, 6).await;
    assert_eq!(seen.names(), ["begin", "begin", "begin", "a", "end", "b"]);
    for (number, at) in [(1, 30..=32), (2, 61..=66), (4, 151..=160)] {
        assert!(at.contains(&seen.at(number)), "{number}: {:?}", seen.asked);
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_page_and_then_silence_or_the_end() {
    for (then, at) in [(Then::Silence, 30..=35), (Then::Ends, 0..=5)] {
        let server = move |number, uri: &str| match number {
            0 => whole(422, &status(422)),
            1 => whole(200, &list(&["a"], 7, "next")),
            2 => {
                let text = list(&["b", "c"], 7, "").to_string();
                // Cut in the second object, so the first one is there already.
                let cut = text.rfind("10.96").expect("a range");
                let pieces = vec![(0, text[..cut].to_owned())];
                Reply::Pieces(200, Vec::new(), pieces, then)
            }
            3 => {
                assert!(uri.contains("continue=next"), "{uri}");
                whole(200, &list(&["b", "c"], 7, ""))
            }
            _ => events(&[]),
        };
        let seen = follow(server, 6).await;
        assert_eq!(seen.names(), ["begin", "a", "b", "b", "c", "end"]);
        assert!(at.contains(&seen.at(3)), "{:?}", seen.asked);
    }
}

#[tokio::test(start_paused = true)]
async fn half_an_event_and_then_silence_or_the_end() {
    for (then, at) in [(Then::Silence, 150..=153), (Then::Ends, 60..=62)] {
        let server = move |number, uri: &str| match number {
            0 => {
                let end = format!("{}\n{}\n", bookmark(7, true), bookmark(9, false));
                let half = added("b", 10).to_string()[..40].to_owned();
                Reply::Pieces(200, Vec::new(), vec![(0, end), (60, half)], then)
            }
            _ => {
                assert!(uri.ends_with("&resourceVersion=9"), "{uri}");
                events(&[added("b", 10)])
            }
        };
        let seen = follow(server, 3).await;
        assert_eq!(seen.names(), ["begin", "end", "b"]);
        assert!(at.contains(&seen.at(1)), "{:?}", seen.asked);
    }
}

/// A healthy watch without bookmarks is not torn down each minute and a half.
#[tokio::test(start_paused = true)]
async fn an_idle_watch_is_renewed_less_and_less_often() {
    let server = |number, _: &str| match number {
        0 => listed("a", 7),
        1..6 => events(&[]),
        _ => events(&[added("b", 8)]),
    };
    let seen = follow(server, 4).await;
    let mut times = seen.asked.iter().map(|(at, _)| *at);
    let mut last = times.next().expect("a request");
    for expected in [90, 180, 240, 240, 240] {
        let at = times.next().expect("a request");
        let after = at - last;
        assert!(
            (expected..=expected + 3).contains(&after),
            "{:?}",
            seen.asked
        );
        last = at;
    }
}

#[tokio::test(start_paused = true)]
async fn bookmarks_keep_an_idle_watch_alive() {
    let server = |_, _: &str| {
        let minutes = (0..9).map(|n| (60, format!("{}\n", bookmark(8 + n, false))));
        let first = [(0, format!("{}\n", bookmark(7, true)))];
        let last = [(60, format!("{}\n", added("b", 20)))];
        let pieces = first.into_iter().chain(minutes).chain(last).collect();
        Reply::Pieces(200, Vec::new(), pieces, Then::Silence)
    };
    let seen = follow(server, 3).await;
    assert_eq!(seen.asked.len(), 1);
    assert_eq!(seen.events[2], (600, "b".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_gone_is_listed_anew() {
    let in_answer: fn() -> Reply = || whole(410, &status(410));
    let in_event: fn() -> Reply = || events(&[json!({"type": "ERROR", "object": status(410)})]);
    for gone in [in_answer, in_event] {
        let server = move |number, uri: &str| match number {
            0 => listed_for_a_minute("a", 7),
            1 => {
                assert!(uri.ends_with("&resourceVersion=7"), "{uri}");
                gone()
            }
            _ => {
                assert!(
                    is_stream(uri) && uri.contains("&resourceVersion=7&"),
                    "{uri}"
                );
                listed("b", 9)
            }
        };
        let seen = follow(server, 6).await;
        assert_eq!(seen.names(), ["begin", "a", "end", "begin", "b", "end"]);
        assert!((60..=63).contains(&seen.at(2)), "{:?}", seen.asked);
    }
}

/// etcd was restored from a backup, and what we know is newer than what there is.
#[tokio::test(start_paused = true)]
async fn a_version_that_the_server_has_never_had_is_forgotten() {
    let mut too_large = status(504);
    too_large["message"] = json!("Too large resource version: 7, current: 3");
    let server = move |number, uri: &str| match number {
        0 => listed_for_a_minute("a", 7),
        1 => whole(410, &status(410)),
        2 => whole(504, &too_large),
        _ => {
            assert!(is_stream(uri) && !uri.contains("resourceVersion="), "{uri}");
            listed("b", 3)
        }
    };
    let seen = follow(server, 6).await;
    assert_eq!(seen.names(), ["begin", "a", "end", "begin", "b", "end"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_read_costs_a_list_and_no_more() {
    let mut bad = json!({"type": "MODIFIED", "object": cidr("bad", 8)});
    bad["object"]["spec"]["cidrs"] = json!([5]);
    let server = move |number, uri: &str| {
        let bad = bad.clone();
        if number == 0 {
            return events(&[added("a", 7), added("bad", 7), bookmark(7, true), bad]);
        }
        assert!(is_stream(uri), "{uri}");
        // Whoever writes it goes on and on.
        events(&[added("a", 7), bookmark(8, true), bad])
    };
    let seen = follow(server, 40).await;
    assert_eq!(seen.names()[..4], ["begin", "a", "bad", "end"]);
    assert_eq!(
        seen.names()[4..10],
        ["begin", "a", "end", "begin", "a", "end"]
    );
    let last = seen.asked.len() - 1;
    assert!(seen.at(last) - seen.at(last - 1) >= 15, "{:?}", seen.asked);
    assert!(seen.at(1) <= 2, "{:?}", seen.asked);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_of_an_api_server_is_asked_for_again() {
    let page = || {
        let html = "<html><body>Please sign in</body></html>".to_owned();
        Reply::Pieces(200, Vec::new(), vec![(0, html)], Then::Ends)
    };
    let server = move |number, _: &str| match number {
        // A stream, a page, a stream again.
        0 | 1 => page(),
        2 => listed_for_a_minute("a", 7),
        3 => {
            let lines = vec![(0, "\u{0}\u{1}\n".repeat(3))];
            Reply::Pieces(200, Vec::new(), lines, Then::Silence)
        }
        _ => listed("a", 8),
    };
    let seen = follow(server, 8).await;
    let names = ["begin", "begin", "begin", "a", "end", "begin", "a", "end"];
    assert_eq!(seen.names(), names);
    seen.has_metric(
        "kubeproxyrs_watch_failures_total{reason=\"garbage\",resource=\"servicecidrs\"} 2",
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_overloaded_says_when_to_come_again() {
    let busy = |seconds: &str| {
        let headers = vec![("retry-after", seconds.to_owned())];
        let body = vec![(0, status(429).to_string())];
        Reply::Pieces(429, headers, body, Then::Ends)
    };
    let server = move |number, uri: &str| match number {
        0 => busy("20"),
        1 => {
            assert!(is_stream(uri), "{uri}");
            listed_for_a_minute("a", 7)
        }
        2 => busy("9000"),
        _ => events(&[added("b", 8)]),
    };
    let seen = follow(server, 4).await;
    assert_eq!(seen.names(), ["begin", "a", "end", "b"]);
    assert!((20..=25).contains(&seen.at(1)), "{:?}", seen.asked);
    let pause = seen.at(3) - seen.at(2);
    assert!((60..=75).contains(&pause), "{:?}", seen.asked);
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_while_nobody_is_there() {
    let server = |number, _: &str| match number {
        0..12 => Reply::Refused,
        _ => listed("a", 7),
    };
    let seen = follow(server, 3).await;
    let times: Vec<u64> = seen.asked.iter().map(|(at, _)| *at).collect();
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] <= 2, "{pauses:?}");
    assert!(
        pauses[6..].iter().all(|pause| (14..=30).contains(pause)),
        "{pauses:?}"
    );
    seen.has_metric(
        "kubeproxyrs_watch_failures_total{reason=\"connection\",resource=\"servicecidrs\"} 12",
    );
}

#[tokio::test(start_paused = true)]
async fn watches_that_end_at_once_make_no_hot_loop() {
    let server = |number, uri: &str| match number {
        0 => ending(0, &[added("a", 7), bookmark(7, true)]),
        1..20 if is_stream(uri) => ending(0, &[added("a", 7), bookmark(7, true)]),
        1..20 => ending(0, &[]),
        _ => events(&[added("b", 8)]),
    };
    let seen = follow(server, 20).await;
    let last = seen.asked.len() - 1;
    let pause = seen.at(last) - seen.at(last - 1);
    assert!(pause >= 14, "{:?}", seen.asked);
    // What happens is seen all the same, by lists.
    let lists = seen.uris().iter().filter(|uri| is_stream(uri)).count();
    assert!(lists > 3, "{:?}", seen.asked);
}

/// Nothing that a server sends is lost because it was the last line.
#[tokio::test(start_paused = true)]
async fn the_last_event_needs_no_end_of_line() {
    let server = |number, _: &str| match number {
        0 => {
            let text = format!("{}\n{}", bookmark(7, true), added("b", 8));
            Reply::Pieces(200, Vec::new(), vec![(0, text)], Then::Ends)
        }
        _ => events(&[]),
    };
    let seen = follow(server, 3).await;
    assert_eq!(seen.names(), ["begin", "end", "b"]);
    assert!(seen.reports.is_empty());
}

#[tokio::test(start_paused = true)]
async fn events_of_a_type_that_nobody_knows_change_nothing() {
    let server = |_, _: &str| {
        let odd = json!({"type": "RENAMED", "object": {"metadata": {"name": 5}}});
        let gone = json!({"type": "DELETED", "object": {"metadata": {"name": "a"}, "spec": 5}});
        events(&[odd.clone(), added("a", 7), bookmark(7, true), odd, gone])
    };
    let seen = follow(server, 4).await;
    assert_eq!(seen.names(), ["begin", "a", "end", "-a"]);
    assert_eq!(seen.asked.len(), 1);
}
