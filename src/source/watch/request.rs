//! The requests themselves.

use super::progress::Ask;
use crate::source::client::deadline::Patience;
use form_urlencoded::Serializer;
use http::{Request, header::ACCEPT};
use kube::Resource;
use kube::client::Body;
use std::time::Duration;

/// How many objects one page of a list holds: large enough to be quick, small
/// enough for an API server to make it without a peak in memory.
const PAGE_SIZE: u32 = 500;

/// For how long a watch is asked for, in seconds: at least, and at most.
/// client-go's, so that the watches of a cluster's nodes do not end together.
const WATCH_SECONDS: (u64, u64) = (300, 600);

/// What is watched, and which objects of it.
#[derive(Clone, Debug)]
pub struct Target {
    path: String,
    labels: Option<&'static str>,
    fields: Option<String>,
}

impl Target {
    /// All objects of a kind.
    pub fn all<K: Resource<DynamicType = ()>>() -> Self {
        Self {
            path: K::url_path(&(), None),
            labels: None,
            fields: None,
        }
    }

    /// Those that a label selector matches.
    pub fn labels(mut self, selector: &'static str) -> Self {
        self.labels = Some(selector);
        self
    }

    /// Those that a field selector matches.
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.fields = Some(selector.into());
        self
    }

    /// The request; `time` is for how long a watch is wanted, `patience` how
    /// long it may be silent.
    ///
    /// # Errors
    /// Never, as everything that varies is encoded.
    pub fn request(
        &self,
        ask: &Ask,
        time: Duration,
        patience: Duration,
    ) -> http::Result<Request<Body>> {
        let mut query = Serializer::new(String::new());
        if let Some(labels) = self.labels {
            query.append_pair("labelSelector", labels);
        }
        if let Some(fields) = &self.fields {
            query.append_pair("fieldSelector", fields);
        }
        let version = |query: &mut Serializer<'_, String>, version: &str| {
            if !version.is_empty() {
                query.append_pair("resourceVersion", version);
            }
        };
        let mut request = Request::builder().header(ACCEPT, "application/json");
        let seconds = time.as_secs().to_string();
        match ask {
            Ask::Page {
                version: own,
                limited,
                token,
            } => {
                if *limited {
                    query.append_pair("limit", &PAGE_SIZE.to_string());
                }
                match token {
                    Some(token) => drop(query.append_pair("continue", token)),
                    None => version(&mut query, own),
                }
            }
            Ask::Stream { version: own } | Ask::Watch { version: own } => {
                request = request.extension(Patience(patience));
                query.append_pair("watch", "true");
                query.append_pair("allowWatchBookmarks", "true");
                query.append_pair("timeoutSeconds", &seconds);
                version(&mut query, own);
                if matches!(ask, Ask::Stream { .. }) {
                    query.append_pair("sendInitialEvents", "true");
                    query.append_pair("resourceVersionMatch", "NotOlderThan");
                }
            }
        }
        request
            .uri(format!("{}?{}", self.path, query.finish()))
            .body(Body::empty())
    }
}

/// For how long to ask for a watch; `random` is from 0 to 1.
pub fn watch_time(random: f64) -> Duration {
    let (least, most) = WATCH_SECONDS;
    Duration::from_secs(least) + Duration::from_secs(most - least).mul_f64(random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::objects::EndpointSlice;
    use k8s_openapi::api::core::v1::Node;

    fn uri(target: &Target, ask: &Ask) -> String {
        let (time, patience) = (Duration::from_secs(456), Duration::from_secs(90));
        let request = target.request(ask, time, patience).expect("a request");
        let is_watch = !matches!(ask, Ask::Page { .. });
        let expected = is_watch.then_some(Patience(patience));
        assert_eq!(request.extensions().get().copied(), expected);
        request.uri().to_string()
    }

    #[test]
    fn each_request_as_an_api_server_reads_it() {
        let slices = Target::all::<EndpointSlice>().labels("!a/b");
        let path = "/apis/discovery.k8s.io/v1/endpointslices?labelSelector=%21a%2Fb";
        let page = |version: &str, limited, token: Option<&str>| Ask::Page {
            version: version.to_owned(),
            limited,
            token: token.map(str::to_owned),
        };
        let watch = "watch=true&allowWatchBookmarks=true&timeoutSeconds=456";
        let stream = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
        let version = || "7".to_owned();
        for (ask, query) in [
            (
                page("0", true, None),
                "limit=500&resourceVersion=0".to_owned(),
            ),
            // The token has the version.
            (
                page("0", true, Some("a=&b")),
                "limit=500&continue=a%3D%26b".to_owned(),
            ),
            (page("7", false, None), "resourceVersion=7".to_owned()),
            (page("", true, None), "limit=500".to_owned()),
            (page("", false, None), String::new()),
            (
                Ask::Watch { version: version() },
                format!("{watch}&resourceVersion=7"),
            ),
            (
                Ask::Stream { version: version() },
                format!("{watch}&resourceVersion=7&{stream}"),
            ),
            (
                Ask::Stream {
                    version: String::new(),
                },
                format!("{watch}&{stream}"),
            ),
        ] {
            let query = format!("&{query}");
            assert_eq!(
                uri(&slices, &ask),
                format!("{path}{}", query.trim_end_matches('&'))
            );
        }
        let node = Target::all::<Node>().fields("metadata.name=a&b c");
        let begins = "/api/v1/nodes?fieldSelector=metadata.name%3Da%26b+c&";
        assert_eq!(
            uri(&node, &page("0", false, None)),
            format!("{begins}resourceVersion=0")
        );
    }

    #[test]
    fn watches_last_from_five_to_ten_minutes() {
        assert_eq!(watch_time(0.0).as_secs(), 300);
        assert_eq!(watch_time(0.5).as_secs(), 450);
        assert_eq!(watch_time(1.0).as_secs(), 600);
    }
}
