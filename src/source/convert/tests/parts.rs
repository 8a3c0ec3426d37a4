//! Ports, lists and problems by themselves; addresses have tests where they are read.

use super::super::{Converted, addresses, port};

#[test]
fn an_address_is_one_however_it_is_written() {
    let texts = [
        "10.96.0.10",
        "010.096.000.010",
        "::ffff:10.96.0.10",
        "fd00:10:96::a",
        "FD00:0010:0096:0:0:0:0:000A",
        "x",
    ];
    let texts = texts.map(str::to_owned);
    let mut problems = Vec::new();
    let found = addresses("list", &texts, &mut problems);
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["10.96.0.10", "fd00:10:96::a"]);
    assert_eq!(problems, [r#"list[5]: "x" is not an IP address"#]);
}

#[test]
fn of_many_long_problems_the_beginning_is_told() {
    let problems = vec!["é".repeat(1000); 100_000];
    let Converted { problems, .. } = Converted::new(Some(()), problems);
    assert_eq!(problems.len(), 9);
    assert_eq!(problems[0], format!("{}...", "é".repeat(200)));
    assert_eq!(problems[8], "and 99992 more problems");
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
