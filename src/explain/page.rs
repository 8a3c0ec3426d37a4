//! Explanations for people.

use super::Explanations;
use crate::report::{Block, Data, Page, Table};
use rules::explain::{
    Answer, ClientAddress, EndpointExplained, Explanation, FrontendExplained, Health, KernelState,
    Policy, State,
};
use std::net::{IpAddr, SocketAddr};

/// So many endpoints are shown, unless all are asked for.
const ENDPOINTS: usize = 10;
/// So many rules.
const RULES: usize = 20;
/// So many nodes.
const NODES: usize = 10;

impl Data for Explanations {
    const KIND: &'static str = "Explanation";

    fn page(&self, wide: bool) -> Page {
        let title = match self.services.as_slice() {
            [one] => format!("Service {}", one.service),
            all => format!("{} Services", all.len()),
        };
        let mut page = Page::new(title);
        if let Some(found) = &self.found {
            page.text(found);
        }
        for service in &self.services {
            if self.services.len() > 1 {
                page.heading(format!("Service {}", service.service));
            }
            one(&mut page, service, wide);
        }
        page
    }
}

fn one(page: &mut Page, told: &Explanation, wide: bool) {
    page.push(Block::Fields(fields(told)));
    frontends(page, &told.frontends);
    endpoints(page, told, wide);
    rules(page, told, wide);
    if let Some(health) = &told.health {
        nodes(page, health, wide);
    }
}

fn fields(told: &Explanation) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut add = |name: &str, value: String| fields.push((name.to_owned(), value));
    add("type", told.kind.clone());
    if let Some(why) = &told.unproxied {
        add("rules", format!("none: it {why}"));
        return fields;
    }
    if let Some(policy) = told.external_policy {
        add("external traffic", policy_words(policy).to_owned());
    }
    add(
        "internal traffic",
        policy_words(told.internal_policy).to_owned(),
    );
    add(
        "affinity",
        match told.session_affinity_seconds {
            Some(seconds) => format!("ClientIP, for {seconds} s after the last connection"),
            None => "none".to_owned(),
        },
    );
    if !told.source_ranges.is_empty() {
        add("source ranges", told.source_ranges.join(", "));
    }
    let pairs = told.selector.iter();
    let pairs: Vec<String> = pairs.map(|(key, own)| format!("{key}={own}")).collect();
    add(
        "selector",
        match pairs.is_empty() {
            true => "none: its EndpointSlices are written by somebody else".to_owned(),
            false => pairs.join(","),
        },
    );
    for state in &told.kernel {
        add("kernel", kernel(state));
    }
    fields
}

fn policy_words(policy: Policy) -> &'static str {
    match policy {
        Policy::Cluster => "Cluster: all endpoints",
        Policy::Local => "Local: endpoints on the node that it comes to",
    }
}

fn kernel(state: &KernelState) -> String {
    let family = &state.family;
    match state.as_it_should {
        Some(true) => format!("{family} rules are as they should be"),
        Some(false) => format!(
            "{family} rules differ in {} places (KP105)",
            state.differences.len()
        ),
        None => format!("{family} rules could not be read"),
    }
}

fn frontends(page: &mut Page, frontends: &[FrontendExplained]) {
    let mut table = Table::new([
        "frontend",
        "kind",
        "from outside",
        "from pods here",
        "from this node",
        "chain",
    ]);
    let mut chains = Table::new(["chain", "what it does with a new connection"]);
    for own in frontends {
        let place = frontend(own);
        if let Some(holder) = &own.held_by {
            let none = || String::new();
            let held = format!("Service {holder} has it");
            table.row([
                place,
                own.kind.words().to_owned(),
                held,
                none(),
                none(),
                none(),
            ]);
            continue;
        }
        let chain = own.chain.clone().unwrap_or_else(|| "-".to_owned());
        let row = [chain.clone(), own.meaning.clone()];
        if !chains.rows.iter().any(|known| *known == row) {
            chains.row(row);
        }
        table.row([
            place,
            own.kind.words().to_owned(),
            answer(&own.outside),
            answer(&own.pods),
            answer(&own.node),
            chain,
        ]);
    }
    page.heading("Frontends");
    page.table(table);
    page.text("Address kept or replaced: whether the pod sees the client's, or a node's.");
    page.table(chains);
}

fn frontend(own: &FrontendExplained) -> String {
    let place = match own.address {
        Some(address) => SocketAddr::new(address, own.port).to_string(),
        None => format!("*:{}", own.port),
    };
    match own.port_name.as_str() {
        "" => format!("{place}/{}", own.protocol),
        name => format!("{place}/{} ({name})", own.protocol),
    }
}

