//! Servers of healthCheckNodePorts (docs/reference.md#health-check-node-ports).

use super::{Site, raw};
use crate::events::{Events, Message, Regarding};
use crate::health::Moment;
use crate::http::{ServiceHealth, ServiceHealthCheck};
use rules::NodeportAddresses;
use rules::model::{Family, ObjectName};
use std::net::{IpAddr, TcpListener};
use std::time::Duration;

fn check(name: &str, port: u16, family: Family, local_endpoints: usize) -> ServiceHealthCheck {
    ServiceHealthCheck {
        service: ObjectName::new("shop", name),
        port,
        family,
        local_endpoints,
    }
}

fn servers(site: &Site, nodeports: &NodeportAddresses) -> ServiceHealth {
    let local: Vec<IpAddr> = ["127.0.0.1", "192.0.2.1", "::1", "2001:db8::1"]
        .iter()
        .map(|text| text.parse().expect("an address"))
        .collect();
    let runtime = site.runtime().handle().clone();
    let (health, events) = (site.reports.health.clone(), site.reports.events.clone());
    let mut servers = ServiceHealth::new(health, events, runtime);
    for family in Family::ALL {
        servers.listen_on(family, nodeports, &local);
    }
    servers
}

fn within(range: &str) -> NodeportAddresses {
    NodeportAddresses::Within(vec![range.parse().expect("a range")])
}

/// A site whose loopback interface has a node's addresses too.
fn site() -> Site {
    let site = Site::new();
    let addresses = "address add 192.0.2.1/32 dev lo\n-6 address add 2001:db8::1/128 dev lo nodad";
    e2e::ip(&site.namespace, addresses).expect("addresses");
    site
}

/// Opening and closing is the servers' own socket calls, in the namespace.
fn sync(site: &Site, servers: &mut ServiceHealth, checks: &[ServiceHealthCheck]) {
    let synced = site.namespace.run(|| servers.sync(checks));
    synced.expect("the namespace");
}

#[test]
fn the_answer_is_upstreams_byte_for_byte() {
    let site = site();
    let mut servers = servers(&site, &NodeportAddresses::All);
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
    site.reports.health.queued(Family::V4, long_ago);
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
    site.reports.health.updated(Family::V4, Moment::now());
    site.reports.health.node_eligible(Some(false));
    assert_eq!(site.get(server, "/").status, 200);
}

#[test]
fn each_family_has_servers_of_its_own() {
    let site = site();
    let mut servers = servers(&site, &NodeportAddresses::All);
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
fn they_listen_where_node_ports_are_answered() {
    for (range, answers) in [
        ("192.0.2.1/32", &["192.0.2.1:32000"][..]),
        ("127.0.0.0/8", &["127.0.0.1:32000"]),
        ("2001:db8::/64", &["[2001:db8::1]:32000"]),
        ("198.51.100.0/24", &[]),
    ] {
        let site = site();
        let mut servers = servers(&site, &within(range));
        let checks = [
            check("web", 32000, Family::V4, 1),
            check("web", 32000, Family::V6, 1),
        ];
        sync(&site, &mut servers, &checks);
        for server in [
            "127.0.0.1:32000",
            "192.0.2.1:32000",
            "[::1]:32000",
            "[2001:db8::1]:32000",
        ] {
            if answers.contains(&server) {
                assert_eq!(site.get(server, "/").status, 200, "{range}: {server}");
            } else {
                assert!(site.refuses(server), "{range}: {server}");
            }
        }
    }
}

#[test]
fn a_changed_port_closes_and_opens() {
    let site = site();
    let mut servers = servers(&site, &NodeportAddresses::All);
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
    let (events, mut queue) = Events::queue();
    site.reports.events = events;
    let mut servers = servers(&site, &NodeportAddresses::All);
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
        matches!(&event, Message::Report(own) if own.regarding == regarding
            && own.reason == "FailedToStartServiceHealthcheck" && own.action == "Listen"),
        "{event:?}"
    );
    for _ in 0..3 {
        sync(&site, &mut servers, &checks);
    }
    assert!(queue.try_recv().is_err(), "it has been said");
    drop(taken);
    // By itself: no sync may come for hours.
    assert_eq!(site.get(server, "/").status, 200);
}
