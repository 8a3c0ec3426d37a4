//! The file's fields, each named once: decoding and encoding walk the same lists.

use super::{
    ClientConnectionConfiguration, DetectLocalConfiguration, FormatOptions, GoDuration,
    KubeProxyConfiguration, KubeProxyConntrackConfiguration, KubeProxyIPTablesConfiguration,
    KubeProxyIPVSConfiguration, KubeProxyNFTablesConfiguration, KubeProxyWinkernelConfiguration,
    LoggingConfiguration, OutputRoutingOptions, Quantity, VModuleItem,
};
use std::collections::BTreeMap;

/// What walks over the fields. A field is written even if it has its zero value unless the
/// method says something else.
pub(super) trait Visitor {
    fn text(&mut self, name: &'static str, value: &mut String);
    fn flag(&mut self, name: &'static str, value: &mut bool);
    /// Not written when false.
    fn flag_or_absent(&mut self, name: &'static str, value: &mut bool);
    fn optional_flag(&mut self, name: &'static str, value: &mut Option<bool>);
    fn integer(&mut self, name: &'static str, value: &mut i32);
    fn optional_integer(&mut self, name: &'static str, value: &mut Option<i32>);
    fn verbosity(&mut self, name: &'static str, value: &mut u32);
    fn float(&mut self, name: &'static str, value: &mut f32);
    fn duration(&mut self, name: &'static str, value: &mut GoDuration);
    fn optional_duration(&mut self, name: &'static str, value: &mut Option<GoDuration>);
    /// Text, or a number of nanoseconds if `is_number`.
    fn duration_or_nanos(
        &mut self,
        name: &'static str,
        value: &mut GoDuration,
        is_number: &mut bool,
    );
    fn texts(&mut self, name: &'static str, value: &mut Option<Vec<String>>);
    /// A list within a text, separated by commas.
    fn joined(&mut self, name: &'static str, value: &mut Vec<String>);
    /// Not written when empty.
    fn gates(&mut self, name: &'static str, value: &mut BTreeMap<String, bool>);
    /// Not written when empty.
    fn vmodule(&mut self, name: &'static str, value: &mut Vec<VModuleItem>);
    fn quantity(&mut self, name: &'static str, value: &mut Quantity);
    fn section(&mut self, name: &'static str, value: &mut dyn Section);
}

/// An object of the file.
pub(super) trait Section {
    /// Its fields in upstream's order, which is the order of its JSON.
    fn fields(&mut self, v: &mut dyn Visitor);
}

impl Section for KubeProxyConfiguration {
    fn fields(&mut self, v: &mut dyn Visitor) {
        v.gates("featureGates", &mut self.feature_gates);
        v.section("clientConnection", &mut self.client_connection);
        v.section("logging", &mut self.logging);
        v.text("hostnameOverride", &mut self.hostname_override);
        v.text("bindAddress", &mut self.bind_address);
        v.text("healthzBindAddress", &mut self.healthz_bind_address);
        v.text("metricsBindAddress", &mut self.metrics_bind_address);
        v.flag("bindAddressHardFail", &mut self.bind_address_hard_fail);
        v.flag("enableProfiling", &mut self.enable_profiling);
        v.text(
            "showHiddenMetricsForVersion",
            &mut self.show_hidden_metrics_for_version,
        );
        v.text("mode", &mut self.mode);
        v.section("iptables", &mut self.iptables);
        v.section("ipvs", &mut self.ipvs);
        v.section("nftables", &mut self.nftables);
        v.section("winkernel", &mut self.winkernel);
        v.text("detectLocalMode", &mut self.detect_local_mode);
        v.section("detectLocal", &mut self.detect_local);
        v.joined("clusterCIDR", &mut self.cluster_cidrs);
        v.texts("nodePortAddresses", &mut self.node_port_addresses);
        v.optional_integer("oomScoreAdj", &mut self.oom_score_adj);
        v.section("conntrack", &mut self.conntrack);
        v.duration("configSyncPeriod", &mut self.config_sync_period);
        v.text("portRange", &mut self.port_range);
        v.flag_or_absent("windowsRunAsService", &mut self.windows_run_as_service);
    }
}

impl Section for ClientConnectionConfiguration {
    fn fields(&mut self, v: &mut dyn Visitor) {
        v.text("kubeconfig", &mut self.kubeconfig);
        v.text("acceptContentTypes", &mut self.accept_content_types);
        v.text("contentType", &mut self.content_type);
        v.float("qps", &mut self.qps);
        v.integer("burst", &mut self.burst);
    }
}

impl Section for LoggingConfiguration {
    fn fields(&mut self, v: &mut dyn Visitor) {
        v.text("format", &mut self.format);
        v.duration_or_nanos(
            "flushFrequency",
            &mut self.flush_frequency,
            &mut self.flush_frequency_is_number,
        );
        v.verbosity("verbosity", &mut self.verbosity);
        v.vmodule("vmodule", &mut self.vmodule);
        v.section("options", &mut self.options);
    }
}

impl Section for VModuleItem {
    fn fields(&mut self, v: &mut dyn Visitor) {
        v.text("filePattern", &mut self.file_pattern);
        v.verbosity("verbosity", &mut self.verbosity);
    }
}

impl Section for FormatOptions {
    fn fields(&mut self, v: &mut dyn Visitor) {
        v.section("text", &mut self.text);
        v.section("json", &mut self.json);
    }
}

impl Section for OutputRoutingOptions {
    fn fields(&mut self, v: &mut dyn Visitor) {
        v.flag_or_absent("splitStream", &mut self.split_stream);
        v.quantity("infoBufferSize", &mut self.info_buffer_size);
    }
}

impl Section for KubeProxyIPTablesConfiguration {
    fn fields(&mut self, v: &mut dyn Visitor) {
        v.optional_integer("masqueradeBit", &mut self.masquerade_bit);
        v.flag("masqueradeAll", &mut self.masquerade_all);
        v.optional_flag("localhostNodePorts", &mut self.localhost_node_ports);
        v.duration("syncPeriod", &mut self.sync_period);
        v.duration("minSyncPeriod", &mut self.min_sync_period);
    }
}

impl Section for KubeProxyIPVSConfiguration {
    fn fields(&mut self, v: &mut dyn Visitor) {
        v.duration("syncPeriod", &mut self.sync_period);
        v.duration("minSyncPeriod", &mut self.min_sync_period);
        v.text("scheduler", &mut self.scheduler);
        v.texts("excludeCIDRs", &mut self.exclude_cidrs);
        v.flag("strictARP", &mut self.strict_arp);
        v.duration("tcpTimeout", &mut self.tcp_timeout);
        v.duration("tcpFinTimeout", &mut self.tcp_fin_timeout);
        v.duration("udpTimeout", &mut self.udp_timeout);
    }
}

impl Section for KubeProxyNFTablesConfiguration {
    fn fields(&mut self, v: &mut dyn Visitor) {
        v.optional_integer("masqueradeBit", &mut self.masquerade_bit);
        v.flag("masqueradeAll", &mut self.masquerade_all);
        v.duration("syncPeriod", &mut self.sync_period);
        v.duration("minSyncPeriod", &mut self.min_sync_period);
    }
}

impl Section for KubeProxyWinkernelConfiguration {
    fn fields(&mut self, v: &mut dyn Visitor) {
        v.text("networkName", &mut self.network_name);
        v.text("sourceVip", &mut self.source_vip);
        v.flag("enableDSR", &mut self.enable_dsr);
        v.text("rootHnsEndpointName", &mut self.root_hns_endpoint_name);
        v.flag("forwardHealthCheckVip", &mut self.forward_health_check_vip);
    }
}

impl Section for DetectLocalConfiguration {
    fn fields(&mut self, v: &mut dyn Visitor) {
        v.text("bridgeInterface", &mut self.bridge_interface);
        v.text("interfaceNamePrefix", &mut self.interface_name_prefix);
    }
}

impl Section for KubeProxyConntrackConfiguration {
    fn fields(&mut self, v: &mut dyn Visitor) {
        v.optional_integer("maxPerCore", &mut self.max_per_core);
        v.optional_integer("min", &mut self.min);
        v.optional_duration("tcpEstablishedTimeout", &mut self.tcp_established_timeout);
        v.optional_duration("tcpCloseWaitTimeout", &mut self.tcp_close_wait_timeout);
        v.flag("tcpBeLiberal", &mut self.tcp_be_liberal);
        v.duration("udpTimeout", &mut self.udp_timeout);
        v.duration("udpStreamTimeout", &mut self.udp_stream_timeout);
    }
}