fn answer(answer: &Answer) -> String {
    let plural = if answer.endpoints == 1 { "" } else { "s" };
    let address = match answer.client_address {
        Some(ClientAddress::Kept) => "address kept",
        Some(ClientAddress::Replaced) => "address replaced",
        None => "",
    };
    match answer.outcome {
        State::Served => format!("{} endpoint{plural}, {address}", answer.endpoints),
        State::Rejected => "refused".to_owned(),
        State::Dropped => "dropped: times out".to_owned(),
        State::Untouched => "no rule has it".to_owned(),
    }
}

fn endpoints(page: &mut Page, told: &Explanation, wide: bool) {
    if told.unproxied.is_some() {
        return;
    }
    page.heading("Endpoints");
    if told.endpoints.is_empty() {
        page.text("none: its EndpointSlices have no endpoint");
        return;
    }
    let mut table = Table::new([
        "endpoint",
        "pod",
        "node",
        "zone",
        "state",
        "used here for",
        "share from pods here",
        "share from outside",
    ]);
    let shown = if wide { usize::MAX } else { ENDPOINTS };
    for own in told.endpoints.iter().take(shown) {
        table.row([
            endpoint(own),
            or_dash(own.pod.as_deref()),
            or_dash(own.node.as_deref()),
            or_dash(own.zone.as_deref()),
            state(own).to_owned(),
            used(own),
            percent(Some(own.share_inside)),
            percent(own.share_outside),
        ]);
    }
    page.table(table);
    let more = told.endpoints.len().saturating_sub(shown);
    if more > 0 {
        page.text(format!("and {more} more: -o wide shows them"));
    }
    if told.external_policy == Some(Policy::Local) {
        page.text("Shares from outside: if a balancer spreads evenly over the nodes that serve.");
    }
}

/// Those that `iptables-save` shows.
fn rules(page: &mut Page, told: &Explanation, wide: bool) {
    if told.rules.is_empty() {
        return;
    }
    page.heading("Rules, as iptables-save tells them");
    let shown = if wide { usize::MAX } else { RULES };
    for line in told.rules.iter().take(shown) {
        page.text(line);
    }
    let more = told.rules.len().saturating_sub(shown);
    if more > 0 {
        page.text(format!("and {more} more: -o wide shows them"));
    }
}

fn endpoint(own: &EndpointExplained) -> String {
    let port = own
        .port
        .map_or_else(|| "?".to_owned(), |port| port.to_string());
    let place = match own.address {
        IpAddr::V6(address) => format!("[{address}]:{port}"),
        address => format!("{address}:{port}"),
    };
    match own.port_name.as_str() {
        "" => place,
        name => format!("{place} ({name})"),
    }
}

fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

fn state(own: &EndpointExplained) -> &'static str {
    match (own.ready, own.serving, own.terminating) {
        (true, ..) => "ready",
        (false, true, true) => "terminating, serves",
        (false, _, true) => "terminating",
        (false, true, false) => "not ready, serves",
        (false, false, false) => "not ready",
    }
}

fn used(own: &EndpointExplained) -> String {
    match (own.used_inside, own.used_outside) {
        (true, Some(true)) => "all".to_owned(),
        (true, None) => "pods".to_owned(),
        (true, Some(false)) => "pods alone".to_owned(),
        (false, Some(true)) => "outside alone".to_owned(),
        (false, _) => match &own.left_out {
            Some(why) => format!("nobody: {why}"),
            None => "nobody".to_owned(),
        },
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", 100.0 * share))
}

fn nodes(page: &mut Page, health: &Health, wide: bool) {
    page.heading(format!("Health check port {}", health.port));
    let asked = health.nodes.iter();
    let asked = asked
        .filter(|own| own.answered.is_some() || own.error.is_some())
        .count();
    let mut table = match asked {
        0 => Table::new(["node", "ready endpoints", "should answer"]),
        _ => Table::new(["node", "ready endpoints", "should answer", "answers"]),
    };
    let shown = if wide { usize::MAX } else { NODES };
    for own in health.nodes.iter().take(shown) {
        let mut row = vec![
            own.node.clone(),
            own.local_endpoints.to_string(),
            own.expected.to_string(),
        ];
        if asked > 0 {
            row.push(match (own.answered, &own.error) {
                (Some(status), _) => status.to_string(),
                (None, Some(error)) => format!("nothing ({error})"),
                (None, None) => "not asked: too many nodes".to_owned(),
            });
        }
        table.rows.push(row);
    }
    page.table(table);
    let more = health.nodes.len().saturating_sub(shown);
    if more > 0 {
        page.text(format!("and {more} more: -o wide shows them"));
    }
    if asked == 0 {
        page.text("--ask-nodes asks them.");
    }
}
