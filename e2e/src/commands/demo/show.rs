//! What the demo prints.

use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use e2e::{Bed, Node, Pod};

use crate::demo::explain::{Explained, Said, flags, service};
use crate::demo::listing::excerpt;
use crate::demo::measure::{CONNECTIONS, Phase};
use crate::demo::policy::{POLICIES, Policy};
use crate::demo::{LOSER, Noticed};

/// Standard output, in colours if it is a terminal.
pub(crate) struct Screen {
    colours: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        match self.colours {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    fn title(&self, text: &str) {
        println!("\n{}\n", self.paint("1", text));
    }

    /// The picture of what is measured.
    pub(crate) fn introduce(&self, bed: &Bed, pods: &[Pod]) {
        self.title("externalTrafficPolicy, measured");
        for (index, node) in bed.nodes().iter().enumerate() {
            let on_node = pods.iter().filter(|pod| pod.node() == node.name());
            let names: Vec<_> = on_node.map(Pod::name).collect();
            let branch = match index {
                0 => "                                           ┌─",
                1 => "  client 203.0.113.10 ─── load balancer ───┼─",
                _ => "                                           └─",
            };
            println!(
                "{branch} {} {} │ {}",
                self.paint("1", node.name()),
                node.addresses().v4,
                names.join(" ")
            );
        }
        println!();
        for policy in POLICIES {
            println!(
                "  Service {:<13} externalTrafficPolicy: {:<8} http://{}:{}  health check on port {}",
                policy.service,
                policy.name,
                policy.address().v4,
                Policy::PORT,
                policy.health_port
            );
        }
    }

    /// Every pod's share, by policy.
    pub(crate) fn shares(&self, phase: &Phase, pods: &[&Pod]) {
        self.title(&format!(
            "Who got the {} connections of each policy, and whom did it see?",
            thousands(CONNECTIONS)
        ));
        self.table(phase, pods);
        println!();
        for policy in POLICIES {
            let meaning = match phase.preserved(policy) {
                true => "the client's own address reaches the pod",
                false => "the pod sees a node's address instead of the client's",
            };
            println!("  {:<8} {meaning}", policy.name);
        }
    }

    /// The same once a node has no pod any more.
    pub(crate) fn shares_after(&self, phase: &Phase, pods: &[&Pod]) {
        self.title(&format!(
            "The next {} connections of each policy, without {LOSER}'s pod",
            thousands(CONNECTIONS)
        ));
        self.table(phase, pods);
    }

    fn table(&self, phase: &Phase, pods: &[&Pod]) {
        let dim = |text: &str| self.paint("2", text);
        println!(
            "  {:<7} {:<8} │ {:<45} │ policy Local",
            "", "", "policy Cluster"
        );
        let columns = format!("{:>8}  {:<13} {}", "measured", "expected", "client seen as");
        println!("  {:<7} {:<8} │ {columns:<45} │ {columns}", "node", "pod");
        println!("  {}", dim(&format!("{0:─<17}┼{0:─<47}┼{0:─<39}", "")));
        for pod in pods {
            let [cluster, local] = POLICIES.map(|policy| self.cell(phase, policy, pod, pods));
            println!(
                "  {:<7} {:<8} │ {cluster} │ {local}",
                pod.node(),
                pod.name()
            );
        }
    }

    fn cell(&self, phase: &Phase, policy: Policy, pod: &Pod, pods: &[&Pod]) -> String {
        let tally = phase.tally(policy);
        let due = policy.expected(pod, pods);
        let expected = format!("1/{due} {:>4.1} %", 100.0 / f64::from(due));
        let share = format!("{:>6.1} %", 100.0 * tally.share(pod.name()));
        let seen = abridge(&tally.seen_by(pod.name()));
        let padding = if policy.preserves() { 0 } else { 21 };
        let share = self.paint("36", &share);
        format!("{share}  {expected:<13} {seen:<padding$}")
    }

    /// Every node's health check, before and after.
    pub(crate) fn health(&self, before: &Phase, after: &Phase, noticed: Noticed) {
        self.title(&format!("{LOSER} loses its pod"));
        let port = POLICIES[1].health_port;
        println!(
            "  {:<7} │ GET :{port}/healthz (policy Local's healthCheckNodePort)",
            "node"
        );
        println!("  {}", self.paint("2", &format!("{0:─<8}┼{0:─<52}", "")));
        for node in before.health.keys() {
            let answer = |phase: &Phase| match phase.health.get(node) {
                Some(200) => self.paint("32", "200"),
                Some(status) => self.paint("33", &status.to_string()),
                None => self.paint("31", "none"),
            };
            println!(
                "  {node:<7} │ {} before, {} after",
                answer(before),
                answer(after)
            );
        }
        println!(
            "\n  {LOSER} said so after {}, the load balancer had taken it out after {}.",
            milliseconds(noticed.by_node),
            milliseconds(noticed.by_balancer)
        );
    }

    /// The rules of `node`, as far as a connection meets them.
    pub(crate) fn look(&self, listing: &str, node: &Node) {
        self.title(&format!(
            "Where to look: nft list table ip kube-proxy (on {})",
            node.name()
        ));
        for line in excerpt(listing) {
            println!("  {}", line.strip_prefix("    ").unwrap_or(&line));
        }
    }

    /// What the program says of it.
    pub(crate) fn explained(&self, explained: &Explained) {
        for Said { command, lines } in &explained.said {
            self.title(&format!("It explains itself: node-2 $ {command}"));
            for line in lines {
                println!("{}", format!("  {line}").trim_end());
            }
        }
    }

    /// The last word.
    pub(crate) fn verdict(&self, problems: &[String], reports: [&Path; 2], took: Duration) {
        let [page, data] = reports;
        println!();
        for problem in problems {
            println!("  {} {problem}", self.paint("31", "off:"));
        }
        let verdict = match problems.len() {
            0 => self.paint("32", "Every figure is as expected."),
            1 => self.paint("31", "1 figure is off."),
            count => self.paint("31", &format!("{count} figures are off.")),
        };
        println!(
            "  {verdict} It took {:.0} s.\n\n  For a browser, with a picture: {}\n  As data: {}\n",
            took.as_secs_f64(),
            self.paint("1", &page.display().to_string()),
            data.display()
        );
    }

    /// How to have them longer.
    pub(crate) fn gone(&self) {
        println!(
            "  The nodes are gone now. {} keeps them until Enter, to look around in.\n",
            self.paint("1", "make demo KEEP=1")
        );
    }

    /// How to look around while the bed is kept.
    pub(crate) fn kept(&self, bed: &Bed, manifests: &Path) {
        self.title("Kept until Enter or Ctrl-C. In another terminal:");
        for node in bed.nodes() {
            println!(
                "  ip netns exec {} nft list ruleset",
                node.namespace().name()
            );
        }
        let node = &bed.nodes()[1];
        let flags = flags(node.name(), &manifests.display().to_string()).join(" ");
        println!(
            "  ip netns exec {} {} explain {} {flags}",
            node.namespace().name(),
            e2e::binary().map_or_else(
                |_| "kube-proxy".to_owned(),
                |path| path.display().to_string()
            ),
            service(),
        );
        let [cluster, local] = POLICIES;
        let node = bed.nodes()[0].addresses().v4;
        let client = bed.client().name();
        println!(
            "  ip netns exec {client} nc {} {}\n  \
             ip netns exec {client} nc {} {}\n  \
             ip netns exec {client} curl -i http://{node}:{}/healthz\n  \
             $EDITOR {}/endpointslices.json   # the daemons follow\n",
            cluster.address().v4,
            Policy::PORT,
            local.address().v4,
            Policy::PORT,
            local.health_port,
            manifests.display()
        );
    }
}

/// Addresses in the space of one: the later ones by their last part.
fn abridge(addresses: &[IpAddr]) -> String {
    let mut shown = String::new();
    for address in addresses {
        let text = address.to_string();
        match (shown.is_empty(), text.rsplit_once(['.', ':'])) {
            (false, Some((_, last))) => shown += &format!(" .{last}"),
            _ => shown += &text,
        }
    }
    shown
}

fn milliseconds(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

fn thousands(count: u32) -> String {
    format!("{},{:03}", count / 1000, count % 1000)
}
