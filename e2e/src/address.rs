//! The bed's address plan, in both families.
//!
//! | what | IPv4 | IPv6 |
//! |---|---|---|
//! | underlay between nodes | 192.168.60.0/24 | fd00:60::/64 |
//! | pods of node N | 10.244.N.0/24 | fd00:10:244:N::/64 |
//! | Services | 10.96.0.0/16 | fd00:10:96::/112 |
//! | load balancer's addresses | 198.51.100.0/24 | 2001:db8:100::/64 |
//! | outside | 203.0.113.0/24 | 2001:db8:113::/64 |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Every pod's range, in the form of `--cluster-cidr`.
pub const CLUSTER_CIDR: &str = "10.244.0.0/16,fd00:10:244::/48";
/// The range of cluster IPs, in the form of `--service-cluster-ip-range`.
pub const SERVICE_CIDR: &str = "10.96.0.0/16,fd00:10:96::/112";
/// The port on which every pod echoes, TCP and UDP.
pub const ECHO_PORT: u16 = 8080;

/// An address of each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The IPv4 address.
    pub v4: Ipv4Addr,
    /// The IPv6 address.
    pub v6: Ipv6Addr,
}

impl Pair {
    /// Both, IPv4 first.
    pub fn both(self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }

    /// Whether `address` is one of the two.
    pub fn contains(self, address: IpAddr) -> bool {
        self.both().contains(&address)
    }
}

/// The router's address on the underlay, every node's default gateway.
pub const GATEWAY: Pair = underlay(1);
/// Where a control plane may live on the underlay.
pub const CONTROL: Pair = underlay(2);
/// The router's address towards the outside client.
pub const OUTSIDE_GATEWAY: Pair = outside(1);
/// The outside client.
pub const CLIENT: Pair = outside(10);

const fn underlay(host: u8) -> Pair {
    Pair {
        v4: Ipv4Addr::new(192, 168, 60, host),
        v6: Ipv6Addr::new(0xfd00, 0x60, 0, 0, 0, 0, 0, host as u16),
    }
}

const fn outside(host: u8) -> Pair {
    Pair {
        v4: Ipv4Addr::new(203, 0, 113, host),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, host as u16),
    }
}

/// Node N's own address on the underlay, N from 1 to 9.
pub const fn node(number: u8) -> Pair {
    underlay(10 + number)
}

/// A load balancer's address, from 1.
pub const fn virtual_ip(number: u8) -> Pair {
    Pair {
        v4: Ipv4Addr::new(198, 51, 100, number),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, number as u16),
    }
}

/// The cluster IP with this number, from 1 (which the API server's own Service takes).
pub const fn cluster_ip(number: u8) -> Pair {
    Pair {
        v4: Ipv4Addr::new(10, 96, 0, number),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, number as u16),
    }
}

/// The address of a pod of node N.
pub const fn pod(node: u8, host: u8) -> Pair {
    Pair {
        v4: Ipv4Addr::new(10, 244, node, host),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x244, node as u16, 0, 0, 0, host as u16),
    }
}

/// Node N's pod range in both families.
pub fn pod_cidrs(node: u8) -> [String; 2] {
    [
        format!("10.244.{node}.0/24"),
        format!("fd00:10:244:{node}::/64"),
    ]
}
