//! What chains mean.

use super::excerpt::Excerpt;
use crate::model::Frontend;
use crate::nft::base;
use crate::nft::ruleset::{ChainId, Key, PortChain, PortKind, PortRole, SetId, Value, Verdict};

/// The chain that serves a frontend, and in words what becomes of connections to it.
pub fn serving(excerpt: &Excerpt, frontend: &Frontend) -> (Option<String>, String) {
    let key = Key::Frontend(*frontend);
    let verdict = |set| match &excerpt.element(set, &key)?.value {
        Some(Value::Verdict(verdict)) => Some(verdict.clone()),
        _ => None,
    };
    let (services, nobody) = match frontend.address {
        Some(_) => (SetId::Services, SetId::NoEndpoints),
        None => (SetId::Nodeports, SetId::NodeportNoEndpoints),
    };
    let chain = |verdict| match verdict {
        Verdict::Goto(chain) | Verdict::Jump(chain) => Some(chain),
        _ => None,
    };
    let (name, mut text) = match (verdict(services), verdict(nobody)) {
        (Some(verdict), _) | (None, Some(verdict)) => match chain(verdict) {
            Some(chain) => (Some(chain.to_string()), meaning(&chain)),
            None => {
                let text = "drops it: the policy is Local, and no endpoint is on this node";
                (None, text.to_owned())
            }
        },
        (None, None) => (None, "nothing: no element has it".to_owned()),
    };
    if let Some(sources) = verdict(SetId::SourceChecked).and_then(chain) {
        text = format!("{}, and then {text}", meaning(&sources));
    }
    (name, text)
}

/// What the chain of a frontend does with a new connection, in words.
pub fn meaning(chain: &ChainId) -> String {
    match chain {
        ChainId::Cluster {
            endpoints,
            masquerade,
            ..
        } => {
            let one = one_of(*endpoints, "");
            match masquerade {
                true => format!("gives the connection the node's address and sends it to {one}"),
                false => format!("sends it to {one}"),
            }
        }
        ChainId::Local { endpoints, .. } => {
            format!("sends it to {}", one_of(*endpoints, " on this node"))
        }
        ChainId::ExternalLocal { local, all, .. } => external_local(
            &one_of(*all, ""),
            &one_of(*local, " on this node"),
            *local == 0,
        ),
        ChainId::Sources(sources) => format!(
            "drops what does not come from {}",
            match sources.ranges() {
                [one] => one.to_string(),
                all => format!("one of {} ranges", all.len()),
            }
        ),
        ChainId::Port(chain) => of_port(chain),
        id if *id == base::REJECT => {
            "refuses it, as there is no endpoint: ICMP port unreachable".to_owned()
        }
        id if *id == base::DROP => {
            "drops it: the policy is Local, and no endpoint is on this node".to_owned()
        }
        ChainId::Fixed(name) => format!("goes on in {name}"),
    }
}

fn one_of(count: u32, where_: &str) -> String {
    match count {
        1 => format!("the only endpoint{where_}"),
        count => format!("one of {count} endpoints{where_} at random"),
    }
}

fn external_local(all: &str, local: &str, none: bool) -> String {
    let outside = match none {
        true => "drops it, as none is on this node".to_owned(),
        false => format!("sends it to {local}, with the client's address"),
    };
    format!("of pods and this node, sends it to {all}; of clients outside, {outside}")
}

fn of_port(chain: &PortChain) -> String {
    let how = match chain.kind {
        PortKind::Affinity => "the endpoint that the client had last, or else a random one",
        PortKind::List => "one of the port's endpoints, from its list in port-endpoints",
    };
    match &chain.role {
        PortRole::Cluster => format!("sends it to {how}"),
        PortRole::Local => format!("sends it to {how}, on this node"),
        PortRole::Masquerade => {
            format!("gives the connection the node's address and sends it to {how}")
        }
        PortRole::ExternalLocal => external_local(how, &format!("{how}, on this node"), false),
        PortRole::Endpoint(backend) => {
            format!("sends it to {}:{}", backend.address, backend.port)
        }
    }
}
