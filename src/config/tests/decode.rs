use super::*;

#[test]
fn what_a_strict_decoder_refuses_is_told() {
    for (text, says) in [
        ("Mode: nftables\n", "unknown field \"Mode\""),
        ("iptables: {foo: 1}\n", "unknown field \"iptables.foo\""),
        (
            "logging: {options: {xml: {}}}\n",
            "unknown field \"logging.options.xml\"",
        ),
        (
            "logging: {vmodule: [{filePattern: a, level: 1}]}\n",
            "unknown field \"logging.vmodule[0].level\"",
        ),
        (
            "mode: nftables\nmode: iptables\n",
            "key \"mode\" already set in map",
        ),
        (
            "ipvs: {scheduler: a, scheduler: b}\n",
            "key \"ipvs.scheduler\" already set in map",
        ),
    ] {
        let decoded = decode(&format!("{HEAD}{text}")).expect(text);
        assert_eq!(decoded.complaints, [says], "{text}");
    }
    let both = decode(&format!(
        "{HEAD}a: {{b: [{{c: 1, c: 2}}], d: 3}}\nmode: a\nmode: b\n"
    ));
    assert_eq!(
        both.expect("leniently").complaints,
        [
            "key \"mode\" already set in map",
            "key \"a.b[0].c\" already set in map",
            "unknown field \"a\""
        ]
    );
    let twice = decode(&format!("{HEAD}mode: nftables\nmode: iptables\n")).expect("leniently");
    assert_eq!(twice.config.mode, "iptables");
}

#[test]
fn what_no_decoder_takes_is_named() {
    for (text, says) in [
        (
            "mode: 5\n",
            "KubeProxyConfiguration.mode: is a number 5, not a string",
        ),
        (
            "iptables: foo\n",
            "KubeProxyConfiguration.iptables: is a string, not an object",
        ),
        (
            "iptables: {syncPeriod: 5}\n",
            ".iptables.syncPeriod: is a number 5, not a duration",
        ),
        (
            "iptables: {syncPeriod: foo}\n",
            ".syncPeriod: time: invalid duration \"foo\"",
        ),
        (
            "iptables: {masqueradeBit: 3.5}\n",
            "is a number 3.5, not a whole number of 32 bits",
        ),
        (
            "clientConnection: {burst: 99999999999}\n",
            "is a number 99999999999, not a whole",
        ),
        (
            "bindAddressHardFail: \"true\"\n",
            ".bindAddressHardFail: is a string, not a bool",
        ),
        (
            "bindAddressHardFail: \"yes\"\n",
            ".bindAddressHardFail: is a string, not a bool",
        ),
        (
            "clientConnection: {qps: 1e39}\n",
            ".clientConnection.qps: is a number 1000000000000000000000000000000000000000, not a number of 32 bits",
        ),
        ("winkernel: []\n", ".winkernel: is an array, not an object"),
        (
            "nodePortAddresses: foo\n",
            ".nodePortAddresses: is a string, not a list",
        ),
        (
            "nodePortAddresses: [1]\n",
            ".nodePortAddresses[0]: is a number 1, not a string",
        ),
        (
            "featureGates: {Foo: x}\n",
            ".featureGates.Foo: is a string, not a bool",
        ),
        (
            "logging: {verbosity: -1}\n",
            ".logging.verbosity: is a number -1",
        ),
        (
            "logging: {vmodule: [{verbosity: a}]}\n",
            ".logging.vmodule[0].verbosity: is a string",
        ),
        ("oomScoreAdj: [\n", "yaml: "),
    ] {
        let error = decode(&format!("{HEAD}{text}")).expect_err(text);
        assert!(error.contains(says), "{text}: {error}");
    }
    for (text, says) in [
        ("", "Object 'Kind' is missing"),
        ("foo: bar\n", "Object 'Kind' is missing"),
        (
            "kind: KubeProxyConfiguration\n",
            "Object 'apiVersion' is missing",
        ),
        (
            "apiVersion: v1\nkind: Pod\n",
            "no kind \"Pod\" is registered for version \"v1\"",
        ),
        ("- a\n", "couldn't get version/kind"),
    ] {
        let error = decode(text).expect_err(text);
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn yaml_as_upstream_reads_it() {
    for word in ["true", "True", "yes", "On", "y", "Y"] {
        let config = complete(&format!("bindAddressHardFail: {word}\n"));
        assert!(config.bind_address_hard_fail, "{word}");
    }
    assert_eq!(complete("oomScoreAdj: 1e2\n").oom_score_adj, Some(100));
    let modules = "logging: {vmodule: [null, {filePattern: null}]}\n";
    assert_eq!(
        complete(modules).logging.vmodule,
        vec![VModuleItem::default(); 2]
    );
    assert_eq!(complete("oomScoreAdj: 0x10\n").oom_score_adj, Some(16));
    assert_eq!(complete("oomScoreAdj: 010\n").oom_score_adj, Some(8));
    assert_eq!(complete("mode: nftables\n---\nfoo: bar\n").mode, "nftables");
    assert_eq!(
        complete("mode: &m nftables\nportRange: *m\n").port_range,
        "nftables"
    );
}
