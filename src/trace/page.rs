//! The answer for people.

use super::answer::{OneWay, Step, Target, Traced};
use super::ending::{ClientAddress, Ending};
use crate::report::{Block, Data, Page, Table};
use rules::check::ForeignChain;
use std::net::SocketAddr;

/// More endpoints than that are counted, not listed, unless `-o wide` asks for them.
const ENDPOINTS: usize = 10;

impl Data for Traced {
    const KIND: &'static str = "Trace";

    fn page(&self, wide: bool) -> Page {
        let mut page = Page::new(self.title());
        page.text(self.about());
        let several = self.result.ways.len() > 1;
        for way in &self.result.ways {
            if several {
                page.heading(format!("{} of connections", percent(way.probability)));
            }
            page.table(steps(way, wide));
        }
        page.heading("Result");
        page.push(Block::Fields(self.fields(wide)));
        if !self.others.is_empty() {
            page.heading("Chains of others on these hooks");
            page.table(self.other_chains());
        }
        if let Some(live) = &self.live {
            live.show(&mut page);
        }
        page
    }
}

impl Traced {
    fn title(&self) -> String {
        let sent = &self.packet;
        let given = |given: &str, address: String| match given == address {
            true => address,
            false => format!("{given} ({address})"),
        };
        let to = SocketAddr::new(sent.destination, sent.port).to_string();
        format!(
            "{} {} → {}",
            sent.protocol,
            given(&sent.source_given, sent.source.to_string()),
            given(&sent.destination_given, to)
        )
    }

    fn about(&self) -> String {
        let rules = match self.rules {
            super::answer::Rules::Kernel => "rules as the kernel holds them now",
            super::answer::Rules::Planned => "rules as planned, not as a kernel holds them",
        };
        let service = match &self.service {
            Some(service) => format!("Service port {service}"),
            None => "no Service".to_owned(),
        };
        let origin = match (&self.packet.interface, self.packet.from_node) {
            (_, true) => "from the node itself".to_owned(),
            (Some(name), false) => format!("in by {name}"),
            (None, false) => "in by an interface that is not known".to_owned(),
        };
        format!("{service}; {origin}; {rules}")
    }

    fn fields(&self, wide: bool) -> Vec<(String, String)> {
        let mut fields = vec![("outcome".to_owned(), self.in_words())];
        let listed = if wide { usize::MAX } else { ENDPOINTS };
        let endpoints = &self.result.endpoints;
        for (at, own) in endpoints.iter().take(listed).enumerate() {
            let name = if at == 0 { "endpoints" } else { "" };
            fields.push((name.to_owned(), endpoint(own)));
        }
        if endpoints.len() > listed {
            let more = endpoints.len() - listed;
            fields.push((String::new(), format!("{more} more: -o wide")));
        }
        for (at, route) in self.routing.iter().enumerate() {
            let name = if at == 0 { "routing" } else { "" };
            fields.push((name.to_owned(), route.in_words()));
        }
        for (at, text) in self.assumptions.iter().enumerate() {
            let name = if at == 0 { "assumed" } else { "" };
            fields.push((name.to_owned(), text.clone()));
        }
        fields
    }

    /// The outcome as a sentence.
    pub fn in_words(&self) -> String {
        let result = &self.result;
        let count = result.endpoints.len();
        let text = match result.outcome {
            Ending::Delivered if count == 1 => "delivered to one pod".to_owned(),
            Ending::Delivered => format!("delivered to one of {count} endpoints"),
            Ending::Rejected => "rejected: the client is told that nobody serves this".to_owned(),
            Ending::Dropped => "dropped: the client hears nothing".to_owned(),
            Ending::Local => "goes to the node itself, untranslated".to_owned(),
            Ending::Routed => "goes on to where it was sent, untranslated".to_owned(),
        };
        let first = result.ways.first();
        let text = match first.and_then(|way| way.affinity) {
            Some(super::answer::Affinity::Remembered) => {
                format!("{text}, which remembers this client")
            }
            Some(super::answer::Affinity::New) => {
                format!("{text}, which remembers this client from then on")
            }
            None => text,
        };
        let others = result.ways.iter().any(|way| way.outcome != result.outcome);
        let text = if others {
            format!("{text}, or not: see the ways above")
        } else {
            text
        };
        if result.certain {
            text
        } else {
            format!("{text}; not certain: see the findings")
        }
    }

    fn other_chains(&self) -> Table {
        let mut table = Table::new([
            "hook",
            "priority",
            "type",
            "chain",
            "whose",
            "what it may do",
        ]);
        for other in &self.others {
            table.row([
                other.hook.to_string(),
                other.priority.to_string(),
                other.kind.clone(),
                other.to_string(),
                other.owner.map_or("", |owner| owner.name()).to_owned(),
                may(other),
            ]);
        }
        table
    }
}

/// What a chain may do with a packet.
fn may(other: &ForeignChain) -> String {
    let fate = &other.fate;
    match (fate.drops_all(), fate.drops_rest, fate.drop_count()) {
        (true, _, _) => "lets nothing through".to_owned(),
        (_, true, _) => "drops what none of its rules accepts".to_owned(),
        (_, _, 0) if fate.unread => "not read to its end".to_owned(),
        (_, _, 0) => "drops nothing".to_owned(),
        (_, _, 1) => "has a rule that drops".to_owned(),
        (_, _, count) => format!("has {count} rules that drop"),
    }
}

/// The steps of a way; what stays the same is said once.
fn steps(way: &OneWay, wide: bool) -> Table {
    let mut table = if wide {
        Table::new(["hook", "chain", "decision", "rule"])
    } else {
        Table::new(["hook", "chain", "decision"])
    };
    let mut before: Option<&Step> = None;
    for step in &way.steps {
        let same_hook = before.is_some_and(|own| own.hook == step.hook);
        let same_base = same_hook && before.is_some_and(|own| own.base == step.base);
        let hook = if same_hook { "" } else { &step.hook };
        let chain = match (&step.base, step.chain.as_deref()) {
            (Some(base), Some(chain)) if !same_base => format!("{base} → {chain}"),
            (_, Some(chain)) => chain.to_owned(),
            (_, None) => String::new(),
        };
        let rule = step.rule.clone().unwrap_or_default();
        let mut row = vec![hook.to_owned(), chain, step.words.clone()];
        row.extend(wide.then_some(rule));
        table.rows.push(row);
        before = Some(step);
    }
    table
}

fn endpoint(own: &Target) -> String {
    let to = SocketAddr::new(own.address, own.port);
    let sees = match (own.client_address, own.sees) {
        (ClientAddress::Kept, Some(address)) => format!("sees the client's address, {address}"),
        (ClientAddress::Kept, None) => "sees the client's address".to_owned(),
        (ClientAddress::Replaced, Some(address)) => {
            format!("sees {address}, which is this node's")
        }
        (ClientAddress::Replaced, None) => "sees an address of the node".to_owned(),
    };
    format!("{to}  {}  {sees}", percent(own.probability))
}

fn percent(probability: f64) -> String {
    format!("{:.1}%", probability * 100.0)
}

impl super::answer::Routing {
    fn in_words(&self) -> String {
        let to = self.to;
        match (&self.error, &self.interface, self.gateway) {
            (Some(error), _, _) => format!("to {to}: {error}"),
            (None, Some(interface), Some(gateway)) => {
                format!("to {to} by {interface}, next router {gateway}")
            }
            (None, Some(interface), None) => format!("to {to} by {interface}"),
            (None, None, _) => format!("to {to}"),
        }
    }
}
