//! What is wrong with a Service, as far as objects and answers tell.

mod ports;
mod ranges;
mod traffic;

use super::data::Explanation;
use super::endpoints::Place;
use crate::finding::Finding;
use crate::model::{Family, ObjectName, Service};
use std::net::IpAddr;

/// What is known beside the objects that rules are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// How many pods the selector chooses; `None` if they could not be listed, or there is no
    /// selector.
    pub pods: Option<usize>,
    /// `spec.trafficDistribution`.
    pub traffic_distribution: Option<String>,
    /// The addresses that answer node ports, by family; `None` if all of the node's do.
    pub nodeport_addresses: Vec<(Family, Option<Vec<IpAddr>>)>,
    /// Services that ask for a frontend that this one has, each with that frontend in words.
    pub losers: Vec<(String, ObjectName)>,
    /// What is wrong with the objects by themselves, a line each.
    pub problems: Vec<String>,
}

/// What a finding is judged by.
struct Case<'a> {
    /// One for each family of the Service's cluster IPs.
    places: &'a [Place<'a>],
    service: &'a Service,
    told: &'a Explanation,
    known: &'a Known,
}

/// All that is wrong with a Service; `places` has one for each family of its cluster IPs, and
/// `told` is what was found out about it.
pub fn findings(
    places: &[Place<'_>],
    name: &ObjectName,
    told: &Explanation,
    known: &Known,
) -> Vec<Finding> {
    let service = places.first().and_then(|place| {
        let entry = place.view.state.entry(name)?;
        entry.service.as_deref()
    });
    let Some(service) = service else {
        return Vec::new();
    };
    let case = Case {
        places,
        service,
        told,
        known,
    };
    let mut found = ports::findings(&case);
    found.extend(traffic::findings(&case));
    found.extend(ranges::findings(&case));
    found
}

impl Case<'_> {
    /// A finding's object.
    fn object(&self) -> String {
        format!("Service {}", self.service.name)
    }

    /// The node from which it is seen.
    fn node(&self) -> String {
        let place = self.places.first();
        place.map_or_else(String::new, |place| place.config.node_name.to_string())
    }
}

/// The first few of many, and how many more there are.
fn some(mut all: Vec<String>) -> Vec<String> {
    const SOME: usize = 5;
    let more = all.len().saturating_sub(SOME);
    all.truncate(SOME);
    all.extend((more > 0).then(|| format!("and {more} more")));
    all
}
