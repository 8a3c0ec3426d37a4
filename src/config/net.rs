//! Addresses as upstream reads them: leading zeros in IPv4 are taken, as they
//! always were, and IPv4 written as IPv6 (`::ffff:a.b.c.d`) is IPv4, so that one
//! address is one value however it is written.

use ipnet::{IpNet, Ipv4Net};
use std::net::IpAddr;

/// An IP address; an IPv4 one that is mapped into IPv6 is an IPv4 one.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    Some(parse_as_written(text)?.to_canonical())
}

/// A range with its prefix length; bits of a host are cut off. One of mapped
/// IPv4 addresses is an IPv4 range: `::ffff:a.b.c.d/120` is `a.b.c.d/24`.
pub fn parse_cidr(text: &str) -> Option<IpNet> {
    const MAPPED: u8 = 96;
    let (address, length) = text.split_once('/')?;
    if !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let range = IpNet::new(parse_as_written(address)?, length.parse().ok()?).ok()?;
    let mapped = match (range.addr(), range.prefix_len().checked_sub(MAPPED)) {
        (IpAddr::V6(address), Some(length)) => address
            .to_ipv4_mapped()
            .and_then(|address| Ipv4Net::new(address, length).ok()),
        _ => None,
    };
    Some(mapped.map_or(range, IpNet::from).trunc())
}

fn parse_as_written(text: &str) -> Option<IpAddr> {
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => without_leading_zeros(text)?.parse().ok(),
    }
}

/// The same with leading zeros taken away from four numbers with dots, which
/// may stand behind the last colon of an IPv6 address.
fn without_leading_zeros(text: &str) -> Option<String> {
    let start = text.rfind(':').map_or(0, |colon| colon + 1);
    let (before, dotted) = text.split_at(start);
    let octets: Vec<&str> = dotted.split('.').collect();
    if octets.len() != 4 || octets.iter().any(|octet| octet.is_empty()) {
        return None;
    }
    let bare = |octet: &&str| match octet.trim_start_matches('0') {
        "" => "0".to_owned(),
        rest => rest.to_owned(),
    };
    let octets = octets.iter().map(bare).collect::<Vec<_>>().join(".");
    Some(format!("{before}{octets}"))
}

/// `host:port` at its last colon; brackets around an IPv6 host go.
pub fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    if let Some(inner) = host.strip_prefix('[') {
        return Some((inner.strip_suffix(']')?, port));
    }
    (!host.contains([':', '[', ']'])).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, address) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("010.000.0.01", Some("10.0.0.1")),
            ("fd00::1", Some("fd00::1")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("::ffff:010.0.000.001", Some("10.0.0.1")),
            ("::FFFF:0a00:0001", Some("10.0.0.1")),
            ("0:0:0:0:0:ffff:10.0.0.1", Some("10.0.0.1")),
            ("::10.0.0.1", Some("::10.0.0.1")),
            ("10.0.0.0x1", None),
            ("10.0.0.+1", None),
            ("10.0.0.1 ", None),
            ("", None),
            ("10.0.0", None),
            ("host", None),
        ] {
            let address = address.map(|text| text.parse().expect("an address"));
            assert_eq!(parse_ip(text), address, "{text}");
        }
        for (text, range) in [
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("010.0.0.0/08", Some("10.0.0.0/8")),
            ("fd00::/48", Some("fd00::/48")),
            ("fd00::1/48", Some("fd00::/48")),
            ("::ffff:10.1.2.3/120", Some("10.1.2.0/24")),
            ("::ffff:010.1.2.3/128", Some("10.1.2.3/32")),
            ("::ffff:0a01:203/104", Some("10.0.0.0/8")),
            ("::ffff:0.0.0.0/96", Some("0.0.0.0/0")),
            ("::ffff:10.1.2.3/95", Some("::fffe:0:0/95")),
            ("::ffff:10.1.2.3/129", None),
            ("::/0", Some("::/0")),
            ("10.0.0.0/33", None),
            ("10.0.0.0", None),
            ("10.0.0.0/+8", None),
            (" 10.0.0.0/8", None),
        ] {
            let range = range.map(|text| text.parse().expect("a range"));
            assert_eq!(parse_cidr(text), range, "{text}");
        }
        for (text, parts) in [
            ("10.0.0.1:80", Some(("10.0.0.1", "80"))),
            ("[::1]:80", Some(("::1", "80"))),
            ("::1", None),
            ("[::1]", None),
            ("host", None),
            (":80", Some(("", "80"))),
        ] {
            assert_eq!(split_host_port(text), parts, "{text}");
        }
    }
}
