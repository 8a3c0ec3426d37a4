//! What the kernel's routing tables say about one packet, over rtnetlink
//! (`linux/rtnetlink.h`).

use nft_wire::{Protocol, Socket, Writer, attributes, ip, u32_at};
use nix::net::if_::{if_indextoname, if_nametoindex};
use std::io;
use std::net::IpAddr;

mod kernel {
    pub(super) const RTMSG: usize = 12;
    pub(super) const RTA_DST: u16 = 1;
    pub(super) const RTA_SRC: u16 = 2;
    pub(super) const RTA_IIF: u16 = 3;
    pub(super) const RTA_OIF: u16 = 4;
    pub(super) const RTA_GATEWAY: u16 = 5;
    pub(super) const RTA_PREFSRC: u16 = 7;
    pub(super) const RTA_MARK: u16 = 16;
    pub(super) const RTA_VIA: u16 = 18;
    pub(super) const RTN_LOCAL: u8 = 2;
    pub(super) const TYPE_AT: usize = 7;
}

/// Where a packet goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The node itself.
    pub local: bool,
    /// The interface that it leaves by.
    pub interface: Option<String>,
    /// The next router, if its destination is on no link of the node.
    pub gateway: Option<IpAddr>,
    /// The address that the node itself would send from.
    pub source: Option<IpAddr>,
}

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Where it goes.
    pub destination: IpAddr,
    /// Where it comes from; `None` for the node itself, from the address that it would choose.
    pub source: Option<IpAddr>,
    /// The interface that it came in by; `None` for the node itself.
    pub input: Option<&'a str>,
    /// Its mark, which policy routing may look at.
    pub mark: u32,
}

impl Question<'_> {
    /// How the node itself reaches an address.
    pub fn to(destination: IpAddr) -> Self {
        Self {
            destination,
            source: None,
            input: None,
            mark: 0,
        }
    }
}

/// Asks the kernel, in the network namespace of the calling thread.
///
/// # Errors
/// The kernel has no route (ENETUNREACH, EHOSTUNREACH), would not take a packet with that source
/// from there (EXDEV, EINVAL), or does not answer.
pub fn route(question: Question<'_>) -> io::Result<Route> {
    let mut socket = Socket::open(Protocol::Route)?;
    let input = question.input.map(if_nametoindex).transpose()?;
    let answer = socket.request(libc::RTM_GETROUTE, 0, |out| {
        write(out, question, input);
    })?;
    Ok(read(&answer))
}

fn write(out: &mut Writer, question: Question<'_>, input: Option<u32>) {
    let (family, bits) = match question.destination {
        IpAddr::V4(_) => (libc::AF_INET, 32),
        IpAddr::V6(_) => (libc::AF_INET6, 128),
    };
    let family = u8::try_from(family).unwrap_or_default();
    let source_bits = question.source.map_or(0, |_| bits);
    let mut header = [0; kernel::RTMSG];
    header[..3].copy_from_slice(&[family, bits, source_bits]);
    out.raw(&header);
    address(out, kernel::RTA_DST, question.destination);
    if let Some(source) = question.source {
        address(out, kernel::RTA_SRC, source);
    }
    if let Some(input) = input {
        out.attribute(kernel::RTA_IIF, &input.to_ne_bytes());
    }
    if question.mark != 0 {
        out.attribute(kernel::RTA_MARK, &question.mark.to_ne_bytes());
    }
}

fn address(out: &mut Writer, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => out.attribute(kind, &address.octets()),
        IpAddr::V6(address) => out.attribute(kind, &address.octets()),
    }
}

/// Reads `struct rtmsg` and its attributes.
fn read(payload: &[u8]) -> Route {
    let mut route = Route {
        local: payload.get(kernel::TYPE_AT) == Some(&kernel::RTN_LOCAL),
        ..Route::default()
    };
    for (kind, value) in attributes(payload.get(kernel::RTMSG..).unwrap_or_default()) {
        match kind {
            kernel::RTA_OIF => route.interface = u32_at(value, 0).and_then(interface_name),
            kernel::RTA_GATEWAY => route.gateway = ip(value),
            // A family in front: an IPv6 router for IPv4 (RFC 5549).
            kernel::RTA_VIA => route.gateway = value.get(2..).and_then(ip),
            kernel::RTA_PREFSRC => route.source = ip(value),
            _ => {}
        }
    }
    route
}

pub(super) fn interface_name(index: u32) -> Option<String> {
    let name = if_indextoname(index).ok()?;
    Some(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2e::{Namespace, ip};

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_kernel_tells_interface_router_and_source() {
        let namespace = Namespace::create("routes").expect("a namespace");
        let set_up = "link add eth9 type veth peer name eth8\nlink set eth9 up\nlink set eth8 up\n\
            address add 192.0.2.1/24 dev eth9\nroute add default via 192.0.2.254\n\
            -6 address add 2001:db8::1/64 dev eth9 nodad\n-6 route add default via 2001:db8::fe";
        ip(&namespace, set_up).expect("an interface");
        let ask = |question: Question<'_>| namespace.run(|| route(question)).expect("a thread");
        let to = |text: &str| ask(Question::to(address(text)));
        for (far, gateway, own) in [
            ("203.0.113.9", "192.0.2.254", "192.0.2.1"),
            ("2001:db8:9::9", "2001:db8::fe", "2001:db8::1"),
        ] {
            let expected = Route {
                local: false,
                interface: Some("eth9".into()),
                gateway: Some(address(gateway)),
                source: Some(address(own)),
            };
            assert_eq!(to(far).expect("a route"), expected);
            let here = to(own).expect("a route");
            assert!(here.local, "{here:?}");
        }
        let near = to("192.0.2.7").expect("a route");
        assert_eq!(near.gateway, None);
        ip(&namespace, "route del default").expect("no default route");
        let error = to("203.0.113.9").expect_err("no route");
        assert_eq!(error.raw_os_error(), Some(libc::ENETUNREACH));
        let from_nowhere = ask(Question {
            input: Some("eth7"),
            source: Some(address("192.0.2.7")),
            ..Question::to(address("192.0.2.1"))
        });
        let error = from_nowhere.expect_err("no such interface");
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
