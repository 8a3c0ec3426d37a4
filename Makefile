# Every target installs what it needs, on Debian as root. What stands above a target is what
# `make help` says of it.

export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/go/bin:/usr/sbin:/sbin

CONTROL_PLANE := target/controlplane
CONTROL_PLANE_COMMANDS := kube-apiserver kube-controller-manager kube-proxy
CONTROL_PLANE_PROGRAMS := $(addprefix $(CONTROL_PLANE)/,$(CONTROL_PLANE_COMMANDS))
CARGO_DENY_VERSION := 0.20.2
IPTABLES_VERSIONS := 1.8.7 1.8.9 1.8.11
# Architectures of the image, besides the machine's own: ARCH=arm64.
OWN_ARCH := $(shell dpkg --print-architecture)
ARCH := $(OWN_ARCH)
# The one that can be run here, and its binary, then the others'.
IMAGE := target/image/kube-proxy-rs-$(OWN_ARCH).tar
IMAGE_BINARIES := $(patsubst %,target/image/%/root/usr/local/bin/kube-proxy,\
	$(OWN_ARCH) $(filter-out $(OWN_ARCH),$(ARCH)))

.DEFAULT_GOAL := help
.PHONY: help demo test e2e faults conformance compare compare-iptables gates bench bench-hostile bench-upstream image chart manifest man lint deny \
	fuzz fuzz-corpora fuzz-engine deps deps-go deps-image deps-chart deps-iptables deps-fuzz

# This list.
help:
	@awk '/^#/ { text = text (text ? "\n                   " : "") substr($$0, 3); next } \
		/^[a-z][a-z0-9-]*:/ && text { sub(/:.*/, ""); printf "  %-16s %s\n", $$0, text } \
		{ text = "" }' $(firstword $(MAKEFILE_LIST))

# Both traffic policies, measured and explained; KEEP=1 leaves the nodes there until Enter.
demo: deps
	cargo build --quiet --release -p kube-proxy-rs -p e2e --bin kube-proxy --bin e2e
	@target/release/e2e demo $(if $(filter-out 0,$(KEEP)),--keep)

# Unit, golden and kernel tests: all that needs no control plane.
test: deps deps-iptables
	cargo test --quiet --workspace $(TESTS)

# The daemon against a real control plane, proved by packets.
e2e: deps-go $(CONTROL_PLANE_PROGRAMS)
	cargo build --quiet -p kube-proxy-rs -p e2e --bin kube-proxy --bin e2e
	@target/debug/e2e cluster $(SCENARIOS)

# The same packets through upstream's kube-proxy and ours: FLAGS="--filter hint --seed 7"; with
# MODE=iptables both in that mode, and the same text of iptables-save.
conformance: deps-go $(CONTROL_PLANE_PROGRAMS)
	cargo build --quiet -p kube-proxy-rs -p e2e --bin kube-proxy --bin e2e
	@target/debug/e2e conformance $(if $(MODE),--mode $(MODE)) $(FLAGS)

# What iptables-save tells of upstream's kube-proxy in mode iptables and of our render:
# FLAGS="--filter table --seed 7".
compare-iptables: deps-go $(CONTROL_PLANE_PROGRAMS)
	cargo build --quiet -p kube-proxy-rs -p e2e --bin kube-proxy --bin e2e
	@target/debug/e2e compare-iptables $(FLAGS)

# Named faults on a node with traffic; FLAGS="--short", "--filter half-open" or "--list".
faults: deps-go $(CONTROL_PLANE_PROGRAMS)
	cargo build --quiet -p kube-proxy-rs -p e2e -p inject --lib --bin kube-proxy --bin e2e
	@target/debug/e2e faults $(FLAGS)

# Upstream's kube-proxy and ours, asked the same: configuration, HTTP answers, metrics;
# VERBOSE=1 names what is the same, too.
compare: deps-go $(CONTROL_PLANE_PROGRAMS) $(CONTROL_PLANE)/gates
	$(CONTROL_PLANE)/gates | diff src/config/features/gates.txt -
	cargo build --quiet -p kube-proxy-rs -p e2e --bin kube-proxy --bin e2e
	@target/debug/e2e compare $(if $(VERBOSE),--verbose) $(PARTS)

# How fast the daemon programs, and how much memory that takes; some minutes.
bench: deps
	cargo build --quiet --release -p kube-proxy-rs -p e2e --bin kube-proxy --bin e2e
	@target/release/e2e bench $(SIZES)
	@target/release/e2e bench-flows

# One Service as large or crooked as the API lets it be, and how long others wait meanwhile.
bench-hostile: deps
	cargo build --quiet --release -p kube-proxy-rs -p e2e --bin kube-proxy --bin e2e
	@target/release/e2e bench-hostile

# Upstream's kube-proxy and the image's on the same objects: SIZES="1000x10 10000x10",
# FLAGS="--packets --docs", MODE=iptables; `target/release/e2e bench-upstream --help` has the rest.
bench-upstream: deps-go deps-image $(CONTROL_PLANE_PROGRAMS)
	cargo build --quiet --release -p e2e --bin e2e
	cargo build --quiet --release -p kube-proxy-rs --example replay
	@image/binary.sh $(OWN_ARCH)
	@KUBE_PROXY=$(firstword $(IMAGE_BINARIES)) target/release/e2e bench-upstream \
		$(if $(MODE),--mode $(MODE)) $(SIZES) $(FLAGS)

