# Every target installs what it needs, on Debian as root.

export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/go/bin:/usr/sbin:/sbin

CONTROL_PLANE := target/controlplane
CONTROL_PLANE_PROGRAMS := $(addprefix $(CONTROL_PLANE)/,kube-apiserver kube-controller-manager kube-proxy)

.PHONY: demo e2e conformance deps deps-go

# Both traffic policies, measured; KEEP=1 leaves the nodes there until Enter.
demo: deps
	cargo build --quiet --release -p kube-proxy-rs -p e2e --bin kube-proxy --bin demo
	@KEEP=$(KEEP) target/release/demo

# The daemon against a real control plane, proved by packets.
e2e: deps-go $(CONTROL_PLANE_PROGRAMS)
	cargo build --quiet -p kube-proxy-rs -p e2e --bin kube-proxy --bin cluster
	@target/debug/cluster $(SCENARIOS)

# The same packets through upstream's kube-proxy and ours: FLAGS="--filter hint --seed 7".
conformance: deps-go $(CONTROL_PLANE_PROGRAMS)
	cargo build --quiet -p kube-proxy-rs -p e2e --bin kube-proxy --bin conformance
	@target/debug/conformance $(FLAGS)

deps:
	@e2e/deps.sh

deps-go:
	@e2e/deps.sh go

# About eight minutes the first time; two at once need not much memory.
$(CONTROL_PLANE_PROGRAMS) &: e2e/controlplane/go.mod e2e/controlplane/go.sum | deps-go
	mkdir -p $(CONTROL_PLANE)
	cd e2e/controlplane && go build -p 2 -trimpath -ldflags "-s -w" -o ../../$(CONTROL_PLANE)/ \
		$(addprefix k8s.io/kubernetes/cmd/,$(notdir $(CONTROL_PLANE_PROGRAMS)))
	touch $(CONTROL_PLANE_PROGRAMS)
