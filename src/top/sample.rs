//! What one look comes to: rates of each Service port, between the last look and this one.

use super::wanted::is_wanted;
use crate::inspect::Asked;
use crate::netlink::Room;
use crate::report::Source;
use rules::model::{EndpointAddr, ObjectName, Protocol};
use rules::usage::{PortUsage, Refusals, Tally, Usage};
use std::sync::Arc;
use std::time::Duration;

/// One look.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// The node.
    pub(super) node: Arc<str>,
    /// The time that rates are of.
    pub(super) time: Duration,
    /// How long the look took.
    pub(super) took: Duration,
    /// How full conntrack is.
    pub(super) room: Option<Room>,
    /// The Service ports that are asked for, in no order.
    pub(super) rows: Vec<Row>,
    /// What belongs to no Service.
    pub(super) other: Rates,
    /// The kernel counts packets and bytes.
    pub(super) counts_traffic: bool,
    /// What the rules drop or reject, by reason; `None` if they do not count it.
    pub(super) drops: Option<Vec<Reason>>,
    /// What was looked at.
    pub(super) sources: Vec<Source>,
}

/// One Service port.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) service: ObjectName,
    /// Empty if it has none.
    pub(super) port_name: Arc<str>,
    pub(super) protocol: Protocol,
    pub(super) number: u16,
    pub(super) rates: Rates,
    /// Endpoints that new connections may go to.
    pub(super) serving: u64,
    pub(super) busiest: Option<(EndpointAddr, f64)>,
    pub(super) spread: Option<f64>,
    pub(super) refusals: Refusals,
    /// What is dropped or rejected of it; `None` if nothing is.
    pub(super) drops: Option<Drops>,
}

/// Counts as rates.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    /// New connections per second.
    pub(super) new: f64,
    /// Open ones.
    pub(super) open: u64,
    /// Packets per second, both ways.
    pub(super) packets: f64,
    /// Bytes per second, both ways.
    pub(super) bytes: f64,
}

/// What does not get through on the node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reason {
    /// Packets per second.
    pub(super) per_second: f64,
    /// Why.
    pub(super) reason: &'static str,
}

/// What does not get through to a Service port.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drops {
    /// Packets per second, where it is known whose they are.
    pub(super) per_second: Option<f64>,
    /// Why.
    pub(super) reason: &'static str,
}

impl Rates {
    /// What a tally is in a time; without one, of the first look, there are no rates.
    pub(super) fn of(tally: Tally, time: Duration) -> Self {
        Self {
            new: per_second(tally.new, time),
            open: tally.open,
            packets: per_second(tally.traffic.packets, time),
            bytes: per_second(tally.traffic.bytes, time),
        }
    }
}

/// Rounded to a hundredth: more is noise.
pub(super) fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let rate = count as f64 / time.as_secs_f64();
    (rate * 100.0).round() / 100.0
}

/// The rows of what is asked for.
pub(super) fn rows(usage: &Usage<'_>, asked: &Asked, time: Duration) -> Vec<Row> {
    let wanted = usage
        .ports()
        .filter(|port| is_wanted(asked, port.service()));
    wanted.map(|port| row(&port, time)).collect()
}

fn row(port: &PortUsage<'_>, time: Duration) -> Row {
    Row {
        service: port.service().clone(),
        port_name: port.name().clone(),
        protocol: port.protocol(),
        number: port.number(),
        rates: Rates::of(port.total(), time),
        serving: port.serving(),
        busiest: port.busiest(),
        spread: port.spread(),
        refusals: port.refusals(),
        drops: None,
    }
}
