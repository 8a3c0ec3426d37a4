#!/bin/sh
# promtool.sh FILE: takes promtool out of Debian's package of Prometheus. The
# package is not installed, as it would start a server.
set -eu
mkdir -p "$(dirname "$1")"
target=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
# What apt knows may be old, or nothing.
apt-get download -qq prometheus >/dev/null 2>&1 || {
    apt-get update -qq
    apt-get download -qq prometheus >/dev/null
}
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
mv usr/bin/promtool "$target"
