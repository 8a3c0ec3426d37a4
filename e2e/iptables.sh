#!/bin/sh
# iptables.sh DIRECTORY VERSION...: iptables on nf_tables in each version, from Debian's packages,
# which are not installed: programs in DIRECTORY/iptables-VERSION/bin that use their own libraries
# and extensions. Says nothing if all is there.
set -eu

# Where the packages of releases that are supported are, and of those that were.
MIRRORS="https://deb.debian.org/debian https://archive.debian.org/debian"

# revision VERSION: the package's.
revision() {
    case $1 in
        1.8.7) echo 1.8.7-1 ;;   # Debian 11
        1.8.9) echo 1.8.9-2 ;;   # Debian 12
        1.8.11) echo 1.8.11-2 ;; # Debian 13
        *) echo "iptables.sh: no package is known for iptables $1" >&2; exit 2 ;;
    esac
}

# fetch FILE: from the first mirror that has it.
fetch() {
    for mirror in $MIRRORS; do
        if curl -sSfL --retry 3 -m 60 -o "$1" "$mirror/pool/main/i/iptables/$1" 2>>errors; then
            return
        fi
    done
    echo "iptables.sh: no mirror gives $1:" >&2
    cat errors >&2
    exit 1
}

# unpack VERSION: into the present directory.
unpack() {
    revision=$(revision "$1")
    for package in iptables libxtables12 libip4tc2 libip6tc2; do
        file=${package}_${revision}_$(dpkg --print-architecture).deb
        fetch "$file"
        dpkg-deb -x "$file" .
        rm "$file"
    done
    rm -f errors
    libraries=$(dirname "$(find . -name libxtables.so.12)")
    extensions=$(find . -type d -name xtables)
    mkdir bin
    for family in iptables ip6tables; do
        for what in "" -save -restore; do
            # By the script's own place: it is moved once all is there.
            cat >"bin/$family$what" <<END
#!/bin/sh
root=\$(dirname "\$0")/..
export LD_LIBRARY_PATH="\$root/$libraries" XTABLES_LIBDIR="\$root/$extensions"
exec "\$root/usr/sbin/xtables-nft-multi" $family$what "\$@"
END
            chmod +x "bin/$family$what"
        done
    done
}

mkdir -p "$1"
directory=$(cd "$1" && pwd)
shift
for version in "$@"; do
    target=$directory/iptables-$version
    if [ ! -d "$target" ]; then
        scratch=$(mktemp -d "$directory/unpacking.XXXXXX")
        trap 'rm -rf "$scratch"' EXIT
        echo "iptables.sh: fetching iptables $version"
        (cd "$scratch" && unpack "$version")
        chmod 755 "$scratch"
        mv "$scratch" "$target"
    fi
    for family in iptables ip6tables; do
        said=$("$target/bin/$family" --version)
        [ "$said" = "$family v$version (nf_tables)" ] || {
            echo "iptables.sh: $target/bin/$family is \"$said\"" >&2
            exit 1
        }
    done
done
