#!/bin/sh
# build.sh ARCH: target/image/kube-proxy-rs-ARCH.tar, an OCI archive. No registry
# and no image that is there already have a part in it.
set -eu
cd "$(dirname "$0")/.."

arch=$1
# Not more than this, compressed.
limit=12000000
image/binary.sh "$arch"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
name=localhost/kube-proxy-rs:$version
archive=target/image/kube-proxy-rs-$arch.tar
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Of its own, so that no image of the host is used or left; vfs works on any file system.
storage="--root $scratch/storage --runroot $scratch/run --storage-driver vfs"
# The same commit makes the same image.
# shellcheck disable=SC2086 # a list of words
buildah $storage bud --quiet --isolation chroot --platform "linux/$arch" \
    --timestamp "$(git log -1 --format=%ct 2>/dev/null || echo 0)" \
    --label "org.opencontainers.image.version=$version" -f Containerfile -t "$name" . >/dev/null
rm -f "$archive"
# shellcheck disable=SC2086
buildah $storage push --quiet "$name" "oci-archive:$archive:$name" >/dev/null

compressed=$(stat -c %s "$archive")
all=$(du -sb --apparent-size "target/image/$arch/root" | cut -f1)
binary=$(stat -c %s "target/image/$arch/root/usr/local/bin/kube-proxy")
echo "image: $archive: $compressed bytes compressed, $all not; the binary has $binary"
[ "$compressed" -le "$limit" ] || { echo "image: more than $limit bytes" >&2; exit 1; }
