//! `kube-proxy trace`: a packet's way through the rules, as the kernel holds them or as they are
//! planned, and what becomes of it.

mod answer;
mod findings;
mod held;
mod objects;
mod page;
mod place;
mod resolve;
mod session;

pub use answer::Traced;
pub use place::{Destination, Place};
pub use resolve::Asked;
pub use session::Session;

use crate::netlink::routes::{self, Question};
use crate::report::{Report, Source};
use answer::{Ending, Outcome, Routing, Rules, Sent};
use resolve::{Resolved, resolve};
use rules::nft::trace::{Origin, Tracer, Way};
use std::net::IpAddr;

/// So many endpoints are asked the kernel for.
const ROUTES: usize = 10;

/// Follows one packet.
///
/// # Errors
/// What is asked for is nobody's, or rules are not to be had.
pub async fn trace(session: &mut Session, asked: &Asked) -> anyhow::Result<Report<Traced>> {
    let resolved = resolve(session, asked).await?;
    let Resolved {
        packet,
        interface,
        held,
        node,
        assumptions,
    } = resolved;
    let tracer = Tracer::new(&held.table, held.node_addresses.iter().copied());
    let trace = tracer.explain(&packet);
    let ways = tracer.ways(&trace);
    let foreign = held.in_the_way(&trace);
    let is_here = held.rules == Rules::Kernel;
    let own_address = |to| {
        let route = routes::route(Question::to(to)).ok().filter(|_| is_here);
        route.and_then(|route| route.source)
    };
    let result = Outcome::new(&ways, packet.source, foreign.is_empty(), own_address);
    let routing = match is_here {
        true => routing(&ways, packet.destination, &result),
        false => Vec::new(),
    };
    let service = ways.iter().find_map(|way| way.service.clone());
    let traced = Traced {
        packet: Sent {
            protocol: packet.protocol.to_string(),
            source: packet.source,
            source_given: asked.source.to_string(),
            destination: packet.destination,
            port: packet.port,
            destination_given: given(asked, packet.port),
            interface,
            from_node: packet.origin == Origin::Node,
        },
        service: service.as_deref().map(str::to_owned),
        rules: held.rules,
        result,
        routing,
        others: Vec::new(),
        assumptions,
    };
    let findings = findings::findings(&traced, &foreign, &node);
    let mut sources = session.sources();
    if held.unread > 0 {
        let error = format!(
            "{} clients or pieces of somebody else's are too many to be read",
            held.unread
        );
        sources.push(Source::unseen("kernel: the rest of the table", error));
    }
    Ok(Report::new(node, sources, traced, findings))
}

/// The destination as it was asked for, with its port.
fn given(asked: &Asked, port: u16) -> String {
    match (&asked.destination.place, &asked.destination.port) {
        (Place::Address(address), _) => std::net::SocketAddr::new(*address, port).to_string(),
        (place, Some(port)) => format!("{place}:{port}"),
        (place, None) => place.to_string(),
    }
}

/// Where the kernel sends the packet on.
fn routing(ways: &[Way], destination: IpAddr, result: &Outcome) -> Vec<Routing> {
    let mut to: Vec<IpAddr> = result.endpoints.iter().map(|own| own.address).collect();
    let goes_on = |way: &Way| matches!(Ending::from(way.fate), Ending::Routed | Ending::Local);
    to.extend(ways.iter().any(goes_on).then_some(destination));
    to.dedup();
    to.truncate(ROUTES);
    let ask = |to: IpAddr| match routes::route(Question::to(to)) {
        Ok(route) => Routing {
            to,
            interface: route.interface,
            gateway: route.gateway,
            error: None,
        },
        Err(error) => Routing {
            to,
            interface: None,
            gateway: None,
            error: Some(format!("no route: {error}")),
        },
    };
    to.into_iter().map(ask).collect()
}
