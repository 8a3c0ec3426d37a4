//! Which addresses this node has, and which of them answer node ports.

use ipnet::IpNet;
use rules::NodeportAddresses;
use rules::model::{Family, Node};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// One of `nodePortAddresses`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeportAddress {
    /// The node's primary address of each family.
    Primary,
    /// Loopback addresses; nftables mode never answers node ports there.
    Localhost,
    /// Every local address.
    All,
    /// The local addresses in a range.
    Range(IpNet),
}

/// Whether the kernel has IPv6 switched on; upstream's test for dual-stack
/// (docs/reference.md#ip-families).
pub fn has_ipv6() -> bool {
    let disabled = std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6");
    Path::new("/proc/net/if_inet6").exists() && !disabled.is_ok_and(|value| value.trim() == "1")
}

/// The node's primary address of each family: the first one that the Node
/// object has; `--bind-address` overrides the one of its own family.
pub fn primary(node: Option<&Node>, bind_address: IpAddr, family: Family) -> Option<IpAddr> {
    if !bind_address.is_unspecified() && Family::of(bind_address) == family {
        return Some(bind_address);
    }
    let mut addresses = node.into_iter().flat_map(|node| &node.addresses);
    addresses
        .find(|address| Family::of(**address) == family)
        .copied()
}

/// Resolves the keywords of `--nodeport-addresses` for one family. A family
/// without a primary address drops the keyword, and with nothing left all its
/// addresses answer, as upstream has it.
pub fn nodeport_addresses(
    configured: &[NodeportAddress],
    primary: Option<IpAddr>,
    family: Family,
) -> NodeportAddresses {
    NodeportAddresses::from_ranges(family, &ranges(configured, primary))
}

/// Whether the address where a family's proxy for localhost listens is a node-port address, by a
/// range of loopback addresses that has it: one of all addresses says nothing of it, and other
/// loopback addresses are not served (KEP-6032, kubernetes/kubernetes#142129).
pub fn name_localhost(configured: &[NodeportAddress], family: Family) -> bool {
    let own = rules::localhost::address(family);
    let is_it = |range: &IpNet| {
        range.prefix_len() > 0 && range.addr().is_loopback() && range.contains(&own)
    };
    ranges(configured, None).iter().any(is_it)
}

/// Whether 127.0.0.1 or another address of that range is among those of IPv4, whatever the Node
/// object will tell: its addresses are none of them. As [`NodeportAddresses::hold_ipv4_loopback`].
pub fn hold_ipv4_loopback(configured: &[NodeportAddress], bind_address: IpAddr) -> bool {
    let primary = match bind_address {
        IpAddr::V4(_) => bind_address,
        IpAddr::V6(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    nodeport_addresses(configured, Some(primary), Family::V4).hold_ipv4_loopback()
}

fn ranges(configured: &[NodeportAddress], primary: Option<IpAddr>) -> Vec<IpNet> {
    let both = |v4: &str, v6: &str| [v4, v6].iter().filter_map(|net| net.parse().ok()).collect();
    configured
        .iter()
        .flat_map(|address| match address {
            NodeportAddress::Primary => primary.map(IpNet::from).into_iter().collect(),
            NodeportAddress::Localhost => both("127.0.0.0/8", "::1/128"),
            NodeportAddress::All => both("0.0.0.0/0", "::/0"),
            NodeportAddress::Range(range) => vec![*range],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_node_tells_its_primary_addresses() {
        let node = Node {
            addresses: vec![ip("192.0.2.1"), ip("2001:db8::1"), ip("192.0.2.2")],
            ..Node::default()
        };
        let any = ip("0.0.0.0");
        assert_eq!(primary(Some(&node), any, Family::V4), Some(ip("192.0.2.1")));
        assert_eq!(
            primary(Some(&node), any, Family::V6),
            Some(ip("2001:db8::1"))
        );
        assert_eq!(
            primary(Some(&node), ip("192.0.2.9"), Family::V4),
            Some(ip("192.0.2.9"))
        );
        assert_eq!(primary(None, any, Family::V4), None);
    }

    #[test]
    fn localhost_is_named_by_ranges_that_have_its_address() {
        use NodeportAddress::{All, Localhost, Primary, Range};
        let range = |text: &str| Range(text.parse().expect("a range"));
        for (configured, v4, v6) in [
            (&[][..], false, false),
            (&[Primary], false, false),
            (&[All], false, false),
            (&[Localhost], true, true),
            (&[Primary, Localhost], true, true),
            (&[All, Localhost], true, true),
            (&[range("127.0.0.1/32")], true, false),
            (&[range("0.0.0.0/0"), range("127.0.0.1/32")], true, false),
            (&[range("127.0.0.0/8")], true, false),
            (&[range("127.0.0.2/32")], false, false),
            (&[range("127.1.0.0/16")], false, false),
            (&[range("126.0.0.0/7")], false, false),
            (&[range("::1/128")], false, true),
            (&[range("::/0")], false, false),
        ] {
            let named = |family| name_localhost(configured, family);
            assert_eq!(
                (named(Family::V4), named(Family::V6)),
                (v4, v6),
                "{configured:?}"
            );
        }
    }

    #[test]
    fn keywords_become_ranges() {
        use NodeportAddress::{All, Localhost, Primary, Range};
        let resolve = |configured: &[NodeportAddress], primary: Option<&str>| {
            nodeport_addresses(configured, primary.map(ip), Family::V4)
        };
        let within = |range: &str| NodeportAddresses::Within(vec![range.parse().expect("a range")]);
        let ten = "10.0.0.0/8".parse().expect("a range");
        let six = "fd00::/8".parse().expect("a range");
        assert_eq!(resolve(&[Primary], Some("10.0.0.1")), within("10.0.0.1/32"));
        assert_eq!(resolve(&[Primary], None), NodeportAddresses::All);
        assert_eq!(resolve(&[Localhost], None), within("127.0.0.0/8"));
        assert_eq!(resolve(&[Range(ten)], None), within("10.0.0.0/8"));
        assert_eq!(resolve(&[Range(six)], None), NodeportAddresses::All);
        assert_eq!(resolve(&[Range(ten), All], None), NodeportAddresses::All);
    }

    #[test]
    fn loopback_addresses_are_node_port_addresses_unless_others_are_named() {
        let any = ip("0.0.0.0");
        let range = |text: &str| NodeportAddress::Range(text.parse().expect("a range"));
        use NodeportAddress::{All, Localhost, Primary};
        for (configured, bind, hold) in [
            (&[][..], any, true),
            (&[All], any, true),
            (&[Localhost], ip("::"), true),
            (&[Primary], any, false),
            (&[Primary], ip("2001:db8::1"), false),
            (&[Primary], ip("192.0.2.1"), false),
            (&[Primary, Localhost], any, true),
            (&[range("127.0.0.0/8")], any, true),
            (&[range("127.0.0.1/32")], any, true),
            (&[range("0.0.0.0/0")], any, true),
            (&[range("192.0.2.0/24")], any, false),
            // Of a family without ranges all addresses answer.
            (&[range("2001:db8::/64")], any, true),
        ] {
            assert_eq!(hold_ipv4_loopback(configured, bind), hold, "{configured:?}");
        }
    }
}
