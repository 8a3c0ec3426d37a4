//! What is told of all Services that clients outside have a way to.

use super::page::times;
use super::words::percent;
use crate::report::{Data, Page, Table};
use rules::advise::{AddressKept, Balancer, Summary};
use schemars::JsonSchema;
use serde::Serialize;

/// So many rows are shown where nobody asked for more.
const ROWS: usize = 40;

/// All Services with an external policy, the worst imbalance first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdviceForAll {
    /// The only namespace that was looked at; `null` for all.
    pub namespace: Option<String>,
    /// How the balancer is assumed to spread connections over nodes.
    pub balancer: Balancer,
    /// The Services.
    pub services: Vec<Summary>,
}

impl Data for AdviceForAll {
    const KIND: &'static str = "AdviceForAll";

    fn page(&self, wide: bool) -> Page {
        let mut page = Page::new(match &self.namespace {
            Some(namespace) => format!("External traffic of namespace {namespace}"),
            None => "External traffic of all Services".to_owned(),
        });
        if self.services.is_empty() {
            page.text(
                "No Service has external traffic: type NodePort or LoadBalancer, or spec.externalIPs.",
            );
            return page;
        }
        let mut table = Table::new([
            "service",
            "policy",
            "pods",
            "nodes serve",
            "busiest",
            "x fair",
            "busiest/idlest",
            "other policy",
            "client address",
            "extra hop",
        ]);
        let shown = if wide { self.services.len() } else { ROWS };
        for own in self.services.iter().take(shown) {
            table.row(row(own));
        }
        page.table(table);
        if self.services.len() > shown {
            page.text(format!("... {} more: -o wide", self.services.len() - shown));
        }
        page.text("kube-proxy advise NAMESPACE/NAME tells what to do about one of them.");
        page
    }
}

fn row(own: &Summary) -> [String; 10] {
    let address = match own.client_address {
        AddressKept::Kept => "kept",
        AddressKept::Replaced => "replaced",
    };
    let many = if own.spread.is_unfair() { " KP201" } else { "" };
    [
        format!("{}/{}:{}", own.namespace, own.name, own.port),
        own.policy.clone(),
        own.endpoints.to_string(),
        format!("{} of {}", own.nodes_serving, own.nodes),
        percent(own.spread.busiest),
        format!("{:.1}{many}", own.spread.over_fair),
        times(own.spread.ratio),
        times(own.other_ratio),
        address.to_owned(),
        percent(own.extra_hop),
    ]
}
