//! Elements.

use crate::model::{EndpointAddr, Frontend};
use crate::nft::print::comment;
use crate::nft::ruleset::{Client, Element, Key, Value, Verdict};
use ipnet::IpNet;

/// An element as it stands in a set, for example `10.96.0.10 . udp . 53
/// comment "kube-system/kube-dns:dns" : goto cluster-2`.
pub fn element(element: &Element) -> String {
    let mut text = key(&element.key);
    if let Some(own) = &element.comment {
        text.push_str(&format!(" comment \"{}\"", comment(own)));
    }
    if let Some(own) = &element.value {
        text.push_str(" : ");
        text.push_str(&value(own));
    }
    text
}

/// A key, its fields joined by dots.
pub fn key(key: &Key) -> String {
    match key {
        Key::Address(address) => address.to_string(),
        Key::Frontend(own) => frontend(own),
        Key::Listed(index) => index.to_string(),
        Key::Indexed(own, index) => format!("{} . {index}", frontend(own)),
        Key::Hairpin(EndpointAddr { address, port }, protocol) => {
            format!("{address} . {address} . {protocol} . {port}")
        }
    }
}

/// A client in a set, for example `203.0.113.7 timeout 3h expires 2h59m12s`.
pub fn client(client: &Client) -> String {
    format!(
        "{} timeout {} expires {}",
        client.address,
        duration(client.timeout),
        duration(client.remaining)
    )
}

/// A range as nft lists it: one that holds a single address is that address.
pub fn prefix(range: &IpNet) -> String {
    if range.prefix_len() == range.max_prefix_len() {
        range.addr().to_string()
    } else {
        range.to_string()
    }
}

/// A value.
pub fn value(value: &Value) -> String {
    match value {
        Value::Verdict(own) => verdict(own),
        Value::Endpoint(EndpointAddr { address, port }) => format!("{address} . {port}"),
    }
}

/// A verdict.
pub(super) fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Drop => "drop".to_owned(),
        Verdict::Goto(chain) => format!("goto {chain}"),
        Verdict::Jump(chain) => format!("jump {chain}"),
    }
}

fn frontend(own: &Frontend) -> String {
    let Frontend {
        address,
        protocol,
        port,
    } = own;
    match address {
        Some(address) => format!("{address} . {protocol} . {port}"),
        None => format!("{protocol} . {port}"),
    }
}

/// A time as nft writes it, for example `1d2h3m4s`.
pub(super) fn duration(milliseconds: u64) -> String {
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
        (1, "ms"),
    ];
    let mut rest = milliseconds;
    let mut text = String::new();
    for (length, unit) in units {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    text
}
