// Pins the custom resource definitions that `make chart` applies ServiceMonitors,
// PodMonitors and PrometheusRules against; they are files of this module, none
// of whose code is built.
module kube-proxy-rs/e2e/crds

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.83.0
