//! Lists as a stream and in pages, and the watch that follows.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_list_is_streamed_and_goes_on_as_the_watch() {
    let server = |_, _: &str| events(&[added("a", 5), bookmark(7, true), added("b", 8)]);
    let seen = follow(server, 4).await;
    assert_eq!(seen.names(), ["begin", "a", "end", "b"]);
    assert_eq!(seen.asked.len(), 1, "{:?}", seen.asked);
    let uri = seen.uris()[0];
    assert!(uri.starts_with(CIDRS), "{uri}");
    for part in [
        "watch=true",
        "allowWatchBookmarks=true",
        "resourceVersionMatch=NotOlderThan",
        "resourceVersion=0&",
    ] {
        assert!(uri.contains(part), "{part} in {uri}");
    }
    seen.has_metric("kubeproxyrs_watch_lists_total{resource=\"servicecidrs\"} 1");
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_stream_is_asked_for_pages() {
    type Stream = fn() -> Reply;
    let refuses: Stream = || whole(422, &status(422));
    let breaks: Stream = || events(&[json!({"type": "ERROR", "object": status(500)})]);
    let never_ends: Stream = || events(&[added("a", 5)]);
    for (stream, names, seconds) in [
        (refuses, &["begin", "a", "end", "b"][..], 0..=1),
        (breaks, &["begin", "begin", "a", "end", "b"], 0..=1),
        // The second beginning puts everything back to the start.
        (
            never_ends,
            &["begin", "a", "begin", "a", "end", "b"],
            30..=31,
        ),
    ] {
        let server = move |_, uri: &str| match uri {
            uri if is_stream(uri) => stream(),
            uri if is_page(uri) => whole(200, &list(&["a"], 6, "")),
            _ => events(&[added("b", 8)]),
        };
        let seen = follow(server, names.len()).await;
        assert_eq!(seen.names(), names);
        let uris = seen.uris();
        assert_eq!(uris[1], format!("{CIDRS}?limit=500&resourceVersion=0"));
        assert!(uris[2].ends_with("&resourceVersion=6"), "{uris:?}");
        assert!(seconds.contains(&seen.at(1)), "{:?}", seen.asked);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_follow_each_other_and_an_expired_one_begins_the_list_anew() {
    let server = |number, uri: &str| match number {
        0 => whole(400, &status(400)),
        1 => whole(200, &list(&["a"], 6, "x/1")),
        2 => whole(200, &list(&["b"], 6, "x/2")),
        3 => whole(410, &status(410)),
        4 => whole(200, &list(&["a", "c"], 9, "")),
        _ => {
            assert!(uri.contains("resourceVersion=9"), "{uri}");
            events(&[added("d", 10)])
        }
    };
    let seen = follow(server, 8).await;
    let names = ["begin", "a", "b", "begin", "a", "c", "end", "d"];
    assert_eq!(seen.names(), names);
    let uris = seen.uris();
    assert_eq!(uris[2], format!("{CIDRS}?limit=500&continue=x%2F1"));
    assert_eq!(uris[3], format!("{CIDRS}?limit=500&continue=x%2F2"));
    assert_eq!(uris[4], format!("{CIDRS}?resourceVersion=0"));
}

/// A server under load: some 20 objects, one every 10 s.
#[tokio::test(start_paused = true)]
async fn a_slow_stream_is_waited_for() {
    let server = |_, _: &str| {
        let objects = (0..20).map(|n| (10, format!("{}\n", added(&format!("o{n}"), n))));
        let end = [(10, format!("{}\n", bookmark(30, true)))];
        let pieces = objects.chain(end).collect();
        Reply::Pieces(200, Vec::new(), pieces, Then::Silence)
    };
    let seen = follow(server, 22).await;
    assert_eq!(seen.names().last(), Some(&"end"));
    assert_eq!(seen.asked.len(), 1);
    assert_eq!(seen.events[21].0, 210);
}

/// A server that knows nothing of streamed lists, and a cluster that never rests.
#[tokio::test(start_paused = true)]
async fn what_happens_to_objects_is_no_progress_of_a_list() {
    for (kind, seconds, count) in [("MODIFIED", 30, 34), ("ADDED", 300, 304)] {
        let server = move |_, uri: &str| match uri {
            uri if is_stream(uri) => {
                let event = json!({"type": kind, "object": cidr("a", 5)});
                let pieces = (0..1000).map(|_| (1, format!("{event}\n"))).collect();
                Reply::Pieces(200, Vec::new(), pieces, Then::Silence)
            }
            uri if is_page(uri) => whole(200, &list(&["a"], 6, "")),
            _ => events(&[added("b", 8)]),
        };
        let seen = follow(server, count).await;
        assert!(is_page(seen.uris()[1]));
        assert!(
            (seconds..=seconds + 2).contains(&seen.at(1)),
            "{kind}: {}",
            seen.at(1)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_watch_is_asked_for_from_five_to_ten_minutes() {
    let server = |number, _: &str| match number {
        0 => ending(320, &[bookmark(7, true)]),
        1..20 => ending(320, &[bookmark(8, false)]),
        _ => events(&[added("a", 9)]),
    };
    let seen = follow(server, 3).await;
    let seconds = |uri: &&str| {
        let (_, rest) = uri.split_once("timeoutSeconds=").expect("a time");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().expect("a number")
    };
    let mut times: Vec<u64> = seen.uris().iter().map(seconds).collect();
    assert!(
        times.iter().all(|own| (300..=600).contains(own)),
        "{times:?}"
    );
    times.sort_unstable();
    times.dedup();
    assert!(times.len() > 10, "they are drawn: {times:?}");
}

#[tokio::test(start_paused = true)]
async fn objects_that_cannot_be_read_do_not_block_the_rest_of_a_list() {
    let bad = || {
        let mut bad = cidr("bad", 4);
        bad["spec"]["cidrs"] = json!("10.0.0.0/8");
        bad
    };
    let streamed = move |_, _: &str| {
        let bad = json!({"type": "ADDED", "object": bad()});
        events(&[added("a", 5), bad, added("b", 5), bookmark(7, true)])
    };
    let paged = move |number, _: &str| match number {
        0 => whole(422, &status(422)),
        1 => {
            let mut page = list(&["a", "b"], 6, "");
            page["items"]
                .as_array_mut()
                .expect("items")
                .insert(1, bad());
            whole(200, &page)
        }
        _ => events(&[]),
    };
    for seen in [follow(streamed, 4).await, follow(paged, 4).await] {
        assert_eq!(seen.names(), ["begin", "a", "b", "end"]);
    }
}
