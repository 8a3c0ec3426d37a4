//! What calls came to, as data and for people.

use super::run::Calls;
use super::tally::{Answerer, Client, Tally};
use super::target::Target;
use crate::echo::End;
use crate::report::{Data, Page, Table};
use rules::spread::Fit;
use schemars::JsonSchema;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Who answered how often, and which client addresses they saw.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// What was called.
    pub url: String,
    /// Where that led.
    pub address: End,
    /// Calls that came to an end.
    pub calls: u64,
    /// Of these, how many echo answered.
    pub answered: u64,
    /// Of these, how many it did not.
    pub failed: u64,
    /// How long it took.
    pub seconds: f64,
    /// Whether each call had a connection of its own.
    pub new_connections: bool,
    /// What the expected shares are from.
    pub expectation: String,
    /// Who answered, most often first.
    pub answers: Vec<Answers>,
    /// How well shares fit; `null` if too little was counted, or nothing is expected.
    pub fit: Option<Fit>,
    /// From which addresses of this machine it was called.
    pub own_addresses: Vec<IpAddr>,
    /// Which client addresses were seen.
    pub clients: Vec<Clients>,
    /// What failed, most often first.
    pub failures: Vec<Failures>,
}

/// Answers of one pod.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answers {
    /// As it says.
    pub namespace: Option<String>,
    /// As it says.
    pub pod: Option<String>,
    /// As it says.
    pub node: Option<String>,
    /// Its own end of connections; `null` for the sum of those beyond a thousand.
    pub endpoint: Option<End>,
    /// How many.
    pub count: u64,
    /// Of all answers, of 1.
    pub share: f64,
    /// Of 1; `null` where nothing is expected.
    pub expected_share: Option<f64>,
}

/// Answers that saw one client address.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Clients {
    /// Whom connections came from, as the pod saw it; `null` for the sum of those beyond a
    /// thousand.
    pub address: Option<IpAddr>,
    /// How many.
    pub count: u64,
    /// Whether it is the address that they were sent from.
    pub client_address: Option<ClientAddress>,
    /// The client by PROXY protocol; nobody vouches for it.
    pub proxy_protocol: Option<IpAddr>,
    /// The client by `X-Forwarded-For`; nobody vouches for it.
    pub forwarded_for: Option<String>,
}

/// What became of the client's address on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAddress {
    /// The pod saw it.
    Kept,
    /// The pod saw another one.
    Replaced,
}

/// Calls that failed alike.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Failures {
    /// `refused`, `timed out`, `status 503`, …
    pub kind: String,
    /// How many.
    pub count: u64,
    /// What one of them was told.
    pub example: String,
}

/// Which share of all calls each endpoint should get.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// In words: where it is from.
    pub by: String,
    /// By endpoint; they add up to 1.
    pub shares: BTreeMap<End, f64>,
}

impl Probe {
    /// Of counts; without an expectation all who answered should have answered equally often.
    pub(super) fn new(
        target: &Target,
        address: SocketAddr,
        calls: Calls,
        took: Duration,
        tally: Tally,
        expectation: Option<Expectation>,
    ) -> Self {
        let (answered, failed) = (tally.answered(), tally.failed());
        let Tally {
            answers,
            clients,
            own,
            failures,
        } = tally;
        let mut answers = answer_rows(answers, expectation.as_ref(), answered);
        answers.sort_by_key(|row| Reverse(row.count));
        let mut clients: Vec<Clients> = clients.into_iter().map(client_row).collect();
        clients.sort_by_key(|row| Reverse(row.count));
        let mut failures: Vec<Failures> = failures
            .into_iter()
            .map(|(kind, (count, example))| Failures {
                kind,
                count,
                example,
            })
            .collect();
        failures.sort_by_key(|row| Reverse(row.count));
        let equally = "all who answered, equally often".to_owned();
        Self {
            url: target.to_string(),
            address: address.into(),
            calls: answered + failed,
            answered,
            failed,
            seconds: took.as_secs_f64(),
            new_connections: calls.new_connections,
            expectation: expectation.map_or(equally, |own| own.by),
            fit: calls.new_connections.then(|| fit(&answers)).flatten(),
            answers,
            own_addresses: own.into_keys().flatten().collect(),
            clients,
            failures,
        }
    }
}

fn answer_rows(
    mut counted: BTreeMap<Answerer, u64>,
    expectation: Option<&Expectation>,
    answered: u64,
) -> Vec<Answers> {
    // Those who should have answered, and did not.
    for end in expectation.into_iter().flat_map(|own| own.shares.keys()) {
        if !counted
            .keys()
            .any(|answerer| answerer.address == Some(*end))
        {
            let silent = Answerer {
                address: Some(*end),
                ..Answerer::default()
            };
            counted.insert(silent, 0);
        }
    }
    let equal = 1.0 / ratio_base(counted.len() as u64);
    let rows = counted.into_iter().map(|(answerer, count)| {
        let expected_share = match (expectation, answerer.address) {
            (Some(own), Some(end)) => Some(own.shares.get(&end).copied().unwrap_or(0.0)),
            (Some(_), None) => None,
            (None, _) => Some(equal),
        };
        Answers {
            namespace: answerer.namespace,
            pod: answerer.pod,
            node: answerer.node,
            endpoint: answerer.address,
            count,
            share: ratio(count, answered),
            expected_share,
        }
    });
    rows.collect()
}

