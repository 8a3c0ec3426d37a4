#!/bin/sh
# Builds Kubernetes' programs into a directory, with the version that a release's own build stamps
# into them (its hack/lib/version.sh): without it they call themselves v0.0.0-master, and pages
# that show a version say something that no released program says. The release is the one in
# go.mod; its commit and its date are not in the module proxy, so they stay as they are.
#
# build.sh DIRECTORY PROGRAM...
set -eu

out=$(realpath "$1")
shift
cd "$(dirname "$0")"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    for stamp in gitVersion="$version" gitMajor=1 gitMinor="${minor%%.*}" gitTreeState=clean; do
        flags="$flags -X $package.$stamp"
    done
done
# Two at once need not much memory.
for program; do
    set -- "$@" "k8s.io/kubernetes/cmd/$program"
    shift
done
go build -p 2 -trimpath -ldflags "$flags" -o "$out/" "$@"
