//! The `Accept` header, read as upstream's servers read it.

use hyper::header::{ACCEPT, HeaderMap};

/// One media range.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    /// Such as `text/plain`, `text/*`, `*/*`; compared as written.
    pub(super) media: String,
    /// All parameters but `q`.
    parameters: Vec<(String, String)>,
    quality: f32,
}

impl Range {
    /// The value of a parameter, `""` without.
    pub(super) fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().filter(|media| media.contains('/'))?.to_owned();
        let mut range = Self {
            media,
            parameters: Vec::new(),
            quality: 1.0,
        };
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name.trim() {
                "q" => range.quality = value.trim().parse().unwrap_or(1.0),
                name => range
                    .parameters
                    .push((name.to_owned(), value.trim().trim_matches('"').to_owned())),
            }
        }
        Some(range)
    }
}

/// What a client accepts, the most wanted first; without the header, anything.
pub(super) fn accepted(headers: &HeaderMap) -> Vec<Range> {
    let header = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .filter(|value| !value.is_empty())
        .unwrap_or("*/*");
    let mut ranges: Vec<Range> = header.split(',').filter_map(Range::parse).collect();
    ranges.sort_by(|one, other| other.quality.total_cmp(&one.quality));
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(header: &'static str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, header.parse().expect("a header"));
        let ranges = accepted(&headers).into_iter();
        ranges.map(|range| range.media).collect()
    }

    #[test]
    fn the_most_wanted_comes_first() {
        assert_eq!(media(""), ["*/*"]);
        assert_eq!(media("a/b, c/d"), ["a/b", "c/d"]);
        assert_eq!(
            media("a/b;q=0.1, */*, c/d ; q=0.5;x"),
            ["*/*", "c/d", "a/b"]
        );
        assert_eq!(media("nothing"), [""; 0]);
    }

    #[test]
    fn parameters_come_in_any_order() {
        let range = Range::parse("a/b; v=1;g=\"x.io\" ;q=0.3").expect("a range");
        assert_eq!((range.parameter("g"), range.parameter("v")), ("x.io", "1"));
        assert_eq!((range.parameter("as"), range.quality), ("", 0.3));
    }
}
