//! `kube-proxy trace`: a packet's way through the rules, as the kernel holds them or as they are
//! planned, and what becomes of it.

mod answer;
mod ending;
mod findings;
mod held;
mod live;
mod objects;
mod page;
mod place;
mod recent;
mod resolve;
mod session;

pub use answer::Traced;
pub use place::{Destination, Place};
pub use resolve::Asked;
pub use session::Session;

use crate::netlink::{
    self,
    routes::{self, Question},
};
use crate::pflag::UsageError;
use crate::report::{Report, Source};
use answer::{Outcome, Routing, Rules, Sent};
use ending::Ending;
use held::{Followed, Held};
use resolve::{Resolved, resolve};
use rules::check::{ForeignChain, Hook};
use rules::model::Family;
use rules::trace::{Origin, Way};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// So many endpoints are asked the kernel for.
const ROUTES: usize = 10;

/// How long real packets are followed, and who hears of each.
pub struct Live<'a> {
    /// For how long at the most.
    pub limit: Duration,
    /// Hears a line of each packet.
    pub tell: &'a mut dyn FnMut(&str),
}

/// Follows one packet, and with `live` real ones of its kind after it.
///
/// # Errors
/// What is asked for is nobody's, rules are not to be had, or real packets cannot be followed.
pub async fn trace(
    session: &mut Session,
    asked: &Asked,
    live: Option<Live<'_>>,
) -> anyhow::Result<Report<Traced>> {
    if live.is_some()
        && (asked.source == Place::Outside || asked.destination.place == Place::Outside)
    {
        let message = "--live follows real packets: give the client's address instead of outside";
        return Err(UsageError::new(message).into());
    }
    let resolved = resolve(session, asked).await?;
    let Resolved {
        packet,
        interface,
        held,
        node,
        assumptions,
    } = resolved;
    let Followed {
        ways,
        in_the_way,
        unread,
    } = held.follow(&packet)?;
    let is_here = held.rules == Rules::Kernel;
    let own_address = |to| {
        let route = routes::route(Question::to(to)).ok().filter(|_| is_here);
        route.and_then(|route| route.source)
    };
    let result = Outcome::new(&ways, packet.source, own_address);
    let routing = match is_here {
        true => routing(&ways, packet.destination, &result),
        false => Vec::new(),
    };
    let (others, mut sources) = match is_here {
        true => others(&ways, packet.destination),
        false => (Vec::new(), Vec::new()),
    };
    let certain = in_the_way.is_empty() && !others.iter().any(|own| own.fate.drops_all());
    let followed = match live {
        Some(_) if !is_here => anyhow::bail!(
            "--live follows packets of this node, whose rules the kernel has to hold: {}",
            session.kernel_error()
        ),
        Some(live) => {
            let hooks = hooks(&held, Family::of(packet.destination), &others);
            Some(live::follow(&packet, hooks, live.limit, live.tell).await?)
        }
        None => None,
    };
    let result = Outcome { certain, ..result };
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
        others,
        assumptions,
        live: followed,
    };
    let findings = findings::findings(&traced, &in_the_way, &node);
    sources.splice(0..0, session.sources());
    if unread > 0 {
        let error =
            format!("{unread} clients or pieces of somebody else's are too many to be read");
        sources.push(Source::unseen("kernel: the rest of the table", error));
    }
    Ok(Report::new(node, sources, traced, findings))
}

/// The chains of others that packets of these ways come by, and whether they could be read.
fn others(ways: &[Way], destination: IpAddr) -> (Vec<ForeignChain>, Vec<Source>) {
    let name = "kernel: other tables";
    let all = match netlink::others::on_our_hooks() {
        Ok(all) => all,
        Err(error) => return (Vec::new(), vec![Source::unseen(name, error.to_string())]),
    };
    let passed: BTreeSet<&str> = ways
        .iter()
        .flat_map(|way| way.decisions.iter().map(|own| own.hook))
        .collect();
    let family = Family::of(destination);
    let is_passed = |chain: &ForeignChain| {
        chain.has_packets_of(family)
            && (passed.contains(chain.hook.to_string().as_str()) || is_of_a_device(chain.hook))
    };
    let all = all.into_iter().filter(is_passed).collect();
    (all, vec![Source::fresh(name)])
}

/// Which packets come by there depends on the device.
fn is_of_a_device(hook: Hook) -> bool {
    matches!(hook, Hook::Ingress | Hook::Egress)
}

/// The hook of each base chain, by family, table and name.
fn hooks(held: &Held, family: Family, others: &[ForeignChain]) -> BTreeMap<String, String> {
    let others = others
        .iter()
        .map(|chain| (chain.to_string(), chain.hook.to_string()));
    held.hooks(family).into_iter().chain(others).collect()
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

#[cfg(test)]
mod tests;
