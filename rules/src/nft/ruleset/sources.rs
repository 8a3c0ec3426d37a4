//! Sets of sources: what loadBalancerSourceRanges allow.

use super::digest::digest;
use ipnet::IpNet;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

/// The sources that Services let through: a chain that drops all others, and if
/// they are many, an interval set of plain addresses with the same name.
///
/// The name stands for the contents: Services with the same sources share it,
/// and another list of sources is another set, so that none ever changes.
#[derive(Clone)]
pub struct SourceSet(Arc<Contents>);

struct Contents {
    digest: String,
    ranges: Box<[IpNet]>,
}

impl SourceSet {
    /// So many ranges stand in a rule.
    const IN_A_RULE: usize = 16;

    /// The set of all addresses in `ranges`, which are of one family. Ranges may
    /// overlap, repeat, and come in any order.
    pub fn new(ranges: &[IpNet]) -> Self {
        let mut ranges = IpNet::aggregate(&ranges.to_vec());
        ranges.sort_unstable();
        let parts: Vec<(Vec<u8>, [u8; 1])> = ranges
            .iter()
            .map(|range| (octets(range.network()), [range.prefix_len()]))
            .collect();
        let parts = parts
            .iter()
            .flat_map(|(address, length)| [&**address, length]);
        Self(Arc::new(Contents {
            digest: digest(parts),
            ranges: ranges.into(),
        }))
    }

    /// Whether it is a set in the table. An interval set takes 17 kB of kernel
    /// memory before it holds anything, and the kernel finds sets by walking a
    /// list of all; so a few ranges stand in the chain's rule instead, which has
    /// room for some 40 at the most (`NFT_RULE_MAXEXPRS`).
    pub fn is_set(&self) -> bool {
        self.0.ranges.len() > Self::IN_A_RULE
    }

    /// The ranges in ascending order, without overlaps; some may adjoin.
    pub fn ranges(&self) -> &[IpNet] {
        &self.0.ranges
    }

    /// Whether an address is in it.
    pub fn holds(&self, address: IpAddr) -> bool {
        let after = self
            .0
            .ranges
            .partition_point(|range| range.network() <= address);
        let before = after.checked_sub(1).and_then(|at| self.0.ranges.get(at));
        before.is_some_and(|range| range.contains(&address))
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

impl fmt::Display for SourceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sources-{}", self.0.digest)
    }
}

impl fmt::Debug for SourceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} of {} ranges", self.0.ranges.len())
    }
}

impl PartialEq for SourceSet {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for SourceSet {}

impl PartialOrd for SourceSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SourceSet {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.digest.cmp(&other.0.digest)
    }
}

impl Hash for SourceSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.digest.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[&str]) -> SourceSet {
        let ranges: Vec<IpNet> = ranges
            .iter()
            .map(|range| range.parse().expect("a range"))
            .collect();
        SourceSet::new(&ranges)
    }

    #[test]
    fn the_name_is_that_of_the_contents() {
        let one = set(&["10.0.0.0/8", "203.0.113.0/25"]);
        assert_eq!(one, set(&["203.0.113.0/25", "10.0.0.0/8", "10.1.0.0/16"]));
        assert_eq!(one.to_string().len(), "sources-".len() + 32);
        for other in [
            set(&["10.0.0.0/8"]),
            set(&["10.0.0.0/8", "203.0.113.0/26"]),
            set(&["10.0.0.0/9", "203.0.113.0/25"]),
            set(&["::a00:0/104", "203.0.113.0/25"]),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn it_holds_what_its_ranges_hold() {
        let set = set(&[
            "10.0.0.0/8",
            "198.18.0.0/15",
            "203.0.113.128/25",
            "255.255.255.255/32",
        ]);
        for (address, held) in [
            ("0.0.0.0", false),
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("198.19.255.255", true),
            ("203.0.113.127", false),
            ("203.0.113.255", true),
            ("255.255.255.254", false),
            ("255.255.255.255", true),
        ] {
            let own = address.parse().expect("an address");
            assert_eq!(set.holds(own), held, "{address}");
        }
        assert!(!super::SourceSet::new(&[]).holds([10, 0, 0, 1].into()));
    }
}