# The static image as an OCI archive, and run with no more rights than it needs.
image: deps-image
	@for arch in $(sort $(OWN_ARCH) $(ARCH)); do image/build.sh $$arch || exit 1; done
	cargo build --quiet -p e2e --bin e2e
	@target/debug/e2e image $(IMAGE) $(IMAGE_BINARIES)

# Only if there is none; `make image` builds it anew.
$(IMAGE): | deps-image
	@image/build.sh $(OWN_ARCH)

# The Helm chart: linted, rendered, applied to a real API server, and its pod run.
chart: deps-chart deps-image $(CONTROL_PLANE_PROGRAMS) $(IMAGE) \
		target/tools/bin/helm target/tools/bin/promtool target/tools/crds
	cargo build --quiet -p kube-proxy-rs -p e2e --bin kube-proxy --bin e2e
	@target/debug/e2e chart

# deploy/kube-proxy-rs.yaml from the chart, for whoever has no Helm.
manifest: deps-chart target/tools/bin/helm
	cargo build --quiet -p e2e --bin e2e
	@target/debug/e2e chart --manifest

FUZZ_S := 60
# Every fuzz target, FUZZ_S seconds in all: FUZZ_TARGETS="events http"; or FUZZ_INPUTS=2000 made-up
# inputs for each target, always from the same seed.
fuzz: fuzz-engine
	@target/debug/e2e fuzz --engine $(FUZZ_ENGINE) --seconds $(FUZZ_S) \
		$(if $(FUZZ_INPUTS),--inputs $(FUZZ_INPUTS)) $(FUZZ_TARGETS)

# Leaves those inputs in fuzz/corpus that reach what no other does.
fuzz-corpora: fuzz-engine
	@target/debug/e2e fuzz --engine $(FUZZ_ENGINE) --minimise $(FUZZ_TARGETS)

# The targets with libFuzzer, which wants to know what an input reaches: with instructions for
# that in all that is built for it, so in a directory of its own.
FUZZ_HOST := $(shell rustc --print host-tuple 2>/dev/null)
FUZZ_ENGINE := target/fuzz/$(FUZZ_HOST)/fuzz/libfuzzer
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
fuzz-engine: deps-fuzz
	cargo build --quiet -p kube-proxy-rs -p e2e --bin e2e
	RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --quiet --target-dir target/fuzz --target $(FUZZ_HOST) \
		--profile fuzz -p fuzz --features libfuzzer --bin libfuzzer

# Man pages of kube-proxy and its commands, in target/man.
man: deps
	cargo run --quiet -p kube-proxy-rs --example man -- target/man

# Formatting, and clippy without a warning.
lint: deps
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	cargo clippy --quiet -p kube-proxy-rs --bin kube-proxy --no-default-features --features node -- -D warnings
	cargo clippy --quiet -p kube-proxy-rs --bin kube-proxy --no-default-features --features plugin -- -D warnings

# Licences, sources, crates that are there twice; advisories where their database can be fetched,
# and a line that says so where it can't.
deny: deps target/tools/bin/cargo-deny
	target/tools/bin/cargo-deny --log-level error check bans licenses sources
	@if said=$$(target/tools/bin/cargo-deny fetch db 2>&1); then \
		target/tools/bin/cargo-deny --log-level error check advisories; \
	else \
		echo "deny: advisories were NOT checked: $$(echo "$$said" | tail -n 1)"; \
	fi

target/tools/bin/cargo-deny:
	cargo install --quiet --locked --root target/tools cargo-deny --version $(CARGO_DENY_VERSION)

deps:
	@e2e/deps.sh

deps-go:
	@e2e/deps.sh go

deps-image:
	@e2e/deps.sh image "$(sort $(OWN_ARCH) $(ARCH))"

# A node's own tools, which its rules are held to.
deps-iptables: deps
	@e2e/iptables.sh target/tools $(IPTABLES_VERSIONS)

deps-fuzz:
	@e2e/deps.sh fuzz

deps-chart:
	@e2e/deps.sh go

target/tools/bin/helm: e2e/helm/go.mod e2e/helm/go.sum | deps-chart
	mkdir -p $(@D)
	cd e2e/helm && go build -p 2 -trimpath -ldflags "-s -w" -o ../../$@ helm.sh/helm/v3/cmd/helm
	touch $@

# From Debian's package, which is not installed: it would start a server.
target/tools/bin/promtool:
	@e2e/promtool.sh $@

# Where the Go module cache has the definitions that the Prometheus operator publishes.
target/tools/crds: e2e/crds/go.mod e2e/crds/go.sum | deps-chart
	mkdir -p $(@D)
	cd e2e/crds && go mod download && \
		echo "$$(go list -m -f '{{.Dir}}' github.com/prometheus-operator/prometheus-operator)/example/prometheus-operator-crd" \
		>../../$@

# About eight minutes the first time.
$(CONTROL_PLANE_PROGRAMS) &: $(addprefix e2e/controlplane/,build.sh go.mod go.sum) | deps-go
	mkdir -p $(CONTROL_PLANE)
	e2e/controlplane/build.sh $(CONTROL_PLANE) $(CONTROL_PLANE_COMMANDS)
	touch $(CONTROL_PLANE_PROGRAMS)

$(CONTROL_PLANE)/gates: $(addprefix e2e/controlplane/,gates/main.go go.mod go.sum) | deps-go
	cd e2e/controlplane && go build -p 2 -o ../../$@ ./gates

# The feature gates that upstream's kube-proxy knows, after another version of it.
gates: $(CONTROL_PLANE)/gates
	$(CONTROL_PLANE)/gates >src/config/features/gates.txt
