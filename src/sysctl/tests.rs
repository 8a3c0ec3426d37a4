use super::*;
use std::fs;

fn conntrack(max_per_core: i32, min: i32) -> KubeProxyConntrackConfiguration {
    KubeProxyConntrackConfiguration {
        max_per_core: Some(max_per_core),
        min: Some(min),
        ..KubeProxyConntrackConfiguration::default()
    }
}

#[test]
fn how_many_connections() {
    for (per_core, min, cpus, max) in [
        (32768, 131_072, 2, Some(131_072)),
        (32768, 131_072, 8, Some(262_144)),
        (0, 131_072, 8, None),
        (-1, 131_072, 8, None),
        (32768, 131_072, 32, Some(1_048_576)),
        (32768, 131_072, 64, Some(1_048_576)),
        (32768, 2_000_000, 64, Some(1_048_576)),
        (32768, 2_000_000, 2, Some(2_000_000)),
        (1, 0, 4, Some(4)),
    ] {
        let config = conntrack(per_core, min);
        assert_eq!(conntrack_max(&config, cpus), max, "{per_core} {min} {cpus}");
    }
    assert_eq!(
        conntrack_max(&KubeProxyConntrackConfiguration::default(), 4),
        None
    );
}

#[test]
fn how_long_and_how() {
    assert_eq!(
        conntrack_settings(&KubeProxyConntrackConfiguration::default()),
        []
    );
    let config = KubeProxyConntrackConfiguration {
        tcp_established_timeout: Some(GoDuration::from_secs(86_400)),
        tcp_close_wait_timeout: Some(GoDuration::from_secs(0)),
        tcp_be_liberal: true,
        udp_timeout: GoDuration::from_nanos(1_900_000_000),
        udp_stream_timeout: GoDuration::from_secs(-1),
        ..KubeProxyConntrackConfiguration::default()
    };
    assert_eq!(
        conntrack_settings(&config),
        [
            ("nf_conntrack_tcp_timeout_established", 86_400),
            ("nf_conntrack_tcp_be_liberal", 1),
            ("nf_conntrack_udp_timeout", 1),
        ]
    );
}

#[test]
fn cpus_of_a_list() {
    for (list, count) in [
        ("0", Some(1)),
        ("0-1", Some(2)),
        ("0-3,8,10-11", Some(7)),
        ("", None),
        ("a", None),
    ] {
        assert_eq!(count_cpus(list), count, "{list:?}");
    }
}

/// A machine of its own, with these values.
struct Machine {
    dir: PathBuf,
}

const FILES: [(&str, &str); 7] = [
    ("sys/devices/system/cpu/online", "0-3"),
    ("sys/module/nf_conntrack/parameters/hashsize", "16384"),
    ("proc/sys/net/netfilter/nf_conntrack_max", "65536"),
    (
        "proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established",
        "432000",
    ),
    (
        "proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait",
        "3600",
    ),
    ("proc/sys/net/netfilter/nf_conntrack_udp_timeout", "30"),
    ("proc/self/oom_score_adj", "0"),
];

