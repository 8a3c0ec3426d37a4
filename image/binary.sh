#!/bin/sh
# binary.sh ARCH: the static daemon for amd64 or arm64, and what else the image
# holds, in target/image/ARCH/root.
set -eu
cd "$(dirname "$0")/.."

arch=$1
case $arch in
    amd64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
    *) echo "image: architecture $arch; known: amd64, arm64" >&2; exit 1 ;;
esac
triple=$machine-unknown-linux-musl

command -v rustup >/dev/null || { echo "image: rustup is missing, which adds the target $triple" >&2; exit 1; }
if ! rustup target list --installed | grep -qx "$triple"; then
    echo "image: installing Rust's standard library for $triple"
    rustup --quiet target add "$triple" >/dev/null
fi

# AWS-LC has C and assembler; Rust brings musl itself.
variable=$(echo "$triple" | tr 'a-z-' 'A-Z_')
underscored=$(echo "$triple" | tr - _)
if [ "$(uname -m)" = "$machine" ]; then
    export "CC_$underscored=musl-gcc"
else
    export "CC_$underscored=$machine-linux-gnu-gcc"
    export "CARGO_TARGET_${variable}_LINKER=$machine-linux-gnu-gcc"
fi
cargo build --quiet --locked --profile image --target "$triple" -p kube-proxy-rs --bin kube-proxy \
    --no-default-features --features node

root=target/image/$arch/root
rm -rf "$root"
binary=$root/usr/local/bin/kube-proxy
install -D -m 755 "target/$triple/image/kube-proxy" "$binary"
# There is no loader in the image.
if readelf --program-headers "$binary" | grep -q INTERP; then
    echo "image: $binary is not static" >&2
    exit 1
fi
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
install -D -m 644 LICENSE "$root/licenses/LICENSE"
image/licences.sh "$triple" >"$root/licenses/THIRD-PARTY"
