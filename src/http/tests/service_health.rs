//! Servers of healthCheckNodePorts (docs/reference.md#health-check-node-ports).

use super::{Site, raw};
use crate::events::{Message, Recorder, Regarding};
use crate::health::Moment;
use crate::http::service_health::{HealthUpdate, ServiceHealth, Touched};
use rules::HealthCheck;
use rules::model::{Family, ObjectName};
use std::collections::BTreeMap;
use std::net::{IpAddr, TcpListener};
use std::time::Duration;

/// A Service's check in one family.
type Check = (Family, ObjectName, HealthCheck);

fn check(name: &str, port: u16, family: Family, local_endpoints: usize) -> Check {
    let check = HealthCheck {
        port,
        local_endpoints,
    };
    (family, ObjectName::new("shop", name), check)
}

/// Servers, where they listen, and the checks that they were told of.
struct Servers {
    servers: ServiceHealth,
    addresses: BTreeMap<Family, Vec<IpAddr>>,
    told: Vec<Check>,
}

/// Of a node with these addresses, those that answer health checks.
fn servers(site: &Site, addresses: &[&str]) -> Servers {
    let runtime = site.runtime().handle().clone();
    let (health, events) = (site.telemetry.health.clone(), site.telemetry.events.clone());
    let mut of_families = BTreeMap::from(Family::ALL.map(|family| (family, Vec::new())));
    for address in addresses {
        let address: IpAddr = address.parse().expect("an address");
        of_families
            .entry(Family::of(address))
            .or_default()
            .push(address);
    }
    Servers {
        servers: ServiceHealth::new(health, events, runtime),
        addresses: of_families,
        told: Vec::new(),
    }
}

/// All addresses of either family.
const ANY: [&str; 2] = ["0.0.0.0", "::"];

/// A site whose loopback interface has a node's addresses too.
fn site() -> Site {
    let site = Site::new();
    let addresses = "address add 192.0.2.1/32 dev lo\n-6 address add 2001:db8::1/128 dev lo nodad";
    e2e::ip(&site.namespace, addresses).expect("addresses");
    site
}

/// Tells what is different from what was told before. Opening and closing is the servers' own
/// socket calls, in the namespace.
fn sync(site: &Site, servers: &mut Servers, checks: &[Check]) -> Touched {
    let gone = servers.told.iter().filter(|(family, service, _)| {
        let mut now = checks.iter();
        !now.any(|(of, name, _)| of == family && name == service)
    });
    let fresh = checks.iter().filter(|check| !servers.told.contains(check));
    let gone = gone.map(|(family, service, _)| (*family, service.clone(), None));
    let changes: Vec<(Family, ObjectName, Option<HealthCheck>)> = fresh
        .map(|(family, service, check)| (*family, service.clone(), Some(*check)))
        .chain(gone)
        .collect();
    let update = |(family, addresses): (&Family, &Vec<IpAddr>)| HealthUpdate {
        family: *family,
        addresses: addresses.clone(),
        checks: changes
            .iter()
            .filter(|(of, ..)| of == family)
            .map(|(_, service, check)| (service.clone(), *check))
            .collect(),
    };
    let updates = servers.addresses.iter().map(update).collect();
    servers.told = checks.to_vec();
    let updated = site.namespace.run(|| servers.servers.update(updates));
    updated.expect("the namespace")
}

