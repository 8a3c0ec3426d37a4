//! Lists for commands that answer and end.

use super::*;

/// An empty list of whatever is asked for, but of ServiceCIDRs, which there is one of.
fn answered(uri: &str) -> Reply {
    let kind = match uri
        .split('?')
        .next()
        .and_then(|path| path.rsplit('/').next())
    {
        Some("servicecidrs") => return whole(200, &list(&["a"], 6, "")),
        Some("services") => "ServiceList",
        Some("endpointslices") => "EndpointSliceList",
        _ => "NodeList",
    };
    whole(
        200,
        &json!({"kind": kind, "metadata": {"resourceVersion": "6"}, "items": []}),
    )
}

async fn listed<S>(server: S) -> (anyhow::Result<()>, Vec<String>, Vec<(u64, String)>)
where
    S: Fn(usize, &str) -> Reply + Clone + Send + Sync + 'static,
{
    let asked = Asked::default();
    let client = client(server, Instant::now(), asked.clone());
    let metrics = Metrics::new().expect("metrics");
    let mut names = Vec::new();
    let result = super::super::list(client, None, metrics.watch(), &mut |change| {
        names.push(name(&change));
    })
    .await;
    let asked = asked.lock().expect("no panic").clone();
    (result, names, asked)
}

#[tokio::test(start_paused = true)]
async fn all_kinds_are_listed_and_nothing_is_watched() {
    // Servers that do not stream lists, by themselves or for want of an etcd that can: no failure.
    for code in [422, 500] {
        let (result, names, asked) = listed(move |_, uri: &str| match uri {
            uri if is_stream(uri) => whole(code, &status(code)),
            uri if is_page(uri) => answered(uri),
            _ => Reply::Nothing,
        })
        .await;
        result.expect("lists");
        assert_eq!(names.iter().filter(|own| *own == "end").count(), 4);
        assert!(names.contains(&"a".to_owned()), "{names:?}");
        assert!(asked.iter().all(|(seconds, _)| *seconds == 0), "{asked:?}");
        let nodes = asked.iter().filter(|(_, uri)| uri.contains("/nodes"));
        assert!(nodes.clone().count() > 0);
        for (_, uri) in nodes {
            assert!(!uri.contains("fieldSelector"), "every Node: {uri}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_stream_a_list_is_asked_for_pages() {
    // As with an etcd that tells no progress.
    let cannot = || {
        let event = json!({"type": "ERROR", "object": status(500)});
        Reply::Pieces(200, Vec::new(), vec![(0, event.to_string())], Then::Ends)
    };
    let (result, names, asked) = listed(move |_, uri: &str| match uri {
        uri if is_stream(uri) => cannot(),
        uri => answered(uri),
    })
    .await;
    result.expect("lists");
    assert_eq!(names.iter().filter(|own| *own == "end").count(), 4);
    assert!(asked.iter().all(|(seconds, _)| *seconds == 0), "{asked:?}");
    let (result, _, asked) = listed(move |_, uri: &str| match uri {
        uri if is_stream(uri) => cannot(),
        _ => whole(500, &status(500)),
    })
    .await;
    result.expect_err("neither way leads to lists");
    assert!(asked.len() <= 8, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_refused_is_the_end_at_once() {
    let (result, _, asked) = listed(|_, uri: &str| match uri {
        uri if uri.contains("/services?") => whole(403, &status(403)),
        _ => Reply::Nothing,
    })
    .await;
    let error = format!("{:#}", result.expect_err("forbidden"));
    assert!(error.starts_with("listing services: "), "{error}");
    assert!(asked.iter().all(|(seconds, _)| *seconds == 0), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_to_wait_waits_but_not_for_ever() {
    let busy = || {
        let after = vec![("Retry-After", "2".to_owned())];
        Reply::Pieces(429, after, vec![(0, status(429).to_string())], Then::Ends)
    };
    let (result, names, _) = listed(move |number, uri: &str| match uri {
        _ if number < 4 => busy(),
        uri if is_stream(uri) => whole(422, &status(422)),
        uri => answered(uri),
    })
    .await;
    result.expect("lists");
    assert_eq!(names.iter().filter(|own| *own == "end").count(), 4);
    let (result, _, asked) = listed(move |_, _: &str| busy()).await;
    let error = result.expect_err("it never answers").to_string();
    assert_eq!(error, "the API server's lists were not complete within 60s");
    assert!(asked.len() > 8, "{asked:?}");
}
