//! Boxes and bands as SVG, in the colours of the page around it.

use super::{Drawing, NodeBox, Panel, PodBox};
use crate::advise::words::percent;
use maud::{Markup, html};

/// In units of the drawing; some 0.8 of a pixel on a phone, 1.2 on a desk.
const WIDTH: f64 = 440.0;
/// What a share of 1 is wide.
const FULL: f64 = 96.0;
const GAP: f64 = 6.0;
const BLOCK_GAP: f64 = 12.0;
const LEAST_POD: f64 = 22.0;
const LEAST_NODE: f64 = 40.0;
const CLIENTS: (f64, f64) = (2.0, 52.0);
const BALANCER: (f64, f64) = (76.0, 58.0);
const NODE: (f64, f64) = (174.0, 92.0);
const POD: (f64, f64) = (306.0, 132.0);

/// A box's upper edge and height.
#[derive(Clone, Copy)]
struct Slot {
    y: f64,
    height: f64,
}

impl Slot {
    fn middle(self) -> f64 {
        self.y + self.height / 2.0
    }
}

/// Where all boxes are.
struct Layout {
    nodes: Vec<Slot>,
    pods: Vec<Slot>,
    height: f64,
}

/// Both panels as markup; nothing without endpoints and nodes.
pub(in crate::advise) fn svg(drawing: &Drawing) -> String {
    let panels = drawing.panels.iter().filter(|own| !own.nodes.is_empty());
    let markup = html! {
        div.panels { @for own in panels { div.panel { h3 { (own.title) } (panel(own)) } } }
    };
    markup.into_string()
}

fn layout(panel: &Panel) -> Layout {
    let mut nodes = Vec::new();
    let mut pods = vec![
        Slot {
            y: 0.0,
            height: 0.0
        };
        panel.pods.len()
    ];
    let mut y = 6.0;
    for number in 0..panel.nodes.len() {
        let own: Vec<usize> = (0..pods.len())
            .filter(|pod| panel.pods[*pod].node == number)
            .collect();
        let height = |pod: &usize| LEAST_POD.max(panel.widest[*pod] * FULL + 4.0);
        let gaps = own.len().saturating_sub(1) as f64 * GAP;
        let of_pods: f64 = own.iter().map(height).sum::<f64>() + gaps;
        let of_node = LEAST_NODE.max(panel.widest_nodes[number] * FULL + 4.0);
        let block = of_pods.max(of_node);
        nodes.push(Slot {
            y: y + (block - of_node) / 2.0,
            height: of_node,
        });
        let mut at = y + (block - of_pods) / 2.0;
        for pod in own {
            let height = height(&pod);
            pods[pod] = Slot { y: at, height };
            at += height + GAP;
        }
        y += block + BLOCK_GAP;
    }
    Layout {
        nodes,
        pods,
        height: y.max(FULL + 40.0),
    }
}

fn panel(panel: &Panel) -> Markup {
    let layout = layout(panel);
    let middle = layout.height / 2.0;
    let view = format!("0 0 {WIDTH} {:.0}", layout.height);
    let sent: f64 = panel.nodes.iter().map(|node| node.share).sum();
    let top = middle - sent * FULL / 2.0;
    html! {
        svg viewBox=(view) role="img" aria-label=(panel.title) {
            (band((CLIENTS.0 + CLIENTS.1, middle), (BALANCER.0, middle), sent, ""))
            (from_balancer(panel, &layout, top))
            (to_pods(panel, &layout))
            (source_box(CLIENTS, middle, "clients"))
            (source_box(BALANCER, middle, "balancer"))
            @for (own, slot) in panel.nodes.iter().zip(&layout.nodes) { (node_box(own, *slot)) }
            @for (own, slot) in panel.pods.iter().zip(&layout.pods) { (pod_box(own, *slot)) }
        }
    }
}

/// Where all connections are.
fn source_box((x, width): (f64, f64), middle: f64, name: &str) -> Markup {
    html! {
        rect.box x=(x) y=(number(middle - FULL / 2.0 - 6.0)) width=(width)
            height=(number(FULL + 12.0)) rx="6" {}
        text.small x=(x + width / 2.0) y=(number(middle + 4.0)) text-anchor="middle" { (name) }
    }
}

fn number(value: f64) -> String {
    format!("{value:.1}")
}

