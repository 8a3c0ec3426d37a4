//! Which nodes and pods have a box of their own.

use super::{NODES, NodeBox, PODS, Panel, PodBox};
use rules::advise::{Flows, Site};
use rules::model::TrafficPolicy;

/// The boxes, the same for both policies.
pub(super) struct Groups<'a> {
    site: &'a Site<'a>,
    /// Names of the nodes' boxes.
    nodes: Vec<String>,
    /// The box of each node of the site.
    node_box: Vec<usize>,
    /// Names of the pods' boxes, with the node's box that each belongs to, and how many pods.
    pods: Vec<(String, usize, usize)>,
    /// The box of each endpoint of the site; `None` if it does not count.
    pod_box: Vec<Option<usize>>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(site: &'a Site<'a>, flows: &[Flows; 2]) -> Self {
        let all = site.nodes.len();
        // Nodes with the most pods first, then those that get most.
        let mut order: Vec<usize> = (0..all).collect();
        let share = |at: usize| flows[0].shares.nodes[at].max(flows[1].shares.nodes[at]);
        order.sort_by(|left, right| {
            let pods = site.pods_on(*right).cmp(&site.pods_on(*left));
            pods.then(share(*right).total_cmp(&share(*left)))
                .then(left.cmp(right))
        });
        let mut own: Vec<usize> = order.iter().copied().take(NODES).collect();
        own.sort_unstable();
        let mut nodes: Vec<String> = own
            .iter()
            .map(|at| site.nodes[*at].name.to_string())
            .collect();
        let mut node_box = vec![nodes.len(); all];
        for (number, at) in own.iter().enumerate() {
            node_box[*at] = number;
        }
        if all > nodes.len() {
            nodes.push(format!("{} others", all - nodes.len()));
        }
        let mut groups = Self {
            site,
            nodes,
            node_box,
            pods: Vec::new(),
            pod_box: vec![None; site.endpoints()],
        };
        groups.sort_pods(flows);
        groups
    }

    fn sort_pods(&mut self, flows: &[Flows; 2]) {
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        let mut homeless = Vec::new();
        for number in 0..self.site.endpoints() {
            let gets = flows
                .iter()
                .any(|flows| flows.shares.endpoints[number] > 0.0);
            if !gets && !self.site.is_ready(number) {
                continue;
            }
            match self.site.node_of(number) {
                Some(at) => members[self.node_box[at]].push(number),
                None => homeless.push(number),
            }
        }
        if !homeless.is_empty() {
            self.nodes.push("no node".to_owned());
            members.push(homeless);
        }
        let with_pods = members.iter().filter(|own| !own.is_empty()).count();
        let each = (PODS / with_pods.max(1)).max(1);
        for (node, members) in members.into_iter().enumerate() {
            // One box more costs no more than one that says so.
            let shown = if members.len() <= each + 1 {
                members.len()
            } else {
                each
            };
            for number in &members[..shown] {
                self.pod_box[*number] = Some(self.pods.len());
                let address = self.site.address(*number).to_string();
                self.pods.push((address, node, 1));
            }
            let rest = &members[shown..];
            for number in rest {
                self.pod_box[*number] = Some(self.pods.len());
            }
            if !rest.is_empty() {
                self.pods
                    .push((format!("{} more", rest.len()), node, rest.len()));
            }
        }
    }

    pub(super) fn panel(&self, title: String, flows: &Flows) -> Panel {
        let shares = &flows.shares;
        let mut nodes: Vec<NodeBox> = self
            .nodes
            .iter()
            .map(|name| NodeBox {
                name: name.clone(),
                says: Some("no pod"),
                share: 0.0,
                serves: false,
            })
            .collect();
        for (at, number) in self.node_box.iter().enumerate() {
            let own = &mut nodes[*number];
            own.share += shares.nodes[at];
            own.serves |= shares.serves[at];
            own.says = match flows.policy {
                _ if own.serves => None,
                _ if !self.site.is_in_reach(at) => Some("not reached"),
                TrafficPolicy::Local if own.share > 0.0 => Some("drops"),
                TrafficPolicy::Local if self.site.is_checked() => Some("stops: 503"),
                _ => Some("no pod"),
            };
        }
        let fair = shares.spread(self.site).fair;
        let mut pods: Vec<PodBox> = self
            .pods
            .iter()
            .map(|(name, node, _)| PodBox {
                name: name.clone(),
                node: *node,
                share: 0.0,
                unfair: false,
            })
            .collect();
        for (number, pod) in self.pod_box.iter().enumerate() {
            if let Some(pod) = pod {
                pods[*pod].share += shares.endpoints[number];
                pods[*pod].unfair |= shares.endpoints[number] > 2.0 * fair + 1e-9;
            }
        }
        let mut sums = vec![0.0; nodes.len() * pods.len().max(1)];
        flows.each(self.site, |at, number, share| {
            if let Some(pod) = self.pod_box[number] {
                sums[self.node_box[at] * pods.len() + pod] += share;
            }
        });
        let bands = sums.iter().enumerate().filter(|(_, share)| **share > 0.0);
        let bands = bands.map(|(at, share)| (at / pods.len(), at % pods.len(), *share));
        Panel {
            title,
            bands: bands.collect(),
            nodes,
            pods,
            widest: Vec::new(),
            widest_nodes: Vec::new(),
        }
    }
}
