//! Links and routes that the beds don't have by themselves.

use anyhow::Result;
use e2e::address::{CONTROL, Pair, node, pod_cidrs};
use e2e::{Bed, Namespace, ip, veth};

/// Joins node-1 to the API server's namespace by a link that nothing else uses.
pub(super) fn connect(bed: &Bed, control: &Namespace, number: u8) -> Result<()> {
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
/// that with an ICMP error of a kind that no proxy sends.
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
        "table inet untranslated {{\nchain forward {{\n\
         type filter hook forward priority filter; policy accept;\n\
         iifname eth0 ip daddr {{ {} }} reject with icmp type host-prohibited\n\
         iifname eth0 ip6 daddr {{ {} }} reject with icmpv6 type admin-prohibited\n\
         }}\n}}\n",
        V4.join(", "),
        V6.join(", ")
    ))
}
