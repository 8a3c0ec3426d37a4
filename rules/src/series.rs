//! What Service ports get, for as many of them as there may be time series: who may see all that
//! happens on a node would otherwise see as many as a tenant likes.

use crate::model::{EndpointAddr, Frontend, ObjectName};
use crate::owners::Owned;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A Service port, of both families.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServicePort {
    /// The Service.
    pub service: ObjectName,
    /// The port's name, or its number if it has none.
    pub port: String,
}

/// What one Service port got.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Got {
    /// New connections since the last look.
    pub new: u64,
    /// Open ones; `None` if nobody could tell.
    pub open: Option<u64>,
    /// The most open connections of an endpoint, divided by the mean over those that serve.
    pub spread: Option<f64>,
}

/// Open connections by frontend and by who answers.
pub type Open = HashMap<(Frontend, EndpointAddr), u64>;

/// The Service ports that are told of.
#[derive(Debug, Default)]
pub struct Services {
    known: BTreeMap<ServicePort, Got>,
    /// Ports that got something and are not told of, as there are too many.
    pub left_out: usize,
}

impl Services {
    /// The Services of which something is told.
    pub fn names(&self) -> Vec<ObjectName> {
        let mut names: Vec<ObjectName> = self.known.keys().map(|own| own.service.clone()).collect();
        names.dedup();
        names
    }

    /// Forgets Services; the ports that are forgotten.
    pub fn forget(&mut self, gone: &[ObjectName]) -> Vec<ServicePort> {
        let gone: HashSet<&ObjectName> = gone.iter().collect();
        let ports = self.known.keys().filter(|own| gone.contains(&own.service));
        let ports: Vec<ServicePort> = ports.cloned().collect();
        for port in &ports {
            self.known.remove(port);
        }
        ports
    }

    /// Takes in a look. Who is told of stays; room that is left goes to those that got most.
    pub fn take(
        &mut self,
        owned: Vec<Owned>,
        new: &HashMap<Frontend, u64>,
        open: Option<&Open>,
        limit: usize,
    ) {
        let by_frontend = open.map(by_frontend);
        let mut seen: BTreeMap<ServicePort, Sum> = BTreeMap::new();
        for port in owned {
            let number = || port.number.to_string();
            let name = ServicePort {
                service: port.service.clone(),
                port: Some(&*port.name)
                    .filter(|name| !name.is_empty())
                    .map_or_else(number, str::to_owned),
            };
            seen.entry(name)
                .or_default()
                .add(&port, new, by_frontend.as_ref());
        }
        for got in self.known.values_mut() {
            *got = Got {
                open: open.map(|_| 0),
                ..Got::default()
            };
        }
        let mut others = Vec::new();
        for (port, sum) in seen {
            let got = sum.got(open.is_some());
            match self.known.get_mut(&port) {
                Some(known) => *known = got,
                None => others.push((port, got)),
            }
        }
        // As their names come before.
        others.sort_by_key(|(_, got)| std::cmp::Reverse(got.new.max(got.open.unwrap_or(0))));
        let room = limit.saturating_sub(self.known.len());
        self.left_out = others.len().saturating_sub(room);
        self.known.extend(others.into_iter().take(room));
    }

    /// All that is told.
    pub fn told(&self) -> impl Iterator<Item = (&ServicePort, &Got)> {
        self.known.iter()
    }
}

/// Who answers at each frontend, and how often.
type Answers<'a> = HashMap<&'a Frontend, Vec<(EndpointAddr, u64)>>;

fn by_frontend(open: &Open) -> Answers<'_> {
    let mut all = Answers::new();
    for ((frontend, endpoint), count) in open {
        all.entry(frontend).or_default().push((*endpoint, *count));
    }
    all
}

/// What the frontends of one port add up to.
#[derive(Default)]
struct Sum {
    new: u64,
    open: u64,
    /// Of each endpoint that serves.
    endpoints: BTreeMap<EndpointAddr, u64>,
}

impl Sum {
    fn add(&mut self, port: &Owned, new: &HashMap<Frontend, u64>, open: Option<&Answers<'_>>) {
        for endpoint in &port.endpoints {
            self.endpoints.entry(*endpoint).or_default();
        }
        for frontend in &port.frontends {
            self.new += new.get(frontend).copied().unwrap_or(0);
            let answers = open.and_then(|open| open.get(frontend));
            for (endpoint, count) in answers.into_iter().flatten() {
                self.open += count;
                // Whoever serves no more is no part of the spread.
                if let Some(own) = self.endpoints.get_mut(endpoint) {
                    *own += count;
                }
            }
        }
    }

    fn got(&self, looked: bool) -> Got {
        Got {
            new: self.new,
            open: looked.then_some(self.open),
            spread: spread(self.endpoints.values().copied()),
        }
    }
}

/// 1 is even; `None` without open connections.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn spread(counts: impl Iterator<Item = u64>) -> Option<f64> {
    let (mut endpoints, mut sum, mut most) = (0u64, 0u64, 0u64);
    for count in counts {
        endpoints += 1;
        sum += count;
        most = most.max(count);
    }
    (sum > 0).then(|| (most * endpoints) as f64 / sum as f64)
}

#[cfg(test)]
mod tests;