/// A band from one point to another, everywhere as high as its share.
fn band(from: (f64, f64), to: (f64, f64), share: f64, class: &str) -> Markup {
    let bend = (from.0 + to.0) / 2.0;
    let half = (share * FULL / 2.0).max(0.4);
    let (top, bottom) = (from.1 - half, from.1 + half);
    let (end_top, end_bottom) = (to.1 - half, to.1 + half);
    let path = format!(
        "M{x:.1} {top:.1}C{bend:.1} {top:.1} {bend:.1} {end_top:.1} {end:.1} {end_top:.1}\
         V{end_bottom:.1}C{bend:.1} {end_bottom:.1} {bend:.1} {bottom:.1} {x:.1} {bottom:.1}Z",
        x = from.0,
        end = to.0,
    );
    html! {
        @if share > 0.0 { path.band.(class) d=(path) {} }
    }
}

fn from_balancer(panel: &Panel, layout: &Layout, top: f64) -> Markup {
    let mut y = top;
    let bands = panel.nodes.iter().zip(&layout.nodes).map(|(own, slot)| {
        let from = (BALANCER.0 + BALANCER.1, y + own.share * FULL / 2.0);
        y += own.share * FULL;
        let class = if own.serves { "" } else { "lost" };
        band(from, (NODE.0, slot.middle()), own.share, class)
    });
    let bands: Vec<Markup> = bands.collect();
    html! { @for own in bands { (own) } }
}

/// Bands leave a node in the order of the pods, and come to a pod in the order of the nodes.
fn to_pods(panel: &Panel, layout: &Layout) -> Markup {
    let start = |slot: &Slot, share: f64| slot.middle() - share * FULL / 2.0;
    let sent = |number: usize| -> f64 {
        let own = panel.bands.iter().filter(|own| own.0 == number);
        own.map(|own| own.2).sum()
    };
    let nodes = layout.nodes.iter().enumerate();
    let mut leave: Vec<f64> = nodes
        .map(|(number, slot)| start(slot, sent(number)))
        .collect();
    let pods = layout.pods.iter().zip(&panel.pods);
    let mut arrive: Vec<f64> = pods.map(|(slot, own)| start(slot, own.share)).collect();
    let bands = panel.bands.iter().map(|(node, pod, share)| {
        let half = share * FULL / 2.0;
        let from = (NODE.0 + NODE.1, leave[*node] + half);
        let to = (POD.0, arrive[*pod] + half);
        leave[*node] += share * FULL;
        arrive[*pod] += share * FULL;
        let crosses = panel.pods[*pod].node != *node;
        band(from, to, *share, if crosses { "hop" } else { "" })
    });
    let bands: Vec<Markup> = bands.collect();
    html! { @for own in bands { (own) } }
}

/// A node's name without the domain that all have.
fn first_label(name: &str) -> &str {
    match name.parse::<std::net::IpAddr>() {
        Ok(_) => name,
        Err(_) => name.split('.').next().unwrap_or(name),
    }
}

/// At the end of a name is what differs.
fn short(name: &str, most: usize) -> String {
    let count = name.chars().count();
    if count <= most {
        return name.to_owned();
    }
    let end: String = name.chars().skip(count + 1 - most).collect();
    format!("…{end}")
}

fn node_box(own: &NodeBox, slot: Slot) -> Markup {
    let class = if own.serves { "" } else { "off" };
    let middle = NODE.0 + NODE.1 / 2.0;
    let says = match own.says {
        Some(says) => says.to_owned(),
        None => percent(own.share),
    };
    html! {
        g.(class) {
            title { (own.name) ": " (says) }
            rect.box x=(NODE.0) y=(number(slot.y)) width=(NODE.1) height=(number(slot.height))
                rx="4" {}
            text x=(middle) y=(number(slot.middle() - 3.0)) text-anchor="middle" {
                (short(first_label(&own.name), 13))
            }
            text.small x=(middle) y=(number(slot.middle() + 12.0)) text-anchor="middle" { (says) }
        }
    }
}

fn pod_box(own: &PodBox, slot: Slot) -> Markup {
    let class = match () {
        () if own.unfair => "unfair",
        () if own.share > 0.0 => "",
        () => "off",
    };
    let base = number(slot.middle() + 4.5);
    html! {
        g.(class) {
            title { (own.name) ": " (percent(own.share)) }
            rect.box x=(POD.0) y=(number(slot.y)) width=(POD.1) height=(number(slot.height))
                rx="4" {}
            text.pod x=(POD.0 + 7.0) y=(base) { (short(&own.name, 12)) }
            text.pod x=(POD.0 + POD.1 - 7.0) y=(base) text-anchor="end" { (percent(own.share)) }
        }
    }
}
