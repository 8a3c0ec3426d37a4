# Every target installs what it needs, on Debian as root.

export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/go/bin:/usr/sbin:/sbin

CONTROL_PLANE := target/controlplane
CONTROL_PLANE_COMMANDS := kube-apiserver kube-controller-manager kube-proxy
CONTROL_PLANE_PROGRAMS := $(addprefix $(CONTROL_PLANE)/,$(CONTROL_PLANE_COMMANDS))
CARGO_DENY_VERSION := 0.20.2

.PHONY: demo test e2e conformance compare bench lint deny deps deps-go

# Both traffic policies, measured; KEEP=1 leaves the nodes there until Enter.
demo: deps
	cargo build --quiet --release -p kube-proxy-rs -p e2e --bin kube-proxy --bin demo
	@KEEP=$(KEEP) target/release/demo

# Unit, golden and kernel tests: all that needs no control plane.
test: deps
	cargo test --quiet --workspace $(TESTS)

# The daemon against a real control plane, proved by packets.
e2e: deps-go $(CONTROL_PLANE_PROGRAMS)
	cargo build --quiet -p kube-proxy-rs -p e2e --bin kube-proxy --bin cluster
	@target/debug/cluster $(SCENARIOS)

# The same packets through upstream's kube-proxy and ours: FLAGS="--filter hint --seed 7".
conformance: deps-go $(CONTROL_PLANE_PROGRAMS)
	cargo build --quiet -p kube-proxy-rs -p e2e --bin kube-proxy --bin conformance
	@target/debug/conformance $(FLAGS)

# Upstream's kube-proxy and ours, asked the same: configuration, refusals.
compare: deps-go $(CONTROL_PLANE_PROGRAMS)
	cargo build --quiet -p kube-proxy-rs -p e2e --bin kube-proxy --bin compare
	@target/debug/compare $(PARTS)

# How fast the daemon programs, and how much memory that takes; some minutes.
bench: deps
	cargo build --quiet --release -p kube-proxy-rs -p e2e --bin kube-proxy --bin bench --bin bench_flows
	@target/release/bench $(SIZES)
	@target/release/bench_flows

lint: deps
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings

# Licences, sources and banned crates; advisories where their database can be fetched.
deny: deps target/tools/bin/cargo-deny
	target/tools/bin/cargo-deny --log-level error check bans licenses sources

target/tools/bin/cargo-deny:
	cargo install --quiet --locked --root target/tools cargo-deny --version $(CARGO_DENY_VERSION)

deps:
	@e2e/deps.sh

deps-go:
	@e2e/deps.sh go

# About eight minutes the first time; two at once need not much memory.
$(CONTROL_PLANE_PROGRAMS) &: e2e/controlplane/go.mod e2e/controlplane/go.sum | deps-go
	mkdir -p $(CONTROL_PLANE)
	cd e2e/controlplane && go build -p 2 -trimpath -ldflags "-s -w" -o ../../$(CONTROL_PLANE)/ \
		$(addprefix k8s.io/kubernetes/cmd/,$(CONTROL_PLANE_COMMANDS))
	touch $(CONTROL_PLANE_PROGRAMS)
