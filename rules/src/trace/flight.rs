//! One packet on its way through the hooks.

use super::{End, HookPoint, Origin, Packet};
use crate::model::{EndpointAddr, Protocol};
use std::net::IpAddr;
use std::ops::ControlFlow;

/// A packet as it is at the moment.
pub(crate) struct Flight<'a> {
    origin: &'a Origin,
    /// The interface that it came in by.
    pub(crate) input: Option<&'a str>,
    pub(crate) protocol: Protocol,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) port: u16,
    pub(crate) mark: u32,
    /// `ct status dnat`.
    pub(crate) translated: bool,
    pub(crate) masquerade: bool,
    /// A connection's destination and source are decided once; after that nat
    /// chains are not called for it.
    pub(crate) destination_decided: bool,
    pub(crate) source_decided: bool,
    /// The hook that it passes.
    pub(crate) point: HookPoint,
}

impl<'a> Flight<'a> {
    /// Before the first hook.
    pub(crate) fn new(packet: &'a Packet) -> Self {
        Self {
            origin: &packet.origin,
            input: match &packet.origin {
                Origin::Node => None,
                Origin::Interface(name) => Some(name),
            },
            protocol: packet.protocol,
            source: packet.source,
            destination: packet.destination,
            port: packet.port,
            mark: 0,
            translated: false,
            masquerade: false,
            destination_decided: false,
            source_decided: false,
            point: HookPoint::Prerouting,
        }
    }

    /// Whether chains of type nat are not called at this hook any more.
    pub(crate) fn is_decided(&self) -> bool {
        match self.point {
            HookPoint::Postrouting | HookPoint::Input => self.source_decided,
            _ => self.destination_decided,
        }
    }

    /// Whether it came in by an interface that is called so, or begins so. The kernel compares with an
    /// empty name where there is none.
    pub(crate) fn came_by(&self, name: &str, wildcard: bool) -> bool {
        let input = self.input.unwrap_or_default();
        input == name || (wildcard && input.starts_with(name))
    }

    /// `dnat`.
    pub(crate) fn translate(&mut self, to: EndpointAddr) {
        // A translation that changes nothing does not set ct status dnat.
        self.translated = (self.destination, self.port) != (to.address, to.port);
        self.destination = to.address;
        self.port = to.port;
        self.destination_decided = true;
    }

    /// `masquerade`.
    pub(crate) fn masquerade(&mut self) {
        self.masquerade = true;
        self.source_decided = true;
    }

    /// Where it goes now.
    pub(crate) fn to(&self) -> EndpointAddr {
        EndpointAddr {
            address: self.destination,
            port: self.port,
        }
    }
}

/// Who has rules on the hooks.
pub(crate) trait Hooks<'a> {
    /// The packet.
    fn flight(&mut self) -> &mut Flight<'a>;

    /// `fib type local`.
    fn is_local(&self, address: IpAddr) -> bool;

    /// Sends the packet through the chains of the hook where it is.
    fn pass(&mut self) -> ControlFlow<End>;
}

/// Sends a packet through the hooks, and tells what becomes of it.
pub(crate) fn fly<'a>(rules: &mut impl Hooks<'a>) -> End {
    if let ControlFlow::Break(end) = route(rules) {
        return end;
    }
    let flight = rules.flight();
    let masquerade = flight.masquerade;
    match flight.translated {
        true => End::Endpoint {
            backend: flight.to(),
            masquerade,
        },
        false => End::Untranslated { masquerade },
    }
}

/// The way through the hooks, routed by the destination of the moment.
fn route<'a>(rules: &mut impl Hooks<'a>) -> ControlFlow<End> {
    use HookPoint::{Forward, Input, Output, Postrouting, Prerouting};
    match rules.flight().origin {
        Origin::Interface(_) => {
            hook(rules, Prerouting)?;
            if goes_in(rules) {
                return hook(rules, Input);
            }
            hook(rules, Forward)?;
            hook(rules, Postrouting)
        }
        Origin::Node => {
            hook(rules, Output)?;
            hook(rules, Postrouting)?;
            if goes_in(rules) {
                // What a node sends to itself comes in again.
                rules.flight().input = Some("lo");
                hook(rules, Prerouting)?;
                hook(rules, Input)?;
            }
            ControlFlow::Continue(())
        }
    }
}

fn goes_in<'a>(rules: &mut impl Hooks<'a>) -> bool {
    let destination = rules.flight().destination;
    rules.is_local(destination)
}

fn hook<'a>(rules: &mut impl Hooks<'a>, point: HookPoint) -> ControlFlow<End> {
    rules.flight().point = point;
    rules.pass()?;
    let flight = rules.flight();
    match point {
        HookPoint::Prerouting | HookPoint::Output => flight.destination_decided = true,
        HookPoint::Postrouting => flight.source_decided = true,
        HookPoint::Input | HookPoint::Forward => {}
    }
    ControlFlow::Continue(())
}
