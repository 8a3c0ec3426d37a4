//! Addresses and ports by themselves.

use super::super::{address, port};

#[test]
fn addresses_are_read_as_leniently_as_upstream_does() {
    for (text, read) in [
        ("10.96.0.10", Some("10.96.0.10")),
        ("010.096.000.010", Some("10.96.0.10")),
        ("fd00:10:96::a", Some("fd00:10:96::a")),
        ("FD00:0010:0096:0:0:0:0:000A", Some("fd00:10:96::a")),
        ("::ffff:10.96.0.10", Some("10.96.0.10")),
        ("", None),
        ("None", None),
        ("10.96.0", None),
        ("10.96.0.", None),
        ("10.96.0.10.1", None),
        ("10.96.0.256", None),
        ("10.96.0.+1", None),
        ("10.96.0.0x1", None),
        (" 10.96.0.10", None),
        ("10.96.0.10/32", None),
        ("fe80::1%eth0", None),
        ("pod.example", None),
    ] {
        let found = address(text).map(|ip| ip.to_string());
        assert_eq!(found.as_deref(), read, "{text:?}");
    }
}

#[test]
fn ports_go_from_1_to_65535() {
    for (number, read) in [
        (1, Some(1)),
        (65535, Some(65535)),
        (0, None),
        (-1, None),
        (65536, None),
        (65537, None),
        (i32::MAX, None),
    ] {
        let mut problems = Vec::new();
        assert_eq!(port(format_args!("port"), number, &mut problems), read);
        let said: Vec<String> = if read.is_some() {
            Vec::new()
        } else {
            vec![format!("port: {number} is not a port (1 to 65535)")]
        };
        assert_eq!(problems, said);
    }
}