#[test]
fn the_answer_is_upstreams_byte_for_byte() {
    let site = site();
    let mut servers = servers(&site, &ANY);
    let server = "127.0.0.1:32000";
    sync(&site, &mut servers, &[check("web", 32000, Family::V4, 2)]);
    insta::assert_snapshot!(raw(&site.get(server, "/")), @r#"
    HTTP/1.1 200 OK
    Content-Type: application/json
    X-Content-Type-Options: nosniff
    X-Load-Balancing-Endpoint-Weight: 2
    Connection: close
    Content-Length: 111

    {
    	"service": {
    		"namespace": "shop",
    		"name": "web"
    	},
    	"localEndpoints": 2,
    	"serviceProxyHealthy": true
    }
    "#);
    assert_eq!(
        site.get(server, "/").body,
        "{\n\t\"service\": {\n\t\t\"namespace\": \"shop\",\n\t\t\"name\": \"web\"\n\t},\n\
         \t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}",
        "without a line's end"
    );
    assert_eq!(site.get(server, "/any/path?x").status, 200);

    sync(&site, &mut servers, &[check("web", 32000, Family::V4, 0)]);
    insta::assert_snapshot!(raw(&site.get(server, "/healthz")), @r#"
    HTTP/1.1 503 Service Unavailable
    Content-Type: application/json
    X-Content-Type-Options: nosniff
    X-Load-Balancing-Endpoint-Weight: 0
    Connection: close
    Content-Length: 111

    {
    	"service": {
    		"namespace": "shop",
    		"name": "web"
    	},
    	"localEndpoints": 0,
    	"serviceProxyHealthy": true
    }
    "#);

    // Endpoints are no use to a proxy that does not keep up.
    sync(&site, &mut servers, &[check("web", 32000, Family::V4, 2)]);
    let mut long_ago = Moment::now();
    long_ago.monotonic -= Duration::from_secs(61);
    site.telemetry.health.queued(Family::V4, long_ago);
    let response = site.get(server, "/");
    assert_eq!(response.status, 503);
    assert_eq!(
        response.header("x-load-balancing-endpoint-weight"),
        Some("2")
    );
    assert!(
        response.body.contains("\"serviceProxyHealthy\": false"),
        "{}",
        response.body
    );
    // The node's eligibility is not asked for.
    site.telemetry.health.updated(Family::V4, Moment::now());
    site.telemetry.health.node_eligible(Some(false));
    assert_eq!(site.get(server, "/").status, 200);
}

#[test]
fn each_family_has_servers_of_its_own() {
    let site = site();
    let mut servers = servers(&site, &ANY);
    let checks = [
        check("web", 32000, Family::V4, 1),
        check("web", 32000, Family::V6, 0),
    ];
    sync(&site, &mut servers, &checks);
    for server in ["127.0.0.1:32000", "192.0.2.1:32000"] {
        assert_eq!(site.get(server, "/").status, 200, "{server}");
    }
    for server in ["[::1]:32000", "[2001:db8::1]:32000"] {
        assert_eq!(site.get(server, "/").status, 503, "{server}");
    }
    sync(&site, &mut servers, &checks[..1]);
    assert_eq!(site.get("127.0.0.1:32000", "/").status, 200);
    assert!(site.refuses("[::1]:32000"));
}

#[test]
fn they_listen_where_they_are_told_and_move() {
    let site = site();
    let all = [
        "127.0.0.1:32000",
        "192.0.2.1:32000",
        "[::1]:32000",
        "[2001:db8::1]:32000",
    ];
    let mut servers = servers(&site, &[]);
    let checks = [
        check("web", 32000, Family::V4, 1),
        check("web", 32000, Family::V6, 1),
    ];
    for addresses in [
        &["192.0.2.1"][..],
        &["127.0.0.1", "2001:db8::1"],
        &["::1"],
        &[],
    ] {
        for family in Family::ALL {
            let own = addresses
                .iter()
                .map(|text| text.parse().expect("an address"));
            let own = own.filter(|ip: &IpAddr| Family::of(*ip) == family);
            servers.addresses.insert(family, own.collect());
        }
        sync(&site, &mut servers, &checks);
        for server in all {
            let ip = server
                .parse::<std::net::SocketAddr>()
                .expect("an address")
                .ip();
            if addresses.contains(&&*ip.to_string()) {
                assert_eq!(site.get(server, "/").status, 200, "{server}");
            } else {
                assert!(site.refuses(server), "{server}");
            }
        }
    }
}

#[test]
fn an_update_costs_what_changed() {
    let site = site();
    let mut servers = servers(&site, &["127.0.0.1"]);
    let name = |n: u16| format!("s{n}");
    let many = |endpoints: usize| -> Vec<Check> {
        let check = |n| check(&name(n), 32000 + n, Family::V4, endpoints);
        (0..200).map(check).collect()
    };
    let opened = sync(&site, &mut servers, &many(1));
    let all = Touched {
        opened: 200,
        ..Touched::default()
    };
    assert_eq!(opened, all);
    // One tells another number, one is gone, one has another port.
    let mut checks = many(1);
    checks[7].2.local_endpoints = 0;
    checks[8].2.port = 33_000;
    checks.remove(9);
    let changed = Touched {
        closed: 2,
        opened: 1,
        updated: 1,
        woken: 0,
    };
    assert_eq!(sync(&site, &mut servers, &checks), changed);
    assert_eq!(site.get("127.0.0.1:32007", "/").status, 503);
    assert_eq!(site.get("127.0.0.1:33000", "/").status, 200);
    assert_eq!(sync(&site, &mut servers, &checks), Touched::default());
}

#[test]
fn a_changed_port_closes_and_opens() {
    let site = site();
    let mut servers = servers(&site, &ANY);
    let (first, second) = ("127.0.0.1:32000", "127.0.0.1:32001");
    sync(&site, &mut servers, &[check("web", 32000, Family::V4, 1)]);
    assert_eq!(site.get(first, "/").status, 200);
    sync(&site, &mut servers, &[check("web", 32001, Family::V4, 1)]);
    assert_eq!(site.get(second, "/").status, 200);
    assert!(site.refuses(first));

    // Two Services exchange their ports.
    let both = |web, db| {
        [
            check("web", web, Family::V4, 1),
            check("db", db, Family::V4, 1),
        ]
    };
    sync(&site, &mut servers, &both(32000, 32001));
    sync(&site, &mut servers, &both(32001, 32000));
    assert!(site.get(second, "/").body.contains("\"name\": \"web\""));
    assert!(site.get(first, "/").body.contains("\"name\": \"db\""));
    sync(&site, &mut servers, &[]);
    assert!(site.refuses(first) && site.refuses(second));
}

#[test]
fn a_taken_port_is_told_of_once_and_tried_again() {
    let mut site = site();
    let (events, mut queue) = Recorder::queue();
    site.telemetry.events = events;
    let mut servers = servers(&site, &ANY);
    let server = "127.0.0.1:32000";
    let taken = site.namespace.run(|| TcpListener::bind(server));
    let taken = taken.expect("the namespace").expect("a free port");
    let checks = [
        check("web", 32000, Family::V4, 1),
        check("db", 32001, Family::V4, 1),
    ];
    sync(&site, &mut servers, &checks);
    assert_eq!(
        site.get("127.0.0.1:32001", "/").status,
        200,
        "the others work"
    );
    let event = queue.try_recv().expect("an event");
    let regarding = Regarding::Service(ObjectName::new("shop", "web"));
    assert!(
        matches!(&event, Message::Event(own) if own.regarding == regarding
            && own.reason == "FailedToStartServiceHealthcheck" && own.action == "Listen"),
        "{event:?}"
    );
    for _ in 0..3 {
        let woken = Touched {
            woken: 1,
            ..Touched::default()
        };
        assert_eq!(sync(&site, &mut servers, &checks), woken);
    }
    assert!(queue.try_recv().is_err(), "it has been said");
    drop(taken);
    // By itself: no sync may come for hours.
    assert_eq!(site.get(server, "/").status, 200);
}
