//! A look as an answer: the same keys in each line of JSON, and a table for people.

use super::order::Order;
use super::sample::{self, Rates, Row, Sample};
use super::units;
use crate::report::{Block, Data, Page, Report, Table};
use schemars::JsonSchema;
use serde::Serialize;

/// What Services do on a node: one look.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Top {
    /// The time that rates are of, in seconds: that since the last look.
    pub seconds: f64,
    /// How long the look took, in seconds.
    pub took: f64,
    /// The kernel's table of flows; `null` if it could not be asked.
    pub conntrack: Option<TableRoom>,
    /// What the rules drop or reject, by reason; `null` if they do not count it.
    pub drops: Option<Vec<Reason>>,
    /// How many Service ports there are of what is asked for.
    pub ports: usize,
    /// What is in order here: `new`, `open`, `bytes`, `drops`, `spread`, `name`.
    pub sort: String,
    /// The first of them in that order.
    pub services: Vec<ServicePort>,
    /// Flows that are translated and belong to no Service.
    pub other: Flows,
}

/// How full conntrack is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableRoom {
    /// Flows of any kind.
    pub entries: u32,
    /// How many there may be (`net.netfilter.nf_conntrack_max`).
    pub limit: Option<u32>,
    /// Packets and bytes are counted (`net.netfilter.nf_conntrack_acct`), as far as any flow
    /// tells.
    pub accounting: bool,
}

/// What does not get through for one reason.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// Why.
    pub reason: String,
    /// Packets per second.
    pub per_second: f64,
}

/// What does not get through to a Service port.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dropped {
    /// Why.
    pub reason: String,
    /// Packets per second; `null` where other Service ports refuse for the same reason, as the
    /// rules count by reason alone.
    pub per_second: Option<f64>,
}

/// What flows come to.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Flows {
    /// New connections per second.
    pub new_per_second: f64,
    /// Connections that are open, or flows of UDP that conntrack remembers.
    pub open: u64,
    /// Packets per second, both ways; `null` where the kernel does not count them.
    pub packets_per_second: Option<f64>,
    /// Bytes per second, both ways; `null` where the kernel does not count them.
    pub bytes_per_second: Option<f64>,
}

/// One port of a Service.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub name: String,
    /// The port's name; empty if it has none.
    pub port_name: String,
    /// `port`.
    pub port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// What its flows come to.
    #[serde(flatten)]
    pub flows: Flows,
    /// Endpoints that new connections from this node may go to; of both families the larger number.
    pub serving: u64,
    /// The endpoint with the most open connections; `null` if there are none.
    pub busiest: Option<Busiest>,
    /// The most open connections of an endpoint by the mean of those that serve: 1 is even. Of the
    /// family with more connections; `null` if there are none.
    pub spread: Option<f64>,
    /// Why packets of it are dropped or rejected; `null` if none are.
    pub dropped: Option<Dropped>,
}

/// The endpoint with the most open connections.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Busiest {
    /// Its address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Its part of the Service port's connections, of 1.
    pub share: f64,
}

/// To three digits behind the point, as counts of a few hundred allow.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

impl Flows {
    fn new(rates: Rates, counts_traffic: bool) -> Self {
        Self {
            new_per_second: rates.new,
            open: rates.open,
            packets_per_second: counts_traffic.then_some(rates.packets),
            bytes_per_second: counts_traffic.then_some(rates.bytes),
        }
    }
}

impl ServicePort {
    pub(super) fn new(row: &Row, counts_traffic: bool) -> Self {
        Self {
            namespace: row.service.namespace.to_string(),
            name: row.service.name.to_string(),
            port_name: row.port_name.to_string(),
            port: row.number,
            protocol: row.protocol.to_string(),
            flows: Flows::new(row.rates, counts_traffic),
            serving: row.serving,
            busiest: row.busiest.map(|(endpoint, share)| Busiest {
                address: endpoint.address.to_string(),
                port: endpoint.port,
                share: rounded(share),
            }),
            spread: row.spread.map(rounded),
            dropped: row.drops.as_ref().map(|drops| Dropped {
                reason: drops.reason.to_owned(),
                per_second: drops.per_second,
            }),
        }
    }
}

