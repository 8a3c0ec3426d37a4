//! This node's object, and what it told before it was emptied or deleted.
//!
//! A kubelet that registers anew, or a cloud provider that has not filled in
//! the addresses yet, leaves a Node without what the rules need. Upstream exits
//! then and waits for a better one; here the old values stay in force.

use crate::model::Node;

/// This node: as it is, and as it was last known.
#[derive(Debug, Default)]
pub(super) struct OwnNode {
    now: Option<Node>,
    last: Option<Node>,
    /// What was said last, to say it once.
    said: Option<NodeNotice>,
}

/// What an operator should know about this node's object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeNotice {
    /// It no longer tells all that it told; in words, what stays in force.
    Kept(String),
    /// It tells all of it again.
    Restored,
}

impl OwnNode {
    /// The object as it is; `None` while there is none.
    pub(super) fn now(&self) -> Option<&Node> {
        self.now.as_ref()
    }

    /// The object as it was last seen, with what it told before and tells no
    /// longer; `None` before the first one.
    pub(super) fn last(&self) -> Option<&Node> {
        self.last.as_ref()
    }

    /// Takes in another object, or that there is none; yields the former one.
    pub(super) fn replace(
        &mut self,
        node: Option<Node>,
        notice: &mut Option<NodeNotice>,
    ) -> Option<Node> {
        let old = std::mem::replace(&mut self.now, node);
        let found = match (&self.now, self.last.take()) {
            (None, None) => None,
            (None, Some(last)) => {
                self.last = Some(last);
                Some(
                    "this node's Node object is gone; its last addresses and ranges stay in force"
                        .to_owned(),
                )
            }
            (Some(now), None) => {
                self.last = Some(now.clone());
                None
            }
            (Some(now), Some(last)) => {
                let (now, kept) = now.clone().keeping(&last);
                self.last = Some(now);
                (!kept.is_empty()).then(|| {
                    format!(
                        "this node's Node object has lost: {}; the last known stay in force",
                        kept.join(", ")
                    )
                })
            }
        };
        let found = found.map(NodeNotice::Kept);
        if found != self.said {
            *notice = Some(found.clone().unwrap_or(NodeNotice::Restored));
            self.said = found;
        }
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet::IpNet;
    use std::net::IpAddr;

    fn node(addresses: &[&str], pod_cidrs: &[&str]) -> Node {
        let ip = |text: &&str| text.parse::<IpAddr>().expect("an address");
        let range = |text: &&str| text.parse::<IpNet>().expect("a range");
        Node {
            addresses: addresses.iter().map(ip).collect(),
            pod_cidrs: pod_cidrs.iter().map(range).collect(),
            ..Node::default()
        }
    }

    /// The node after these objects, and what was said at the last one.
    fn after(objects: &[Option<Node>]) -> (Option<Node>, Option<NodeNotice>) {
        let mut own = OwnNode::default();
        let mut notice = None;
        for object in objects {
            notice = None;
            own.replace(object.clone(), &mut notice);
        }
        (own.last().cloned(), notice)
    }

    fn kept(notice: Option<&NodeNotice>) -> &str {
        match notice {
            Some(NodeNotice::Kept(text)) => text,
            other => panic!("nothing is kept: {other:?}"),
        }
    }

    #[test]
    fn what_a_node_loses_is_kept_family_by_family() {
        let both = || {
            Some(node(
                &["192.0.2.1", "2001:db8::1"],
                &["10.0.1.0/24", "fd00:1::/64"],
            ))
        };
        type Row = (&'static str, Node, Node, &'static str);
        let rows: [Row; 6] = [
            (
                "all of it",
                node(&[], &[]),
                node(
                    &["192.0.2.1", "2001:db8::1"],
                    &["10.0.1.0/24", "fd00:1::/64"],
                ),
                "IPv4 address 192.0.2.1, IPv6 address 2001:db8::1, \
                 IPv4 podCIDR 10.0.1.0/24, IPv6 podCIDR fd00:1::/64",
            ),
            (
                "the addresses",
                node(&[], &["10.0.1.0/24", "fd00:1::/64"]),
                node(
                    &["192.0.2.1", "2001:db8::1"],
                    &["10.0.1.0/24", "fd00:1::/64"],
                ),
                "IPv4 address 192.0.2.1, IPv6 address 2001:db8::1",
            ),
            (
                "the ranges",
                node(&["192.0.2.1", "2001:db8::1"], &[]),
                node(
                    &["192.0.2.1", "2001:db8::1"],
                    &["10.0.1.0/24", "fd00:1::/64"],
                ),
                "IPv4 podCIDR 10.0.1.0/24, IPv6 podCIDR fd00:1::/64",
            ),
            (
                "IPv6",
                node(&["192.0.2.1"], &["10.0.1.0/24"]),
                node(
                    &["192.0.2.1", "2001:db8::1"],
                    &["10.0.1.0/24", "fd00:1::/64"],
                ),
                "IPv6 address 2001:db8::1, IPv6 podCIDR fd00:1::/64",
            ),
            (
                "IPv4, and the other address is another one",
                node(&["2001:db8::2"], &["10.0.2.0/24", "fd00:1::/64"]),
                node(
                    &["2001:db8::2", "192.0.2.1"],
                    &["10.0.2.0/24", "fd00:1::/64"],
                ),
                "IPv4 address 192.0.2.1",
            ),
            (
                "IPv4 ranges, while its address changes",
                node(&["192.0.2.9", "2001:db8::1"], &["fd00:1::/64"]),
                node(
                    &["192.0.2.9", "2001:db8::1"],
                    &["fd00:1::/64", "10.0.1.0/24"],
                ),
                "IPv4 podCIDR 10.0.1.0/24",
            ),
        ];
        for (what, now, wanted, said) in rows {
            for between in [None, Some(None)] {
                let mut objects = vec![both()];
                objects.extend(between);
                objects.push(Some(now.clone()));
                let (last, notice) = after(&objects);
                assert_eq!(last.as_ref(), Some(&wanted), "{what}");
                assert!(kept(notice.as_ref()).contains(said), "{what}: {notice:?}");
            }
        }
    }

    #[test]
    fn a_node_that_only_changes_is_believed() {
        let first = || Some(node(&["192.0.2.1"], &["10.0.1.0/24"]));
        let other = node(&["192.0.2.2"], &["10.0.2.0/24"]);
        assert_eq!(after(&[first(), Some(other.clone())]), (Some(other), None));
    }

    #[test]
    fn it_is_said_once_and_taken_back() {
        let whole = || Some(node(&["192.0.2.1"], &["10.0.1.0/24"]));
        let empty = || Some(node(&[], &[]));
        let (last, notice) = after(&[whole(), empty(), empty()]);
        assert_eq!((last, notice), (whole(), None), "not again");
        let (last, notice) = after(&[whole(), empty(), whole()]);
        assert_eq!((last, notice), (whole(), Some(NodeNotice::Restored)));
        let (last, notice) = after(&[whole(), None]);
        assert!(kept(notice.as_ref()).contains("is gone"), "{notice:?}");
        assert_eq!(last, whole());
        let (last, notice) = after(&[whole(), None, whole()]);
        assert_eq!((last, notice), (whole(), Some(NodeNotice::Restored)));
        assert_eq!(after(&[None]), (None, None));
        assert_eq!(after(&[empty(), None]).0, empty());
    }
}
