//! Addresses as upstream reads them: leading zeros in IPv4 are taken, as they always were.

use ipnet::IpNet;
use std::net::IpAddr;

/// An IP address; an IPv4 one that is mapped into IPv6 is an IPv4 one.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    let address: IpAddr = match text.parse() {
        Ok(address) => address,
        Err(_) => without_leading_zeros(text)?.parse().ok()?,
    };
    Some(address.to_canonical())
}

/// A range with its prefix length; bits of a host are cut off.
pub fn parse_cidr(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    if !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let address: IpAddr = match address.parse() {
        Ok(address) => address,
        Err(_) => without_leading_zeros(address)?.parse().ok()?,
    };
    let range = IpNet::new(address, length.parse().ok()?).ok()?;
    Some(range.trunc())
}

fn without_leading_zeros(text: &str) -> Option<String> {
    let octets: Vec<&str> = text.split('.').collect();
    if octets.len() != 4 || octets.iter().any(|octet| octet.is_empty()) {
        return None;
    }
    let bare = |octet: &&str| match octet.trim_start_matches('0') {
        "" => "0".to_owned(),
        rest => rest.to_owned(),
    };
    Some(octets.iter().map(bare).collect::<Vec<_>>().join("."))
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
