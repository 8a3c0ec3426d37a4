//! Advice for people.

use super::advice::Advice;
use super::picture;
use super::words::percent;
use crate::report::{Block, Data, Page, Table};
use rules::advise::{AddressKept, AfterDrain, Balancer, Out, Outlook};
use rules::model::TrafficPolicy;

/// So many rows of a table are shown where nobody asked for more.
const ROWS: usize = 12;

impl Data for Advice {
    const KIND: &'static str = "Advice";

    fn page(&self, wide: bool) -> Page {
        page_of(self, wide)
    }
}

/// Busiest by idlest, as people read it.
pub(super) fn times(ratio: Option<f64>) -> String {
    match ratio {
        Some(ratio) => format!("{ratio:.1}"),
        None => "some get none".to_owned(),
    }
}

fn page_of(advice: &Advice, wide: bool) -> Page {
    let port = &advice.port;
    let named = match port.name.as_str() {
        "" => String::new(),
        name => format!("{name} "),
    };
    let mut page = Page::new(format!(
        "Service {}: {}, port {named}{}/{}, externalTrafficPolicy {}",
        advice.service, advice.kind, port.number, port.protocol, advice.current
    ));
    page.text(assumption(advice.balancer));
    page.push(Block::Figure(picture::svg(&advice.drawing)));
    page.table(comparison(advice));
    page.heading("Verdict");
    page.push(Block::Lead(format!("{}.", advice.verdict.summary)));
    let reasons = advice.verdict.reasons.iter();
    let reasons = reasons.map(|reason| format!("{reason}."));
    page.push(Block::List(reasons.collect()));
    pods(&mut page, advice, wide);
    nodes(&mut page, advice, wide);
    drains(&mut page, advice, wide);
    remedies(&mut page, advice, wide);
    for note in &advice.notes {
        page.text(format!("Note: {note}."));
    }
    page
}

fn assumption(balancer: Balancer) -> String {
    let how = match balancer {
        Balancer::Nodes => "evenly over healthy nodes (--balancer nodes",
        Balancer::Endpoints => "by each node's number of endpoints (--balancer endpoints",
        Balancer::Zones => "evenly over zones, then over their healthy nodes (--balancer zones",
    };
    format!(
        "Assumed: the balancer spreads connections {how}). Shares are of all connections from outside."
    )
}

fn column(when: &str, policy: TrafficPolicy) -> String {
    format!("{when}: {policy:?}")
}

fn comparison(advice: &Advice) -> Table {
    let [(now, today), (then, after)] = advice.both();
    let heads = ["".to_owned(), column("now", now), column("then", then)];
    let mut table = Table::new(["", "", ""]);
    table.head = heads.to_vec();
    let mut add = |name: &str, tell: &dyn Fn(&Outlook) -> String| {
        table.row([name.to_owned(), tell(today), tell(after)]);
    };
    add("busiest / idlest pod", &|own| match own.endpoints.len() {
        0 => "no pod".to_owned(),
        _ => format!(
            "{} / {} = {}",
            percent(own.spread.busiest),
            percent(own.spread.idlest),
            times(own.spread.ratio)
        ),
    });
    add("fair share", &|own| percent(own.spread.fair));
    add("nodes that serve", &|own| {
        format!("{} of {}", own.nodes_serving, own.nodes.len())
    });
    add("nodes that stop", &|own| stopped(own));
    add("client address", &|own| match own.client_address {
        AddressKept::Kept => "kept".to_owned(),
        AddressKept::Replaced => "replaced by a node's".to_owned(),
    });
    add("extra hop", &|own| match own.extra_hop {
        0.0 => "none".to_owned(),
        share => format!("{} of connections", percent(share)),
    });
    add("dropped", &|own| match own.dropped {
        0.0 => "none".to_owned(),
        share => format!("{} of connections", percent(share)),
    });
    if let Some(open) = advice.connections_open {
        let stay = "stay where they are".to_owned();
        table.row([
            "connections open".to_owned(),
            format!("{open} on this node"),
            stay,
        ]);
    }
    table
}

/// Which nodes take no connections, and what says so.
fn stopped(outlook: &Outlook) -> String {
    /// Longer lists of names are none that fit into a table.
    const FITS: usize = 40;
    let stopped = outlook.nodes.iter().filter(|node| !node.serves);
    let names: Vec<&str> = stopped.clone().map(|node| node.name.as_str()).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    let says_503 = stopped.clone().any(|node| node.health_port == Some(503));
    let how = if says_503 { " (503)" } else { "" };
    let list = names.join(", ");
    match list.chars().count() <= FITS {
        true => format!("{list}{how}"),
        false => format!("{}{how}", names.len()),
    }
}