/// The answer of a look: the first `limit` rows in an order, all of them if it is 0.
pub(super) fn report(mut sample: Sample, order: Order, limit: usize) -> Report<Top> {
    order.sort(&mut sample.rows);
    let counts_traffic = sample.counts_traffic;
    let shown = match limit {
        0 => sample.rows.len(),
        limit => limit.min(sample.rows.len()),
    };
    let top = Top {
        seconds: rounded(sample.time.as_secs_f64()),
        took: rounded(sample.took.as_secs_f64()),
        conntrack: sample.room.map(|room| TableRoom {
            entries: room.entries,
            limit: room.limit,
            accounting: counts_traffic,
        }),
        drops: sample.drops.map(|drops| {
            let reason = |own: &sample::Reason| Reason {
                reason: own.reason.to_owned(),
                per_second: own.per_second,
            };
            drops.iter().map(reason).collect()
        }),
        ports: sample.rows.len(),
        sort: order.to_string(),
        services: sample.rows[..shown]
            .iter()
            .map(|row| ServicePort::new(row, counts_traffic))
            .collect(),
        other: Flows::new(sample.other, counts_traffic),
    };
    Report::new(&*sample.node, sample.sources, top, Vec::new())
}

/// Where there is nothing to be told.
const NOTHING: &str = "-";

/// What the cells of a row are.
pub(super) const HEAD: [&str; 8] = [
    "namespace/name:port",
    "new/s",
    "open",
    "bytes/s",
    "busiest pod",
    "spread",
    "dropped/s",
    "reason",
];

impl ServicePort {
    /// `NAMESPACE/NAME:PORT`, the port by its name if it has one.
    fn label(&self) -> String {
        let Self {
            namespace, name, ..
        } = self;
        match self.port_name.is_empty() {
            true => format!("{namespace}/{name}:{}", self.port),
            false => format!("{namespace}/{name}:{}", self.port_name),
        }
    }

    /// The cells of a row.
    pub(super) fn cells(&self) -> [String; 8] {
        let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
        let dropped = self.dropped.as_ref();
        [
            self.label(),
            units::rate(self.flows.new_per_second),
            units::count(self.flows.open),
            or_nothing(self.flows.bytes_per_second.map(units::bytes)),
            or_nothing(self.busiest.as_ref().map(Busiest::text)),
            or_nothing(self.spread.map(units::times)),
            or_nothing(dropped.and_then(|own| own.per_second).map(units::rate)),
            or_nothing(dropped.map(|own| own.reason.clone())),
        ]
    }
}

impl Busiest {
    fn text(&self) -> String {
        let Self {
            address,
            port,
            share,
        } = self;
        let share = units::percent(*share);
        match address.contains(':') {
            true => format!("[{address}]:{port} {share}"),
            false => format!("{address}:{port} {share}"),
        }
    }
}

impl Top {
    /// The node's figures, in a few words each.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        if let Some(room) = &self.conntrack {
            let limit = room
                .limit
                .map(|limit| format!(" of {}", units::count(limit.into())));
            let entries = units::count(room.entries.into());
            facts.push(("flows", format!("{entries}{}", limit.unwrap_or_default())));
        }
        let other = &self.other;
        if other.open > 0 || other.new_per_second > 0.0 {
            let (open, new) = (units::count(other.open), units::rate(other.new_per_second));
            facts.push(("of no service", format!("{open} open, {new} new/s")));
        }
        if let Some(drops) = &self.drops {
            let told = drops.iter().filter(|own| own.per_second > 0.0);
            let told: Vec<String> = told
                .map(|own| format!("{} {}", own.reason, units::rate(own.per_second)))
                .collect();
            let told = if told.is_empty() {
                "0".to_owned()
            } else {
                told.join(", ")
            };
            facts.push(("dropped/s", told));
        }
        facts
    }
}

impl Data for Top {
    const KIND: &'static str = "Top";

    fn page(&self, wide: bool) -> Page {
        let mut page = Page::new(format!(
            "{} of {} Service ports by {}, over {:.1} s",
            units::count(self.services.len() as u64),
            units::count(self.ports as u64),
            self.sort,
            self.seconds
        ));
        let facts = self.facts().into_iter();
        let facts = facts.map(|(name, value)| (name.to_owned(), value));
        page.push(Block::Fields(facts.collect()));
        let more = ["protocol", "port", "serving", "packets/s"];
        let head = HEAD.into_iter().chain(more.into_iter().filter(|_| wide));
        let rows = self.services.iter().map(|port| {
            let mut cells: Vec<String> = port.cells().into();
            if wide {
                let packets = port.flows.packets_per_second.map(units::rate);
                cells.extend([
                    port.protocol.clone(),
                    port.port.to_string(),
                    port.serving.to_string(),
                    packets.unwrap_or_else(|| NOTHING.to_owned()),
                ]);
            }
            cells
        });
        page.table(Table {
            head: head.map(str::to_owned).collect(),
            rows: rows.collect(),
        });
        page
    }
}
