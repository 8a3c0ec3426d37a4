#!/bin/sh
# Installs what a build and the tests need and this machine lacks: Debian
# packages, the Rust toolchain and, with the argument `go`, Go for the control
# plane; with `image "ARCH..."` what builds and runs images for these architectures; with `fuzz`
# what builds the engine of the fuzz targets.
# Says nothing if nothing is missing.
set -eu

missing=""
# need COMMAND PACKAGE...
need() {
    name=$1
    shift
    command -v "$name" >/dev/null 2>&1 || missing="$missing $*"
}

# need_file FILE PACKAGE...
need_file() {
    name=$1
    shift
    [ -e "$name" ] || missing="$missing $*"
}

PATH="$PATH:/usr/sbin:/sbin:$HOME/.cargo/bin:/usr/local/go/bin"
need cc gcc libc6-dev
need nft nftables
need ip iproute2
need iptables-nft iptables
need ipset ipset
# For the node's own tools in several versions: iptables.sh.
need curl curl ca-certificates
# What reads the messages that we send: crates/referee.
need pkg-config pkg-config
need_file /usr/include/libnftnl/common.h libnftnl-dev
need_file /usr/include/libmnl/libmnl.h libmnl-dev
if [ "${1:-}" = go ]; then
    need etcd etcd-server
    # For kube-proxy's iptables mode, which ours takes over from.
    need iptables iptables
    command -v go >/dev/null 2>&1 || need curl curl ca-certificates
fi
if [ "${1:-}" = image ]; then
    need musl-gcc musl-tools
    need buildah buildah
    # And with it runc, conmon and the default seccomp profile.
    need podman podman runc
    need runc runc
    need readelf binutils
    need sysctl procps
    need_file /etc/ssl/certs/ca-certificates.crt ca-certificates
    need_file /usr/share/doc/musl-dev/copyright musl-dev
    for arch in ${2:-}; do
        case $arch-$(uname -m) in
            # AWS-LC wants a few headers of some C library.
            arm64-x86_64)
                need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
                need_file /usr/aarch64-linux-gnu/include/stdint.h libc6-dev-arm64-cross
                need qemu-aarch64-static qemu-user-static
                ;;
            amd64-aarch64)
                need x86_64-linux-gnu-gcc gcc-x86-64-linux-gnu
                need_file /usr/x86_64-linux-gnu/include/stdint.h libc6-dev-amd64-cross
                need qemu-x86_64-static qemu-user-static
                ;;
        esac
    done
fi
if [ "${1:-}" = fuzz ]; then
    need c++ g++
fi
command -v cargo >/dev/null 2>&1 || need curl curl ca-certificates

if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] || { echo "deps: not root, so not installed:$missing" >&2; exit 1; }
    echo "deps: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    apt-get install -qq -y --no-install-recommends $missing >/dev/null
    case $missing in
        # The tests start one of their own.
        *etcd*) systemctl disable --now etcd >/dev/null 2>&1 || true ;;
    esac
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "deps: installing Rust"
    # No version of its own: the first cargo installs the one of rust-toolchain.toml.
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
        sh -s -- -q -y --profile minimal --default-toolchain none >/dev/null
fi

# Where rustup may not install by itself, cargo only says that the version is missing.
cargo --version >/dev/null 2>&1 || rustup toolchain install

if [ "${1:-}" = go ] && ! command -v go >/dev/null 2>&1; then
    version=$(sed -n 's/^go //p' "$(dirname "$0")/controlplane/go.mod")
    case $(uname -m) in
        aarch64) machine=arm64 ;;
        *) machine=amd64 ;;
    esac
    echo "deps: installing Go $version"
    curl -sSfL "https://go.dev/dl/go$version.linux-$machine.tar.gz" | tar -C /usr/local -xz
fi