fn pods(page: &mut Page, advice: &Advice, wide: bool) {
    let [(now, today), (then, after)] = advice.both();
    let mut table = Table::new(["", "", "", ""]);
    let heads = ["pod", "node"].map(str::to_owned);
    table.head = [&heads[..], &[column("now", now), column("then", then)]].concat();
    let all = today.endpoints.len();
    let shown = if wide { all } else { ROWS };
    for own in today.endpoints.iter().take(shown) {
        let is_it = |other: &&rules::advise::EndpointShare| {
            (other.address, other.port) == (own.address, own.port)
        };
        let later = after.endpoints.iter().find(is_it);
        let state = if own.ready { "" } else { " (terminating)" };
        table.row([
            format!(
                "{}{state}",
                std::net::SocketAddr::new(own.address, own.port)
            ),
            own.node.clone().unwrap_or_else(|| "-".to_owned()),
            percent(own.share),
            later.map_or_else(|| "-".to_owned(), |later| percent(later.share)),
        ]);
    }
    if all > 0 {
        page.heading("Pods");
    }
    page.table(table);
    more(page, all, shown);
}

fn more(page: &mut Page, all: usize, shown: usize) {
    if all > shown {
        page.text(format!("... {} more: -o wide", all - shown));
    }
}

fn nodes(page: &mut Page, advice: &Advice, wide: bool) {
    let [(now, today), (then, after)] = advice.both();
    let mut table = Table::new(["", "", "", "", "", ""]);
    let heads = ["node", "zone", "pods"].map(str::to_owned);
    let columns = [
        column("now", now),
        column("then", then),
        "health port".to_owned(),
    ];
    table.head = [&heads[..], &columns].concat();
    let local = &advice.policies.local;
    let all = today.nodes.len();
    let shown = if wide { all } else { ROWS };
    let rows = today.nodes.iter().zip(&after.nodes).zip(&local.nodes);
    for ((own, later), local) in rows.take(shown) {
        table.row([
            own.name.clone(),
            own.zone.clone().unwrap_or_else(|| "-".to_owned()),
            own.endpoints.to_string(),
            takes(own),
            takes(later),
            local
                .health_port
                .map_or_else(|| "-".to_owned(), |code| format!("{code} under Local")),
        ]);
    }
    if all > 0 {
        page.heading("Nodes");
    }
    page.table(table);
    more(page, all, shown);
}

/// What a node is sent, or why nothing.
fn takes(node: &rules::advise::NodeShare) -> String {
    match node.out {
        Some(out) => format!("nothing: {}", why_out(out)),
        None if node.share > 0.0 && !node.serves => {
            format!("{} and drops it", percent(node.share))
        }
        None => percent(node.share),
    }
}

pub(super) fn why_out(out: Out) -> &'static str {
    match out {
        Out::Excluded => "excluded from balancers by its label",
        Out::Leaving => "about to go",
        Out::NotReady => "not ready",
    }
}

fn drains(page: &mut Page, advice: &Advice, wide: bool) {
    if advice.drains.is_empty() {
        return;
    }
    page.heading("If a node is drained, until its pods run elsewhere");
    let [(now, _), (then, _)] = advice.both();
    let mut table = Table::new(["", "", "", ""]);
    let heads = ["node", "pods lost"].map(str::to_owned);
    table.head = [&heads[..], &[column("now", now), column("then", then)]].concat();
    let shown = if wide { advice.drains.len() } else { ROWS };
    for drain in advice.drains.iter().take(shown) {
        let under = |policy| match policy {
            TrafficPolicy::Cluster => after_drain(&drain.cluster),
            TrafficPolicy::Local => after_drain(&drain.local),
        };
        table.row([
            drain.node.clone(),
            drain.endpoints_lost.to_string(),
            under(now),
            under(then),
        ]);
    }
    page.table(table);
    more(page, advice.drains.len(), shown);
}

fn after_drain(after: &AfterDrain) -> String {
    if after.down {
        return "nobody serves".to_owned();
    }
    let node = if after.node_serves {
        ""
    } else {
        ", this one stops"
    };
    let nodes = match after.nodes_serving {
        1 => "1 node serves".to_owned(),
        count => format!("{count} nodes serve"),
    };
    format!("busiest {}, {nodes}{node}", percent(after.spread.busiest))
}

fn remedies(page: &mut Page, advice: &Advice, wide: bool) {
    if advice.remedies.is_empty() {
        return;
    }
    page.heading("Remedies");
    for remedy in &advice.remedies {
        let kind = if remedy.recommended { "" } else { "Or else: " };
        page.text(format!("{kind}{}: {}.", remedy.title, remedy.why));
        if let Some(manifest) = remedy
            .manifest
            .as_ref()
            .filter(|_| remedy.recommended || wide)
        {
            page.push(Block::Code(manifest.clone()));
        }
        if let Some(command) = &remedy.command {
            page.push(Block::Code(command.clone()));
        }
    }
    page.text("-o patch prints the manifests alone, for kubectl.");
}
