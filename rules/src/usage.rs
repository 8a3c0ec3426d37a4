//! Whose Service port a translated flow is, and what flows add up to: open connections, new ones
//! and, where the kernel counts them, packets and bytes; for each Service port and each endpoint.
//!
//! [`Ports`] knows whom a flow belongs to, [`Usage`] adds up, and [`Seen`] tells what is new from
//! one look at the flows to the next.

mod ports;
mod seen;

pub use ports::{Endpoint, Ports, Refusals};
pub use seen::Seen;

use crate::model::{EndpointAddr, Family, ObjectName, Protocol};
use ports::{Place, Port};
use std::sync::Arc;

/// A flow as conntrack has it, as far as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Tells it from others, also from a later one between the same ends.
    pub identity: u64,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Where the client sends: the original direction's destination.
    pub destination: EndpointAddr,
    /// Who answers: the reply direction's source.
    pub answers: EndpointAddr,
    /// A TCP connection that both ends have closed, or one of them has reset; conntrack remembers
    /// it for a while (`TIME_WAIT`, `CLOSE`).
    pub ended: bool,
    /// What passed so far, both ways; `None` where the kernel does not count
    /// (`net.netfilter.nf_conntrack_acct`).
    pub traffic: Option<Traffic>,
}

/// What passed, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes, those of the IP headers with them.
    pub bytes: u64,
}

/// What flows add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that are open, or flows of UDP that conntrack remembers.
    pub open: u64,
    /// Those that were not there at the last look, open or not.
    pub new: u64,
    /// What passed; where it is counted from look to look, since the last one.
    pub traffic: Traffic,
}

impl Tally {
    /// One flow by itself.
    pub fn of(flow: &Flow) -> Self {
        Self {
            open: u64::from(!flow.ended),
            new: 0,
            traffic: flow.traffic.unwrap_or_default(),
        }
    }

    fn add(&mut self, other: Self) {
        self.open += other.open;
        self.new += other.new;
        self.traffic.packets = self.traffic.packets.saturating_add(other.traffic.packets);
        self.traffic.bytes = self.traffic.bytes.saturating_add(other.traffic.bytes);
    }
}

/// What the flows of each Service port add up to.
#[derive(Clone, Debug)]
pub struct Usage<'a> {
    ports: &'a Ports,
    /// In the order of `ports`; `None` if no flow is its.
    sums: Vec<Option<Box<PortSum>>>,
    other: Tally,
    counts_traffic: bool,
}

/// The sums of one Service port.
#[derive(Clone, Debug)]
struct PortSum {
    /// In the order of the port's endpoints.
    endpoints: Box<[Tally]>,
    elsewhere: Tally,
}

impl<'a> Usage<'a> {
    /// Nothing yet.
    pub fn new(ports: &'a Ports) -> Self {
        Self {
            ports,
            sums: vec![None; ports.places()],
            other: Tally::default(),
            counts_traffic: false,
        }
    }

    /// Counts a flow as so much: [`Tally::of`] it, or what [`Seen`] says.
    pub fn add(&mut self, flow: &Flow, counts: Tally) {
        self.counts_traffic |= flow.traffic.is_some();
        let Some(Place { port, endpoint }) = self.ports.find(flow) else {
            self.other.add(counts);
            return;
        };
        let sum = self.sums[port].get_or_insert_with(|| {
            let endpoints = self.ports.port(port).map_or(0, |port| port.endpoints.len());
            Box::new(PortSum {
                endpoints: vec![Tally::default(); endpoints].into(),
                elsewhere: Tally::default(),
            })
        });
        match endpoint {
            Some(endpoint) => sum.endpoints[endpoint].add(counts),
            None => sum.elsewhere.add(counts),
        }
    }

    /// Flows that were translated and are no Service's: a container's host port, or a Service that
    /// is gone.
    pub fn other(&self) -> Tally {
        self.other
    }

    /// Whether the kernel counts packets and bytes, as far as any flow tells.
    pub fn counts_traffic(&self) -> bool {
        self.counts_traffic
    }

