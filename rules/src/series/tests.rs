use super::*;
use crate::model::Protocol;

fn frontend(last: u8) -> Frontend {
    Frontend {
        address: Some([10, 96, 0, last].into()),
        protocol: Protocol::Tcp,
        port: 80,
    }
}

fn endpoint(last: u8) -> EndpointAddr {
    EndpointAddr {
        address: [10, 244, 0, last].into(),
        port: 8080,
    }
}

/// A Service with a frontend and two endpoints, all by one number.
fn service(number: u8) -> Owned {
    Owned {
        service: ObjectName::new("shop", format!("s{number}")),
        name: if number == 1 { "" } else { "http" }.into(),
        protocol: Protocol::Tcp,
        number: 80,
        frontends: vec![frontend(number)],
        endpoints: vec![endpoint(number), endpoint(100 + number)],
    }
}

fn new(counts: &[(u8, u64)]) -> HashMap<Frontend, u64> {
    let counts = counts.iter();
    counts
        .map(|(number, count)| (frontend(*number), *count))
        .collect()
}

fn shown(services: &Services) -> Vec<(String, Got)> {
    let told = services.told();
    told.map(|(port, got)| (format!("{}:{}", port.service, port.port), got.clone()))
        .collect()
}

fn got(new: u64, open: Option<u64>, spread: Option<f64>) -> Got {
    Got { new, open, spread }
}

#[test]
fn connections_open_and_new_ones_and_their_spread() {
    let mut services = Services::default();
    let open = Open::from([
        ((frontend(1), endpoint(1)), 3),
        ((frontend(1), endpoint(101)), 1),
        // Who answers serves no more.
        ((frontend(1), endpoint(50)), 6),
        ((frontend(2), endpoint(2)), 5),
    ]);
    let all = vec![service(1), service(2)];
    services.take(all, &new(&[(1, 7), (2, 5)]), Some(&open), 10);
    let expected = [
        ("shop/s1:80".to_owned(), got(7, Some(10), Some(1.5))),
        ("shop/s2:http".to_owned(), got(5, Some(5), Some(2.0))),
    ];
    assert_eq!(shown(&services), expected);
    // Nothing happens to one, and nobody can tell what is open.
    services.take(vec![service(2)], &new(&[(2, 1)]), None, 10);
    let expected = [
        ("shop/s1:80".to_owned(), got(0, None, None)),
        ("shop/s2:http".to_owned(), got(1, None, None)),
    ];
    assert_eq!(shown(&services), expected);
    // All are closed.
    services.take(Vec::new(), &new(&[]), Some(&Open::new()), 10);
    let expected = [
        ("shop/s1:80".to_owned(), got(0, Some(0), None)),
        ("shop/s2:http".to_owned(), got(0, Some(0), None)),
    ];
    assert_eq!(shown(&services), expected);
}

#[test]
fn who_is_told_of_stays_and_room_goes_to_the_busiest() {
    let mut services = Services::default();
    let names = |services: &Services| -> Vec<String> {
        let told = services.told();
        told.map(|(port, _)| port.service.name.to_string())
            .collect()
    };
    let counts = new(&[(1, 1), (2, 9), (3, 5)]);
    let all = || vec![service(1), service(2), service(3)];
    services.take(all(), &counts, None, 2);
    assert_eq!(names(&services), ["s2", "s3"]);
    assert_eq!(services.left_out, 1);
    services.take(all(), &new(&[(1, 90), (2, 1), (3, 1)]), None, 2);
    assert_eq!(
        names(&services),
        ["s2", "s3"],
        "its counter would begin anew"
    );
    let gone = services.forget(&[ObjectName::new("shop", "s2")]);
    assert_eq!(gone.len(), 1);
    services.take(vec![service(1), service(3)], &new(&[(1, 1)]), None, 2);
    assert_eq!(names(&services), ["s1", "s3"]);
    assert_eq!(services.left_out, 0);
}

#[test]
fn both_families_of_a_port_are_one() {
    let mut services = Services::default();
    let mut other = service(1);
    other.frontends = vec![frontend(9)];
    other.endpoints = vec![endpoint(9)];
    services.take(vec![service(1), other], &new(&[(1, 2), (9, 3)]), None, 10);
    assert_eq!(
        shown(&services),
        [("shop/s1:80".to_owned(), got(5, None, None))]
    );
}