impl Machine {
    fn new(test: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("sysctl-{test}-{}", std::process::id()));
        for (file, value) in FILES {
            let file = dir.join(file);
            fs::create_dir_all(file.parent().expect("a directory")).expect("it can be made");
            fs::write(file, format!("{value}\n")).expect("a file");
        }
        Self { dir }
    }

    fn kernel(&self) -> Sysctls {
        Sysctls::at(&self.dir)
    }

    fn value(&self, file: &str) -> String {
        fs::read_to_string(self.dir.join(file)).expect("a file")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn defaults() -> KubeProxyConntrackConfiguration {
    let mut config = crate::config::KubeProxyConfiguration::default();
    crate::config::set_defaults(&mut config);
    config.conntrack
}

#[test]
fn only_what_is_wrong_is_written() {
    let machine = Machine::new("wrong");
    machine
        .kernel()
        .set_conntrack(&defaults())
        .expect("written");
    assert_eq!(machine.value(FILES[1].0), "32768", "a quarter of the limit");
    assert_eq!(machine.value(FILES[2].0), "131072");
    assert_eq!(machine.value(FILES[3].0), "86400");
    assert_eq!(machine.value(FILES[4].0), "3600\n", "it was right");
    assert_eq!(machine.value(FILES[5].0), "30\n", "nothing is said of it");
    // Larger limits stay.
    fs::write(machine.dir.join(FILES[2].0), "999999").expect("a file");
    fs::write(machine.dir.join(FILES[1].0), "999999").expect("a file");
    machine
        .kernel()
        .set_conntrack(&defaults())
        .expect("nothing to do");
    assert_eq!(machine.value(FILES[2].0), "999999");
    assert_eq!(machine.value(FILES[1].0), "999999");
}

#[test]
fn what_cannot_be_written_is_named() {
    let machine = Machine::new("named");
    // A directory can be neither read as a number nor written, whoever tries.
    let file = machine.dir.join(FILES[3].0);
    fs::remove_file(&file).expect("a file");
    fs::create_dir(&file).expect("a directory");
    let error = machine.kernel().set_conntrack(&defaults());
    let error = error.expect_err("a directory").to_string();
    let says = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established is unreadable, \
                should be 86400, and cannot be written: ";
    assert!(error.starts_with(says), "{error}");
    fs::remove_file(machine.dir.join(FILES[1].0)).expect("a file");
    let error = machine.kernel().set_conntrack(&defaults());
    let error = error.expect_err("no hash size").to_string();
    assert!(
        error.starts_with("reading /sys/module/nf_conntrack/parameters/hashsize: "),
        "{error}"
    );
    // All that is alone is not even looked at.
    let none = KubeProxyConntrackConfiguration::default();
    machine
        .kernel()
        .set_conntrack(&none)
        .expect("nothing to do");
}

#[test]
fn hints() {
    let read_only = io::Error::from_raw_os_error(libc::EROFS);
    assert!(hint(FILES[2].0, &read_only).contains("maxPerCore: 0"));
    assert!(hint(FILES[3].0, &read_only).contains("a value of 0"));
    assert_eq!(hint(FILES[6].0, &read_only), "");
    assert_eq!(
        hint(FILES[2].0, &io::Error::from_raw_os_error(libc::EINVAL)),
        ""
    );
}

#[test]
fn the_oom_score() {
    let machine = Machine::new("oom");
    machine.kernel().set_oom_score(-999).expect("written");
    assert_eq!(machine.value(FILES[6].0), "-999");
    let nowhere = Sysctls::at(Path::new("/nonexistent"));
    let error = nowhere.set_oom_score(-999).expect_err("no such file");
    assert!(error.to_string().contains("oom_score_adj"), "{error}");
}

#[test]
fn loopback_addresses_are_routed_where_node_ports_want_it() {
    let machine = Machine::new("localnet");
    let unset = machine.kernel().differing(&defaults(), true);
    assert_eq!(unset.last().map(|it| it.found), Some(None), "{unset:?}");
    let error = machine.kernel().route_localnet();
    let error = error.expect_err("no such file").to_string();
    assert!(error.contains("conf/all/route_localnet"), "{error}");
    let file = machine.dir.join(ROUTE_LOCALNET);
    fs::create_dir_all(file.parent().expect("a directory")).expect("it can be made");
    fs::write(&file, "0\n").expect("a file");
    machine.kernel().route_localnet().expect("written");
    assert_eq!(machine.value(ROUTE_LOCALNET), "1");
    let differing = machine.kernel().differing(&defaults(), true);
    assert!(
        differing.iter().all(|it| !it.file.contains("localnet")),
        "{differing:?}"
    );
    let read_only = io::Error::from_raw_os_error(libc::EROFS);
    assert!(hint(ROUTE_LOCALNET, &read_only).contains("localhostNodePorts: false"));
}

#[test]
fn what_conntrack_lets_be() {
    let machine = Machine::new("liberal");
    assert!(!machine.kernel().tcp_is_liberal(), "nothing tells");
    let file = machine.dir.join(TCP_BE_LIBERAL);
    for (value, liberal) in [("0\n", false), ("1\n", true), ("2\n", true)] {
        fs::write(&file, value).expect("a file");
        assert_eq!(machine.kernel().tcp_is_liberal(), liberal, "{value}");
    }
}
