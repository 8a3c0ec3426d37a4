//! Prometheus' text format, as far as checks read and compare it.

use std::collections::{BTreeMap, BTreeSet};

/// One metric, without its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// `counter`, `gauge`, `histogram`.
    pub kind: String,
    /// Names of labels, but for `le`.
    pub labels: BTreeSet<String>,
    /// Upper bounds of a histogram's buckets, as numbers.
    pub buckets: BTreeSet<String>,
}

impl Family {
    /// One line that tells everything.
    pub fn describe(&self) -> String {
        let join = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        format!(
            "{} labels [{}] buckets [{}]",
            self.kind,
            join(&self.labels),
            join(&self.buckets)
        )
    }
}

/// Every metric of an exposition by its name.
pub fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else if !line.starts_with('#') {
            let (name, labels) = sample(line);
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .filter(|base| families.contains_key(*base))
                .unwrap_or(name);
            let family = families.entry(base.to_owned()).or_default();
            for (label, value) in labels {
                if label == "le" {
                    let bound: f64 = value.parse().unwrap_or(f64::NAN);
                    family.buckets.insert(bound.to_string());
                } else {
                    family.labels.insert(label);
                }
            }
        }
    }
    families
}

/// The value of a sample, given with its labels as they are written: `name{label="value"}`.
pub fn value(text: &str, sample: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line?.parse().ok()
}

/// All samples of a name added up, whatever their labels; 0 if there is none.
pub fn sum(text: &str, name: &str) -> f64 {
    let samples = text.lines().filter(|line| sample(line).0 == name);
    let values = samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum()
}

/// The names of all samples; histograms have three each.
pub fn names(text: &str) -> BTreeSet<&str> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| sample(line).0).collect()
}

/// Name and labels of a sample. No value of a label here has a quote in it.
fn sample(line: &str) -> (&str, Vec<(String, String)>) {
    let Some((name, rest)) = line.split_once('{') else {
        return (line.split(' ').next().unwrap_or_default(), Vec::new());
    };
    let inner = rest.rsplit_once('}').map_or("", |(inner, _)| inner);
    let mut labels = Vec::new();
    let mut parts = inner.split('"');
    while let (Some(label), Some(value)) = (parts.next(), parts.next()) {
        let label = label.trim_matches([',', '=', ' ']);
        labels.push((label.to_owned(), value.to_owned()));
    }
    (name, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_one_family() {
        let text = "# HELP h x\n# TYPE h histogram\nh_bucket{a=\"b,c\",le=\"1e+06\"} 1\n\
                    h_bucket{a=\"b\",le=\"+Inf\"} 1\nh_sum{a=\"b\"} 2\nh_count{a=\"b\"} 1\n\
                    # TYPE c_count counter\nc_count 3\n";
        let families = families(text);
        assert_eq!(families.len(), 2);
        assert_eq!(
            families["h"].describe(),
            "histogram labels [a] buckets [1000000 inf]"
        );
        assert_eq!(
            families["c_count"].describe(),
            "counter labels [] buckets []"
        );
    }

    #[test]
    fn samples_are_found_by_whole_names() {
        let text = "# TYPE c counter\nc{a=\"b\"} 3\nc{a=\"x y\"} 4\nc_more 8\nplain 1\n";
        assert_eq!(value(text, "c{a=\"x y\"}"), Some(4.0));
        assert_eq!(value(text, "plain"), Some(1.0));
        assert_eq!(value(text, "c"), None);
        assert_eq!([sum(text, "c"), sum(text, "none")], [7.0, 0.0]);
        assert_eq!(
            names(text).into_iter().collect::<Vec<_>>(),
            ["c", "c_more", "plain"]
        );
    }
}