    /// Every Service port, in no order.
    pub fn ports(&self) -> impl Iterator<Item = PortUsage<'_>> {
        self.sums.iter().enumerate().filter_map(|(at, sum)| {
            let port = self.ports.port(at)?;
            Some(PortUsage {
                port,
                sum: sum.as_deref(),
            })
        })
    }

    /// The ports of one Service, in its order.
    pub fn of_service(&self, service: &ObjectName) -> impl Iterator<Item = PortUsage<'_>> {
        self.ports.of_service(service).iter().filter_map(|at| {
            let port = self.ports.port(*at)?;
            Some(PortUsage {
                port,
                sum: self.sums[*at].as_deref(),
            })
        })
    }
}

/// What one Service port's flows add up to.
#[derive(Clone, Copy, Debug)]
pub struct PortUsage<'a> {
    port: &'a Port,
    sum: Option<&'a PortSum>,
}

impl<'a> PortUsage<'a> {
    /// The Service.
    pub fn service(&self) -> &'a ObjectName {
        &self.port.service
    }

    /// The port's name, empty if it has none.
    pub fn name(&self) -> &'a Arc<str> {
        &self.port.name
    }

    /// `protocol`.
    pub fn protocol(&self) -> Protocol {
        self.port.protocol
    }

    /// `port`.
    pub fn number(&self) -> u16 {
        self.port.number
    }

    /// Why it refuses packets.
    pub fn refusals(&self) -> Refusals {
        self.port.refusals
    }

    /// The endpoints, sorted, each with what its flows add up to.
    pub fn endpoints(&self) -> impl Iterator<Item = (Endpoint, Tally)> + use<'a> {
        let sums = self.sum.map_or(&[][..], |sum| &sum.endpoints);
        let sums = sums
            .iter()
            .copied()
            .chain(std::iter::repeat(Tally::default()));
        self.port.endpoints.iter().copied().zip(sums)
    }

    /// Flows that are answered by whom no EndpointSlice lists any more.
    pub fn elsewhere(&self) -> Tally {
        self.sum.map(|sum| sum.elsewhere).unwrap_or_default()
    }

    /// All of the port's flows: the endpoints' and those elsewhere.
    pub fn total(&self) -> Tally {
        let mut total = self.elsewhere();
        for (_, tally) in self.endpoints() {
            total.add(tally);
        }
        total
    }

    /// The endpoint with the most open connections, the first of several, and their share of the
    /// port's; `None` if no endpoint has any.
    pub fn busiest(&self) -> Option<(EndpointAddr, f64)> {
        // The last of equals would be another one at each look.
        let busiest = self.endpoints().reduce(|most, next| {
            if next.1.open > most.1.open {
                next
            } else {
                most
            }
        })?;
        let (endpoint, tally) = busiest;
        let share = ratio(tally.open, self.total().open)?;
        (tally.open > 0).then_some((endpoint.address, share))
    }

    /// How many endpoints serve: of both families the larger number, as a pod of both is one.
    pub fn serving(&self) -> u64 {
        let counts = Family::ALL.map(|family| self.load(family).endpoints);
        counts.into_iter().max().unwrap_or(0)
    }

    /// The most open connections of an endpoint, divided by the mean over those that serve:
    /// 1 is even. It is that of the family with more connections, IPv4 of equals: where clients
    /// use one alone, the other's endpoints have none. `None` if none serves, or none has any.
    pub fn spread(&self) -> Option<f64> {
        let [v4, v6] = Family::ALL.map(|family| self.load(family));
        let load = if v6.open > v4.open { v6 } else { v4 };
        ratio(load.most * load.endpoints, load.open)
    }

    /// What the endpoints of a family that serve have.
    fn load(&self, family: Family) -> Load {
        let is_of = |endpoint: &Endpoint| Family::of(endpoint.address.address) == family;
        let serving = self.endpoints();
        let serving = serving.filter(|(own, _)| own.serves && is_of(own));
        serving.fold(Load::default(), |load, (_, tally)| Load {
            endpoints: load.endpoints + 1,
            open: load.open + tally.open,
            most: load.most.max(tally.open),
        })
    }
}

/// Open connections of several endpoints.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    endpoints: u64,
    open: u64,
    /// Of one of them.
    most: u64,
}

/// A quotient; `None` by 0.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests;
