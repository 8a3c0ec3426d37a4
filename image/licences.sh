#!/bin/sh
# licences.sh TRIPLE: the licences of what is linked into the daemon, each text
# once, with the names of those it is from. Most of them ask to go with a binary.
set -eu
cd "$(dirname "$0")/.."

registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Every package once: NAME VERSION LICENCE.
cargo tree --quiet --locked -p kube-proxy-rs -e no-dev,no-build,no-proc-macro --target "$1" \
    --prefix none --format '{p}|{l}' |
    sed -n 's/ (\*)$//; s/^\([^ ]*\) v\([^ |]*\)|/\1 \2 /p' | sort -u >"$scratch/packages"
[ -s "$scratch/packages" ] || { echo "licences: no packages" >&2; exit 1; }

echo "What kube-proxy is linked with, besides itself:"
echo
cat "$scratch/packages"
echo "Rust's standard library: MIT OR Apache-2.0; the C library musl: MIT"
echo "etc/ssl/certs/ca-certificates.crt: Mozilla's list of authorities, MPL-2.0"

# note OWNER FILE: one text more, or one owner more of a text.
note() {
    sum=$(sha256sum <"$2" | cut -d' ' -f1)
    cp "$2" "$scratch/$sum.text"
    echo "$1" >>"$scratch/$sum.owners"
}

while read -r name version _; do
    for file in "$registry"/*/"$name-$version"/*; do
        case ${file##*/} in
            LICEN[CS]E* | COPYING* | NOTICE* | UNLICENSE*) [ ! -f "$file" ] || note "$name" "$file" ;;
        esac
    done
done <"$scratch/packages"
note musl /usr/share/doc/musl-dev/copyright

for owners in "$scratch"/*.owners; do
    printf '\n---- %s\n\n' "$(sort -u "$owners" | tr '\n' ' ')"
    cat "${owners%.owners}.text"
done
