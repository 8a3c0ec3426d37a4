//! Links and routes that the beds don't have by themselves.

use anyhow::Result;
use e2e::address::{CONTROL, Pair, node, pod_cidrs};
use e2e::{Bed, Namespace, Node, Pod, ip, veth};

use crate::conformance::spec::SECOND_ADDRESSES;

/// The bridge that node-1's pods may be on.
const BRIDGE: &str = "cni0";

/// Joins node-1 to the API server's namespace by a link that nothing else uses.
pub(crate) fn connect(bed: &Bed, control: &Namespace, number: u8) -> Result<()> {
    let node = bed.nodes()[0].namespace();
    let link = format!("bed{number}");
    veth((control, &link), (node, "api"))?;
    ip(
        control,
        &format!("address add 169.254.{number}.1/30 dev {link}"),
    )?;
    // More specific than the underlay's route, where the bed has no API server.
    ip(
        node,
        &format!(
            "address add 169.254.{number}.2/30 dev api\n\
             route add {}/32 via 169.254.{number}.1",
            CONTROL.v4
        ),
    )
}

/// Brings what is sent to Services to node-1 from everywhere, as if it announced their
/// addresses. What node-1 forwards as it came in has failed to be translated: the router answers
/// that with an ICMP error of a kind that no proxy sends. Of TCP that is a SYN only: a segment
/// that is late is invalid to conntrack, which shows it to no chain of type nat, whoever's.
pub(super) fn route(bed: &Bed) -> Result<()> {
    const V4: [&str; 3] = ["10.96.0.0/16", "198.51.100.0/24", "192.0.2.0/24"];
    const V6: [&str; 3] = ["fd00:10:96::/112", "2001:db8:100::/64", "2001:db8:2::/64"];
    let Pair { v4, v6 } = node(1);
    let routes: Vec<_> = V4
        .map(|range| format!("route add {range} via {v4}"))
        .into_iter()
        .chain(V6.map(|range| format!("-6 route add {range} via {v6}")))
        .collect();
    let router = bed.balancer().namespace();
    for namespace in [router, bed.nodes()[1].namespace()] {
        ip(namespace, &routes.join("\n"))?;
    }
    // The way back to pods, whose packets leave their node as they are.
    for node in bed.nodes() {
        let Pair { v4, v6 } = node.addresses();
        let [pods4, pods6] = pod_cidrs(node.number());
        let script = format!("route add {pods4} via {v4}\n-6 route add {pods6} via {v6}");
        ip(router, &script)?;
    }
    router.nft(&format!(
        "table inet untranslated {{\nchain refuse {{\n\
         tcp flags & (fin | syn | rst | ack) != syn drop\n\
         meta nfproto ipv4 reject with icmp type host-prohibited\n\
         meta nfproto ipv6 reject with icmpv6 type admin-prohibited\n\
         }}\nchain forward {{\n\
         type filter hook forward priority filter; policy accept;\n\
         iifname eth0 ip daddr {{ {v4} }} jump refuse\n\
         iifname eth0 ip6 daddr {{ {v6} }} jump refuse\n\
         }}\n}}\n",
        v4 = V4.join(", "),
        v6 = V6.join(", ")
    ))
}

/// Gives node-1 a second address of each family, which the router knows.
pub(crate) fn second_addresses(bed: &Bed) -> Result<()> {
    let Pair { v4, v6 } = SECOND_ADDRESSES;
    // Behind the primary address, and deprecated: the kernel masquerades with the primary one.
    let script = format!(
        "address add {v4}/32 dev eth0\n-6 address add {v6}/128 dev eth0 nodad preferred_lft 0"
    );
    ip(bed.nodes()[0].namespace(), &script)?;
    let by = node(1);
    let script = format!(
        "route add {v4} via {}\n-6 route add {v6} via {}",
        by.v4, by.v6
    );
    ip(bed.balancer().namespace(), &script)
}

/// Puts these pods of a node on a bridge, or back on links of their own.
pub(super) fn bridge(node: &Node, pods: &[&Pod], on: bool) -> Result<()> {
    let namespace = node.namespace();
    if on {
        ip(
            namespace,
            &format!(
                "link add {BRIDGE} type bridge mcast_snooping 0\nlink set {BRIDGE} up\n\
                 -6 address add fe80::1/64 dev {BRIDGE} nodad"
            ),
        )?;
        namespace.sysctls(&[
            (&format!("net/ipv4/conf/{BRIDGE}/proxy_arp"), "1"),
            (&format!("net/ipv4/neigh/{BRIDGE}/proxy_delay"), "0"),
        ])?;
    }
    for pod in pods {
        let (link, Pair { v4, v6 }) = (pod.link(), pod.addresses());
        let (master, device) = match on {
            true => (format!("master {BRIDGE}"), BRIDGE),
            false => ("nomaster".to_owned(), link.as_str()),
        };
        ip(
            namespace,
            &format!(
                "link set {link} {master}\nroute replace {v4} dev {device}\n\
                 -6 route replace {v6} dev {device}"
            ),
        )?;
        // What it knows as its gateway's hardware address is another port's now.
        ip(pod.namespace(), "neigh flush dev eth0")?;
    }
    if !on {
        ip(namespace, &format!("link delete {BRIDGE}"))?;
    }
    Ok(())
}

/// Lets a pod answer for a whole range of addresses, and node-1 know where it is.
pub(super) fn range(bed: &Bed, node: &Node, pod: &Pod, [v4, v6]: [&str; 2]) -> Result<()> {
    let local = format!("route add local {v4} dev lo\n-6 route add local {v6} dev lo");
    ip(pod.namespace(), &local)?;
    let via = |addresses: Pair, more: &str| {
        format!(
            "route add {v4} via {} {more}\n-6 route add {v6} via {} {more}",
            addresses.v4, addresses.v6
        )
    };
    let link = format!("dev {} onlink", pod.link());
    ip(node.namespace(), &via(pod.addresses(), &link))?;
    let first = &bed.nodes()[0];
    if node.number() != first.number() {
        ip(first.namespace(), &via(node.addresses(), ""))?;
    }
    Ok(())
}