fn client_row((client, count): (Option<Client>, u64)) -> Clients {
    let Some(client) = client else {
        return Clients {
            address: None,
            count,
            client_address: None,
            proxy_protocol: None,
            forwarded_for: None,
        };
    };
    Clients {
        address: Some(client.address),
        count,
        client_address: Some(match client.kept {
            true => ClientAddress::Kept,
            false => ClientAddress::Replaced,
        }),
        proxy_protocol: client.claimed,
        forwarded_for: client.forwarded_for,
    }
}

/// `None` also if somebody answered of whom nothing was expected.
fn fit(answers: &[Answers]) -> Option<Fit> {
    let counts: Option<Vec<(u64, f64)>> = answers
        .iter()
        .map(|row| Some((row.count, row.expected_share.filter(|share| *share > 0.0)?)))
        .collect();
    Fit::of(&counts?)
}

/// Counts stay far below the integers that a float has not.
#[allow(clippy::cast_precision_loss)]
fn ratio_base(count: u64) -> f64 {
    count.max(1) as f64
}

fn ratio(part: u64, whole: u64) -> f64 {
    match part {
        0 => 0.0,
        part => ratio_base(part) / ratio_base(whole),
    }
}

impl Data for Probe {
    const KIND: &'static str = "Probe";

    fn page(&self, _: bool) -> Page {
        let mut page = Page::new(format!("Probe {}", self.url));
        let kind = match self.new_connections {
            true => "each on a connection of its own",
            false => "on connections that were kept, so that shares say nothing",
        };
        page.text(format!(
            "{} calls to {} in {:.1} s, {kind}: {} answered, {} failed",
            self.calls, self.address, self.seconds, self.answered, self.failed
        ));
        if !self.answers.is_empty() {
            page.heading("Who answered");
            page.table(self.answer_table());
        }
        if let Some(fit) = self.fit {
            page.text(format!(
                "expected: {}; {} (chi-square {:.1}, {} degrees of freedom, p {})",
                self.expectation,
                fit.words(),
                fit.chi_square,
                fit.degrees_of_freedom,
                probability(fit.p)
            ));
        }
        if !self.clients.is_empty() {
            page.heading("Whose address they saw");
            page.table(self.client_table());
            let own: Vec<String> = self.own_addresses.iter().map(ToString::to_string).collect();
            page.text(format!("called from: {}", own.join(", ")));
        }
        let claims = self.claim_table();
        if !claims.rows.is_empty() {
            page.heading("Whose address others claim it is");
            page.table(claims);
        }
        if !self.failures.is_empty() {
            page.heading("What failed");
            let mut table = Table::new(["kind", "calls", "one of them"]);
            for failure in &self.failures {
                let Failures {
                    kind,
                    count,
                    example,
                } = failure.clone();
                table.row([kind, count.to_string(), example]);
            }
            page.table(table);
        }
        page
    }
}

impl Probe {
    fn answer_table(&self) -> Table {
        let mut table = Table::new(["pod", "node", "endpoint", "answers", "share", "expected"]);
        for row in &self.answers {
            table.row([
                match (&row.namespace, &row.pod) {
                    (Some(namespace), Some(pod)) => format!("{namespace}/{pod}"),
                    (None, Some(pod)) => pod.clone(),
                    _ => String::new(),
                },
                row.node.clone().unwrap_or_default(),
                row.endpoint
                    .map_or("others".to_owned(), |end| end.to_string()),
                row.count.to_string(),
                percent(row.share),
                row.expected_share.map_or(String::new(), percent),
            ]);
        }
        table
    }

    fn client_table(&self) -> Table {
        let mut table = Table::new(["address", "answers", "is"]);
        for row in &self.clients {
            table.row([
                row.address
                    .map_or("others".to_owned(), |own| own.to_string()),
                row.count.to_string(),
                match row.client_address {
                    Some(ClientAddress::Kept) => "kept: the caller's own".to_owned(),
                    Some(ClientAddress::Replaced) => "replaced: somebody else's".to_owned(),
                    None => String::new(),
                },
            ]);
        }
        table
    }

    /// Nothing where nobody claimed anything.
    fn claim_table(&self) -> Table {
        let mut table = Table::new(["address", "answers", "PROXY protocol", "X-Forwarded-For"]);
        for row in &self.clients {
            if row.proxy_protocol.is_none() && row.forwarded_for.is_none() {
                continue;
            }
            table.row([
                row.address.map_or(String::new(), |own| own.to_string()),
                row.count.to_string(),
                row.proxy_protocol
                    .map_or(String::new(), |own| own.to_string()),
                row.forwarded_for.clone().unwrap_or_default(),
            ]);
        }
        table
    }
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

fn probability(p: f64) -> String {
    match p {
        p if p < 0.001 => "< 0.001".to_owned(),
        p => format!("{p:.3}"),
    }
}
