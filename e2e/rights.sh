#!/bin/sh
# rights.sh PROGRAM [ARGUMENT...]: runs a test, as cargo does with each (.cargo/config.toml). Who is
# not root is made root of a user namespace with a network of its own, which suffices for all but
# tests/root; where the kernel forbids that too, each test says what it lacks.
set -eu

if [ "$(id -u)" = 0 ] || ! unshare --user --map-root-user --net --mount true 2>/dev/null; then
    exec "$@"
fi
# Named network namespaces are files in /run/netns; the loopback interface is down at first.
exec unshare --user --map-root-user --net --mount sh -c '
    mount -t tmpfs tmpfs /run
    PATH="$PATH:/usr/sbin:/sbin"
    ip link set lo up
    exec "$@"' sh "$@"
